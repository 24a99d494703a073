"""Queries, keys and values: one product for all three, or a layer each, which may then have adapters."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.checkpoint.names import PROJECTIONS


class PartedProjection(nn.Module):
    """What a fused layer computes, by a layer for each of its three parts."""

    def __init__(self, fused: nn.Linear):
        super().__init__()
        for number, name in enumerate(PROJECTIONS):
            part = nn.Linear(1, 1, bias=False, device="meta")  # its weights follow
            part.in_features, part.out_features = fused.in_features, fused.out_features // len(PROJECTIONS)
            for kind, values in fused.named_parameters():
                third = values.detach().chunk(len(PROJECTIONS))[number].clone()
                part.register_parameter(kind, nn.Parameter(third, values.requires_grad))
            self.add_module(name, part)

    def forward(self, hidden: Tensor) -> Tensor:
        """(tokens, hidden) → (tokens, 3 * hidden)."""
        parts: list[Any] = [getattr(self, name) for name in PROJECTIONS]
        layers = [computing_alone(part) for part in parts]
        if all(layer is not None for layer in layers):  # no adapter computes: the same bits as the fused layer gives
            return F.linear(hidden, *joined(layers))
        return torch.cat([part(hidden) for part in parts], dim=-1)

    def fused(self) -> nn.Linear:
        """One layer again; the three parts must be plain layers."""
        weights = joined([getattr(self, name) for name in PROJECTIONS])
        fused = nn.Linear(1, 1, bias=False, device="meta")
        fused.out_features, fused.in_features = weights[0].shape
        for kind, values in zip(("weight", "bias"), weights, strict=False):
            fused.register_parameter(kind, nn.Parameter(values.detach()))
        return fused


def computing_alone(part: Any) -> nn.Linear | None:
    """The plain layer that computes what ``part`` does; None where peft's wrapper around it adds something."""
    if isinstance(part, nn.Linear):
        return part
    if not part.disable_adapters:
        return None
    layer: nn.Linear = part.original_module if hasattr(part, "original_module") else part.get_base_layer()
    return layer


def joined(layers: list[Any]) -> list[Tensor]:
    """The weight (3 * hidden, hidden) of layers side by side and, where they have one, their bias (3 * hidden,)."""
    weights = [torch.cat([layer.weight for layer in layers])]
    return weights if layers[0].bias is None else [*weights, torch.cat([layer.bias for layer in layers])]
