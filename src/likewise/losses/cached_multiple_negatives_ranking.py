"""Ranking among the texts of a batch that may be larger than memory would hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from likewise.losses.mini_batches import InMiniBatches
from likewise.losses.multiple_negatives_ranking import (
    Direction,
    HardnessMode,
    MultipleNegativesRankingLoss,
    PartitionMode,
)
from likewise.similarity import cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class CachedMultipleNegativesRankingLoss(InMiniBatches, MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss, the same values and gradients, in memory that does not grow with the batch.

    Gao et al. 2021, https://arxiv.org/abs/2101.06983, section 3 (GradCache): texts are embedded in mini-batches, and
    the scores are computed for as many rows at a time; each part is computed a second time, with the same dropout,
    when its gradient is wanted. A mini-batch has at most ``mini_batch_size`` texts and ``token_budget`` tokens; with
    ``mini_batch_num_tokens`` it has so many tokens and any number of texts.

    Raises:
        ValueError: An argument is none of those it can be.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: PartitionMode = "joint",
        show_progress_bar: bool = False,
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
    ):
        super().__init__(
            model,
            scale,
            similarity_fct,
            gather_across_devices,
            directions,
            partition_mode,
            hardness_mode,
            hardness_strength,
        )
        self.set_mini_batches(mini_batch_size, mini_batch_num_tokens, show_progress_bar)
