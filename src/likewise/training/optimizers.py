"""The optimiser of a run: which parameters decay, and which have a learning rate of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], dict[str, Any]]] = {  # name → class, and its own settings
    "adamw_torch": (torch.optim.AdamW, {}),
    "adamw_torch_fused": (torch.optim.AdamW, {"fused": True}),
    "adafactor": (torch.optim.Adafactor, {}),
    "sgd": (torch.optim.SGD, {}),
}
TAKES_BETAS = ("adamw_torch", "adamw_torch_fused")


def optimizer_of(
    module: nn.Module,
    name: str,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    epsilon: float,
    learning_rates: Mapping[str, float] | None = None,
) -> Optimizer:
    """The optimiser called ``name`` of what ``module`` may learn; biases and norms do not decay.

    ``learning_rates`` maps patterns of parameter names to learning rates of their own.

    Raises:
        ValueError: There is nothing to learn, or a pattern fits no name.
    """
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError("the model has no weight that may learn: all have requires_grad=False")
    kept = without_decay(module)
    rates = dict.fromkeys(parameters, learning_rate)
    for pattern, rate in (learning_rates or {}).items():
        found = [name for name in parameters if re.search(pattern, name)]
        if not found:
            names = ", ".join(list(parameters)[:5])
            raise ValueError(f"learning_rate_mapping: no parameter's name fits {pattern!r}; there are {names}, …")
        rates |= dict.fromkeys(found, rate)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter_name, parameter in parameters.items():
        decay = 0.0 if parameter_name in kept else weight_decay
        groups.setdefault((decay, rates[parameter_name]), []).append(parameter)
    make, settings = OPTIMIZERS[name]
    if name in TAKES_BETAS:
        settings = settings | {"betas": betas, "eps": epsilon}
    return make(
        [{"params": members, "weight_decay": decay, "lr": rate} for (decay, rate), members in groups.items()],
        lr=learning_rate,
        **settings,
    )


def without_decay(module: nn.Module) -> set[str]:
    """The names of the parameters that do not decay: biases and the weights of norms."""
    names = {name for name, _ in module.named_parameters() if name.rsplit(".", 1)[-1] == "bias"}
    for prefix, part in module.named_modules():
        if "norm" in type(part).__name__.lower():
            names |= {f"{prefix}.{name}" for name, _ in part.named_parameters(recurse=False)}
    return names
