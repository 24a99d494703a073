"""Ranking in both directions: each text shall find its partner among the texts of the batch, and be found by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from likewise.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from likewise.similarity import cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class MultipleNegativesSymmetricRankingLoss(MultipleNegativesRankingLoss):
    """The mean of MultipleNegativesRankingLoss from queries to documents and from documents to queries.

    The same as ``MultipleNegativesRankingLoss(directions=("query_to_doc", "doc_to_query"),
    partition_mode="per_direction")``. Hard negatives count where queries look for documents.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        gather_across_devices: bool = False,
    ):
        super().__init__(
            model, scale, similarity_fct, gather_across_devices, ("query_to_doc", "doc_to_query"), "per_direction"
        )
