"""What the losses named Cached… do in parts, so that memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm


def check_mini_batches(size: int, num_tokens: int | None) -> None:
    """Refuse mini-batches of nothing.

    Raises:
        ValueError: ``size`` texts or ``num_tokens`` tokens are less than one.
    """
    if size < 1:
        raise ValueError(f"mini_batch_size must be at least 1, not {size}")
    if num_tokens is not None and num_tokens < 1:
        raise ValueError(f"mini_batch_num_tokens must be at least 1, or None, not {num_tokens}")


def mean_in_blocks(
    losses_of: Callable[[Tensor], Tensor], rows: Tensor, size: int, shows_progress: bool = False
) -> Tensor:
    """The mean of ``losses_of(rows)``, (rows,) → (rows,), computed for ``size`` rows at a time: a scalar.

    A block is computed again when its gradient is wanted; until then nothing of it is remembered.
    """
    sums = [
        checkpoint(lambda block: losses_of(block).sum(), block, use_reentrant=False)
        for block in tqdm(rows.split(size), desc="Calculating loss", disable=not shows_progress)
    ]
    return torch.stack(sums).sum() / len(rows)
