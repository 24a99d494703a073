"""Ranking with a guide among the texts of a batch that may be larger than memory would hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.losses.gist_embed import GISTEmbedLoss, MarginStrategy
from likewise.losses.mini_batches import InMiniBatches

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class CachedGISTEmbedLoss(InMiniBatches, GISTEmbedLoss):
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
        self.set_mini_batches(mini_batch_size, mini_batch_num_tokens, show_progress_bar)
