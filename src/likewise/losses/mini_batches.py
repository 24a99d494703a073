"""What the losses named Cached… do in parts, so that memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm

from likewise.losses.columns import Column, embed_columns
from likewise.losses.loss import Loss


class InMiniBatches(Loss):
    """What the losses named Cached… share, beside the loss that each of them is: it stands before it among the bases.

    A mini-batch has at most ``mini_batch_size`` texts and ``token_budget`` tokens; with ``mini_batch_num_tokens`` it
    has so many tokens and any number of texts.
    """

    mini_batch_size: int
    mini_batch_num_tokens: int | None
    show_progress_bar: bool

    def set_mini_batches(self, size: int, num_tokens: int | None, show_progress_bar: bool) -> None:
        """Say how large mini-batches are.

        Raises:
            ValueError: ``size`` texts or ``num_tokens`` tokens are less than one.
        """
        if size < 1:
            raise ValueError(f"mini_batch_size must be at least 1, not {size}")
        if num_tokens is not None and num_tokens < 1:
            raise ValueError(f"mini_batch_num_tokens must be at least 1, or None, not {num_tokens}")
        self.mini_batch_size = size
        self.mini_batch_num_tokens = num_tokens
        self.token_budget = num_tokens or self.token_budget
        self.show_progress_bar = show_progress_bar

    def embed(self, columns: Sequence[Column]) -> list[Tensor]:
        """The embeddings of each column, (rows, dim) each."""
        texts_at_once = self.mini_batch_size if self.mini_batch_num_tokens is None else None
        return embed_columns(self.network, columns, self.token_budget, texts_at_once, True, self.show_progress_bar)

    def mean(self, losses_of: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """The mean of ``losses_of(rows)``, (rows,) → (rows,), computed ``mini_batch_size`` at a time: a scalar."""
        return mean_in_blocks(losses_of, rows, self.mini_batch_size, self.show_progress_bar)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        own = {"mini_batch_size": self.mini_batch_size, "mini_batch_num_tokens": self.mini_batch_num_tokens}
        return super().get_config_dict() | own


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
