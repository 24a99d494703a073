"""Ranking with a guide among the texts of a batch that may be larger than memory would hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from likewise.losses.columns import Column, embed_columns
from likewise.losses.gist_embed import GISTEmbedLoss, MarginStrategy
from likewise.losses.mini_batches import check_mini_batches, mean_in_blocks

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class CachedGISTEmbedLoss(GISTEmbedLoss):
    """GISTEmbedLoss, the same values and gradients, in memory that does not grow with the batch.

    Solatorio 2024, https://arxiv.org/abs/2402.16829, in the mini-batches of Gao et al. 2021,
    https://arxiv.org/abs/2101.06983, section 3, as CachedMultipleNegativesRankingLoss has them.

    Raises:
        TypeError: The guide is a name.
        ValueError: The guide is the model itself, or an argument is none of those it can be.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        guide: SentenceTransformer,
        temperature: float = 0.01,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        show_progress_bar: bool = False,
        margin_strategy: MarginStrategy = "absolute",
        margin: float = 0.0,
        contrast_anchors: bool = True,
        contrast_positives: bool = True,
        gather_across_devices: bool = False,
    ):
        super().__init__(
            model,
            guide,
            temperature,
            margin_strategy,
            margin,
            contrast_anchors,
            contrast_positives,
            gather_across_devices,
        )
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.token_budget = mini_batch_num_tokens or self.token_budget
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
