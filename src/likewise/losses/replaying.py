"""Computing something again when its gradient is wanted, instead of remembering how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Item = TypeVar("Item")


def replayed(compute: Callable[[Item], Tensor], items: Iterable[Item], network: nn.Module) -> list[Tensor]:
    """``compute`` of each of ``items``, by ``network``; what lies between its weights and the results is forgotten.

    Each is computed a second time, with the same dropout and precision, in the backward pass (Gao et al. 2021,
    GradCache, https://arxiv.org/abs/2101.06983, section 3.2), so memory holds one of them at a time; torch's own
    checkpoint() would keep a graph for each. The gradient of a weight comes out once, summed over all, which
    DistributedDataParallel needs.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    results: Sequence[Tensor] = _Replayed.apply(compute, items, *weights)  # type: ignore[no-untyped-call]
    return list(results)


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, compute: Callable[[Item], Tensor], items: Iterable[Item], *weights: Tensor) -> Any:
        context.device = weights[0].device if weights else torch.device("cpu")
        context.precision = _precision(context.device)
        context.compute, context.weights, context.items = compute, weights, []
        results = []
        for item in items:
            context.items.append((item, _random_states(context.device)))
            results.append(compute(item))
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> Any:
        sums: list[Tensor | None] = [None] * len(context.weights)
        for (item, states), gradient in zip(context.items, gradients, strict=True):
            with torch.enable_grad(), _at(states, context.device), context.precision():
                result = context.compute(item)
            if result.requires_grad:  # the weights of a Router's route may be frozen
                _add(sums, torch.autograd.grad(result, context.weights, gradient, allow_unused=True))
        return (None, None, *sums)


def _add(sums: list[Tensor | None], gradients: Sequence[Tensor | None]) -> None:
    for place, gradient in enumerate(gradients):
        total = sums[place]
        if gradient is not None:  # the first is copied: two weights may have been given the same tensor
            sums[place] = gradient.clone() if total is None else total.add_(gradient)


def _precision(device: torch.device) -> Callable[[], torch.autocast]:
    """What makes a context with the precision of now."""
    kind = device.type
    enabled = torch.is_autocast_enabled(kind)
    return partial(torch.autocast, kind, dtype=torch.get_autocast_dtype(kind), enabled=enabled)


def _random_states(device: torch.device) -> list[Tensor]:
    if device.type == "cpu":
        return [torch.get_rng_state()]
    where = () if device.type == "mps" else (device,)
    return [torch.get_rng_state(), torch.get_device_module(device).get_rng_state(*where)]


def _set_random_states(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        where = () if device.type == "mps" else (device,)
        torch.get_device_module(device).set_rng_state(states[1], *where)


@contextmanager
def _at(states: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """With these random states; afterwards they are as before."""
    before = _random_states(device)
    _set_random_states(states, device)
    try:
        yield
    finally:
        _set_random_states(before, device)
