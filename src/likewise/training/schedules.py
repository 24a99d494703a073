"""How the learning rate goes: warm-up from 0, then one of these; the names and formulas of Transformers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

# Each function takes the steps after warm-up, how many there are, and its own settings: the share of the learning rate.


def linear(step: int, steps: int) -> float:
    """Down to 0 in a line."""
    return max(0.0, (steps - step) / max(1, steps))


def cosine(step: int, steps: int, num_cycles: float = 0.5) -> float:
    """Down to 0 in half a cosine wave (Loshchilov & Hutter 2017, equation 5)."""
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * num_cycles * 2.0 * step / max(1, steps))))


def cosine_with_restarts(step: int, steps: int, num_cycles: int = 1) -> float:
    """As cosine, several times over, from the full rate each time."""
    progress = step / max(1, steps)
    return 0.0 if progress >= 1.0 else max(0.0, 0.5 * (1.0 + math.cos(math.pi * ((num_cycles * progress) % 1.0))))


def cosine_with_min_lr(step: int, steps: int, num_cycles: float = 0.5, min_lr_rate: float = 0.0) -> float:
    """As cosine, but down to ``min_lr_rate`` of the learning rate."""
    return cosine(step, steps, num_cycles) * (1 - min_lr_rate) + min_lr_rate


def polynomial(step: int, steps: int, power: float = 1.0, lr_end_rate: float = 0.002) -> float:
    """Down to ``lr_end_rate`` of the learning rate, as the remaining share to the power of ``power``."""
    if step > steps:
        return lr_end_rate
    return (1 - lr_end_rate) * (1 - step / max(1, steps)) ** power + lr_end_rate


def constant(step: int, steps: int) -> float:
    """The same all the time."""
    return 1.0


SCHEDULES: dict[str, Callable[..., float]] = {
    "linear": linear,
    "cosine": cosine,
    "cosine_with_restarts": cosine_with_restarts,
    "cosine_with_min_lr": cosine_with_min_lr,
    "polynomial": polynomial,
    "constant": constant,
    "constant_with_warmup": constant,
}


def warmup_of(warmup: float, steps: int) -> int:
    """The number of warm-up steps: ``warmup`` itself or, below 1, that share of all ``steps``, rounded up."""
    return math.ceil(steps * warmup) if 0 < warmup < 1 else int(warmup)


def schedule(optimizer: Optimizer, name: str, warmup: float, steps: int, **settings: Any) -> LambdaLR:
    """The schedule called ``name`` over ``steps`` steps of ``optimizer``; only "constant" has no warm-up.

    Raises:
        TypeError: The schedule has no such setting.
    """
    warmup_steps = 0 if name == "constant" else warmup_of(warmup, steps)
    after = partial(SCHEDULES[name], **settings)
    after(0, 1)  # a wrong setting is told now

    def share(step: int) -> float:
        return step / max(1, warmup_steps) if step < warmup_steps else after(step - warmup_steps, steps - warmup_steps)

    return LambdaLR(optimizer, share)
