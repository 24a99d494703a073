"""What makes scores of a cross-encoder's last numbers, by the name that a checkpoint has for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.values import shortened
from likewise.engine.heads import ACTIVATIONS

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

TRUSTED = "torch.nn.modules."  # from elsewhere, a checkpoint could name any function


def activation_of(name: str | None, labels: int) -> nn.Module:
    """The activation called ``name``; without one the sigmoid for one label, and nothing for several.

    A class that is not torch's is not made: the default takes its place, with a warning.
    """
    from torch import nn

    kind = getattr(nn, name.rpartition(".")[2], None) if name and name.startswith("torch.") else None
    if name and (not isinstance(kind, type) or not issubclass(kind, nn.Module)):
        logger.warning("the activation %s of the checkpoint is none of torch.nn and is left out", shortened(name))
        kind = None
    if kind is None:
        kind = getattr(nn, _kind(None, labels))
    made: nn.Module = kind()
    return made


def activation_in_numpy(name: str | None, labels: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
    """The activation called ``name``, as ``activation_of`` has it, for arrays; None for one that only torch has."""
    if name and not name.startswith("torch."):
        return None
    return ACTIVATIONS.get(_kind(name, labels))


def named_activation(name: str | None, labels: int) -> str:
    """``activation_of`` in a word: "Sigmoid()"."""
    return f"{_kind(name if name and name.startswith('torch.') else None, labels)}()"


def _kind(name: str | None, labels: int) -> str:
    return name.rpartition(".")[2] if name else "Sigmoid" if labels == 1 else "Identity"


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """(pairs, labels) → the same, as probabilities of the labels of each pair."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def stored_activation(function: Callable[[Any], Any]) -> str:
    """What a checkpoint calls ``function``.

    Raises:
        ValueError: It is not a class of torch.nn without settings, so no checkpoint could bring it back.
    """
    name = f"{type(function).__module__}.{type(function).__qualname__}"
    if not name.startswith(TRUSTED):
        raise ValueError(f"the activation {function!r} cannot be saved: only those of torch.nn, such as Sigmoid(), can")
    return name
