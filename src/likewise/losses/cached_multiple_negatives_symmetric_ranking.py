"""Ranking in both directions among the texts of a batch that may be larger than memory would hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from likewise.losses.cached_multiple_negatives_ranking import CachedMultipleNegativesRankingLoss
from likewise.similarity import cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class CachedMultipleNegativesSymmetricRankingLoss(CachedMultipleNegativesRankingLoss):
    """MultipleNegativesSymmetricRankingLoss, in memory that does not grow with the batch.

    The same as ``CachedMultipleNegativesRankingLoss(directions=("query_to_doc", "doc_to_query"),
    partition_mode="per_direction")``.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        show_progress_bar: bool = False,
    ):
        super().__init__(
            model,
            scale,
            similarity_fct,
            mini_batch_size,
            mini_batch_num_tokens,
            gather_across_devices,
            ("query_to_doc", "doc_to_query"),
            "per_direction",
            show_progress_bar,
        )
