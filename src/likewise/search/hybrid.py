"""Several rankings of the same passages → one: reciprocal rank fusion."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

K = 60  # of Cormack et al.: how little the first ranks count more than those that follow

Passage = TypeVar("Passage", bound=Hashable)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Passage]], k: int = K) -> list[tuple[Passage, float]]:
    """All that is in any of ``rankings``, with its score, best first; equal scores stand in the order of appearance.

    A passage scores the sum of ``1 / (k + rank)`` over the rankings that it is in, its rank counted from 1 (Cormack,
    Clarke & Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods"). Only
    ranks count: the scores of BM25 and of vectors could not be added.
    """
    scores: dict[Passage, float] = {}
    for ranking in rankings:
        for rank, passage in enumerate(ranking, start=1):
            scores[passage] = scores.get(passage, 0.0) + 1 / (k + rank)
    return sorted(scores.items(), key=lambda scored: -scored[1])  # sorted() keeps the order of what is equal
