"""Linear layers for inference on a CPU, with weights that oneDNN has put into its own order beforehand."""

from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.network.bert import BertLayer
from likewise.network.encoder import Encoder
from likewise.network.linear import HAS_ONEDNN, MKL_IS_FASTER, Linear
from likewise.network.transformers import ONE_TOKEN

# For so few rows prepacked weights are the fastest on AVX2 too: 1.3 to 1.7 times MKL with 9 rows, as fast with 64, and
# 0.85 to 0.95 times with 2,048 (Zen 3, one thread).
FEW_ROWS = 32

ROWS = 2048  # that the order of the weights is made for; it serves other numbers as well

# Activations that oneDNN computes together with the product before them, and what it calls them.
FUSED = {nn.GELU: ("gelu", "none"), nn.ReLU: ("relu", "")}


class PrepackedLinear(nn.Module):
    """What a linear layer computes, in the dtype of its weights, and the activation after it where one is given."""

    bias: Tensor | None

    def __init__(self, layer: nn.Linear, activation: tuple[str, str] = ("none", "")):
        super().__init__()
        weight = layer.weight.detach()
        self.activation = activation
        # It has the name of what it replaces: Transformers looks at the dtype of some layers' weights.
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(weight, ROWS), persistent=False)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach(), persistent=False)
        self.plain = weight if MKL_IS_FASTER else None  # (outputs, inputs), for many rows

    def forward(self, values: Tensor) -> Tensor:
        """(…, inputs) → (…, outputs)."""
        if self.plain is not None and values.numel() > FEW_ROWS * values.shape[-1]:
            return F.linear(values, self.plain, self.bias)
        weight, (kind, algorithm) = self.get_buffer("weight"), self.activation
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            values.to(weight.dtype), weight, self.bias, kind, [], algorithm
        )
        return found


def prepack(encoder: nn.Module) -> None:
    """Prepack the linear layers of an ``encoder`` that will not train, where that makes it faster.

    In bfloat16 an activation is fused into the product before it; in float32 that was 0.7 to 0.9 times as fast (Zen 3).
    """
    if isinstance(encoder, Encoder):
        for layer in encoder.modules():
            if isinstance(layer, BertLayer) and layer.expand.weight.dtype == torch.bfloat16:
                _fuse_activation(layer)
        _replace(encoder, _prepacked(encoder))
    elif not MKL_IS_FASTER:  # else MKL computes them already, and both forms of the weights would take twice the memory
        layers = dict(encoder.named_modules())
        prepacked = _prepacked(encoder)
        _replace(encoder, prepacked)
        try:
            with torch.inference_mode():
                encoder(ONE_TOKEN)
        except Exception:  # an architecture that computes with the weights of its layers itself
            _replace(encoder, {path: layers[path] for path in prepacked})


def can_prepack(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether oneDNN takes the weights of ``module``, a linear layer."""
    if type(module) not in (nn.Linear, Linear) or not HAS_ONEDNN:
        return False
    if module.weight.device.type != "cpu" or not module.weight.numel():
        return False
    if module.weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return module.weight.dtype == torch.float32


def _prepacked(encoder: nn.Module) -> dict[str, nn.Module]:
    """The linear layers of ``encoder``, by their paths, as they should be."""
    return {path: PrepackedLinear(layer) for path, layer in encoder.named_modules() if can_prepack(layer)}


def _fuse_activation(layer: BertLayer) -> None:
    fused = FUSED.get(type(layer.activation))
    is_exact = getattr(layer.activation, "approximate", "none") == "none"
    if fused is not None and is_exact and can_prepack(layer.expand):
        layer.expand, layer.activation = PrepackedLinear(layer.expand, fused), nn.Identity()  # type: ignore[assignment]


def _replace(encoder: nn.Module, layers: dict[str, nn.Module]) -> None:
    for path, layer in layers.items():
        encoder.set_submodule(path, layer)
