"""What makes scores of a cross-encoder's last numbers, by the name that a checkpoint has for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from likewise.checkpoint.values import shortened

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
        return nn.Sigmoid() if labels == 1 else nn.Identity()
    made: nn.Module = kind()
    return made


def stored_activation(function: Callable[[Any], Any]) -> str:
    """What a checkpoint calls ``function``.

    Raises:
        ValueError: It is not a class of torch.nn without settings, so no checkpoint could bring it back.
    """
    name = f"{type(function).__module__}.{type(function).__qualname__}"
    if not name.startswith(TRUSTED):
        raise ValueError(f"the activation {function!r} cannot be saved: only those of torch.nn, such as Sigmoid(), can")
    return name
