"""Hard negatives of vectors: the passages that are near a query and are not its positives, block by block.

The candidates of many queries are found in one pass over the corpus. What is left out of them, and which of the rest
are taken, is decided on tables of scores and row numbers (queries, candidates), without a text. Memory holds the
candidates of one pass, whatever the number of queries and passages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likewise.search.semantic import scores_of_pairs, top_k
from likewise.similarity import SimilarityFunction

Rows: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float32]
Rescore: TypeAlias = Callable[[Rows, Rows], Any]  # rows of queries and of the corpus, (pairs,) each → scores (pairs,)

CANDIDATES_AT_ONCE = 2**21  # of one pass over the corpus, at 12 bytes each
QUERIES_AT_ONCE = 8192  # of one pass: more make it no faster
QUERIES_IN_BLOCK = 256  # whose negatives are chosen, rescored and yielded together
STRATEGIES = ("top", "random")


@dataclass(frozen=True)
class NegativeRules:
    """Which of the passages near a query become its negatives.

    Of the candidates, best first, positives and those that a score or a margin rules out are removed. What is left
    is ranked from 0; ``num_negatives`` come from the ranks ``range_min`` up to, but without, ``range_max``: the "top"
    ones, or "random" ones, drawn with ``seed``. A margin is to the lowest score of the query's positives, p: a
    candidate's score s stays if s + ``absolute_margin`` ≤ p and s ≤ p - |p| · ``relative_margin`` (after NV-Retriever,
    Moreira et al. 2024: "TopK-MarginPos" and "TopK-PercPos"). All is compared in float32.

    Raises:
        ValueError: A number is out of range, or the strategy is not known.
    """

    num_negatives: int = 3
    range_min: int = 0
    range_max: int | None = None  # None: as many as num_negatives need, ten times that where something removes some
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    sampling_strategy: Literal["top", "random"] = "top"
    include_positives: bool = False  # as if they were no positives
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_negatives < 1 or self.range_min < 0:
            wrong = f"num_negatives={self.num_negatives}, range_min={self.range_min}"
            raise ValueError(f"num_negatives must be at least 1, and range_min at least 0, but {wrong}")
        if self.range_max is not None and self.range_max - self.range_min < self.num_negatives:
            raise ValueError(
                f"between range_min={self.range_min} and range_max={self.range_max} there is no room for "
                f"num_negatives={self.num_negatives}; give a larger range_max"
            )
        if self.sampling_strategy not in STRATEGIES:
            known = " or ".join(map(repr, STRATEGIES))
            raise ValueError(f"sampling_strategy must be {known}, not {self.sampling_strategy!r}")

    @property
    def judges_scores(self) -> bool:
        """Whether a score or a margin rules candidates out."""
        limits = (self.max_score, self.min_score, self.absolute_margin, self.relative_margin)
        return any(limit is not None for limit in limits)

    def last_rank(self, most_positives: int, is_rescored: bool = False) -> int:
        """``range_max``; without one, by the number of positives of the query that has most."""
        if self.range_max is not None:
            return self.range_max
        # Of bi-encoder scores, min_score removes only the last, so it needs no more candidates.
        upper = (self.max_score, self.absolute_margin, self.relative_margin, self.min_score if is_rescored else None)
        times = 10 if any(limit is not None for limit in upper) else 1
        return self.range_min + times * self.num_negatives + most_positives


@dataclass(frozen=True, slots=True)
class Negatives:
    """The negatives of a block of queries, and how they were found."""

    first: int  # row of the block's first query
    indices: Rows  # (queries, num_negatives), rows of the corpus, best first; -1 where there are fewer
    scores: Scores  # (queries, num_negatives); -inf where there are fewer
    positives: Rows  # (positives, 2), rows of the queries and of the corpus
    positive_scores: Scores  # (positives,)
    candidates: int  # those that were no positives
    removed: dict[str, int]  # the argument of the rule → the candidates that it removed

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Where there is a negative, (queries, num_negatives)."""
        return np.asarray(self.indices >= 0)

    @property
    def lowest(self) -> Scores:
        """Of each query, the lowest score of its positives, (queries,)."""
        return _lowest(self.positives, self.positive_scores)


def mine_negatives(
    queries: Any,
    corpus: Any,
    positives: Rows,
    rules: NegativeRules,
    similarity: str | SimilarityFunction = SimilarityFunction.COSINE,
    rescore: Rescore | None = None,
    most_positives: int | None = None,
) -> Iterator[Negatives]:
    """The negatives of each query, in blocks of queries, in order.

    queries (n, dim) and corpus (m, dim) are arrays, also memory-mapped ones, of float32 or float16; of them only blocks
    are read. positives (pairs, 2) are rows of queries and of the corpus, sorted by the query, every query with one or
    more. The negatives are never among them (but with ``include_positives``), however near or far they are.

    The candidates of a query are the ``range_max`` + ``most_positives`` passages with the highest ``similarity``;
    ``most_positives``, by default the most that a query has, leaves room for positives among them. ``rescore`` scores
    candidates and positives anew, before the rules are asked.

    Raises:
        ValueError: The positives are not as described, a score is NaN or infinite, or as top_k does.
    """
    kind = SimilarityFunction(similarity)
    counts = _checked_counts(positives, len(queries), len(corpus))
    most = int(counts.max(initial=0)) if most_positives is None else most_positives
    last = rules.last_rank(most, rescore is not None)
    ends = np.cumsum(counts)
    wanted = last + most
    at_once = QUERIES_IN_BLOCK * max(1, min(QUERIES_AT_ONCE, CANDIDATES_AT_ONCE // wanted) // QUERIES_IN_BLOCK)
    random = np.random.default_rng(rules.seed)
    for start in range(0, len(queries), at_once):
        part = queries[start : start + at_once]
        near, indices = top_k(part, corpus, wanted, SimilarityFunction.to_similarity_fn(kind))
        for first in range(start, start + len(part), QUERIES_IN_BLOCK):
            rows = slice(first - start, first - start + QUERIES_IN_BLOCK)
            after = first + len(near[rows])
            own = positives[ends[first] - counts[first] : ends[after - 1]]
            scores = scores_of_pairs(queries, corpus, own[:, 0], own[:, 1], kind)
            block = _Block(first, near[rows], indices[rows], own, scores, len(corpus))
            yield block.chosen(rules, last, rescore, random)


def _checked_counts(positives: Rows, queries: int, corpus: int) -> Rows:
    """The number of positives of each query, (queries,)."""
    if positives.ndim != 2 or positives.shape[1] != 2 or positives.dtype.kind not in "iu":
        raise ValueError(f"positives must be row numbers (pairs, 2), not {positives.dtype} {positives.shape}")
    of_query, of_corpus = positives.T
    for rows, limit, name in ((of_query, queries, "queries"), (of_corpus, corpus, "the corpus")):
        if len(rows) and not 0 <= rows.min() <= rows.max() < limit:
            raise ValueError(f"positives name the rows {rows.min()} to {rows.max()} of {name}, which has {limit}")
    if (np.diff(of_query) < 0).any():
        raise ValueError("positives must be sorted by the query: positives[np.argsort(positives[:, 0], kind='stable')]")
    counts = np.bincount(of_query, minlength=queries)
    if not counts.all():
        raise ValueError(f"every query needs a positive, but the query in row {np.argmin(counts)} has none")
    return counts


@dataclass(slots=True)
class _Block:
    """The candidates of a block of queries, best first."""

    first: int
    scores: Scores  # (queries, candidates)
    indices: Rows  # (queries, candidates)
    positives: Rows  # (positives, 2)
    positive_scores: Scores  # (positives,)
    corpus: int  # rows

    def chosen(
        self, rules: NegativeRules, last_rank: int, rescore: Rescore | None, random: np.random.Generator
    ) -> Negatives:
        """What the rules leave and take."""
        is_positive = self._is_positive()
        if rescore is not None:
            self._rescore(rescore, is_positive)
        stays = np.ones_like(is_positive) if rules.include_positives else ~is_positive
        candidates, removed = int(stays.sum()), {}
        for rule, is_out in self._rulings(rules):
            removed[rule] = int((stays & is_out).sum())
            stays &= ~is_out
        scores = np.where(stays, self.scores, np.float32(-np.inf))
        ranked = np.argsort(-scores, axis=1, kind="stable")[:, rules.range_min : last_rank]
        taken = _taken(np.take_along_axis(stays, ranked, 1), rules, random)
        columns = np.take_along_axis(ranked, taken, 1)
        found = np.take_along_axis(stays, columns, 1)
        return Negatives(
            self.first,
            _widened(np.where(found, np.take_along_axis(self.indices, columns, 1), -1), rules.num_negatives, -1),
            _widened(np.take_along_axis(scores, columns, 1), rules.num_negatives, -np.inf),
            self.positives,
            self.positive_scores,
            candidates,
            removed,
        )

    def _is_positive(self) -> NDArray[np.bool_]:
        return np.isin(self._keys(), self._positive_keys())

    def _keys(self) -> Rows:
        """A number for each pair of a query and a passage, (queries, candidates)."""
        return np.arange(len(self.indices))[:, None] * self.corpus + self.indices

    def _positive_keys(self) -> Rows:
        return (self.positives[:, 0] - self.first) * self.corpus + self.positives[:, 1]

    def _rescore(self, rescore: Rescore, is_positive: NDArray[np.bool_]) -> None:
        """Each pair is asked once: candidates that are positives get the positives' scores."""
        rows, places = np.nonzero(~is_positive)
        of_query = np.concatenate([rows + self.first, self.positives[:, 0]])
        of_corpus = np.concatenate([self.indices[rows, places], self.positives[:, 1]])
        scores = np.asarray(rescore(of_query, of_corpus), np.float32).reshape(-1)
        if scores.shape != of_query.shape or not np.isfinite(scores).all():
            raise ValueError(
                f"rescoring must give one finite score for each pair, but gave {scores.size} scores for "
                f"{len(of_query)} pairs, {np.count_nonzero(~np.isfinite(scores))} of them NaN or infinite"
            )
        self.scores, self.positive_scores = self.scores.copy(), scores[len(rows) :]
        self.scores[rows, places] = scores[: len(rows)]
        keys = self._positive_keys()
        order = np.argsort(keys)
        places_of_positives = order[np.searchsorted(keys[order], self._keys()[is_positive])]
        self.scores[is_positive] = self.positive_scores[places_of_positives]

    def _rulings(self, rules: NegativeRules) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Each rule that judges scores, and what it removes."""
        lowest = _lowest(self.positives, self.positive_scores)[:, None]
        if rules.absolute_margin is not None:
            yield "absolute_margin", self.scores + np.float32(rules.absolute_margin) > lowest
        if rules.relative_margin is not None:
            yield "relative_margin", self.scores > lowest - abs(lowest) * np.float32(rules.relative_margin)
        if rules.max_score is not None:
            yield "max_score", self.scores > np.float32(rules.max_score)
        if rules.min_score is not None:
            yield "min_score", self.scores < np.float32(rules.min_score)


def _lowest(positives: Rows, scores: Scores) -> Scores:
    starts = np.flatnonzero(np.diff(positives[:, 0], prepend=-1))
    return np.minimum.reduceat(scores, starts)


def _taken(stays: NDArray[np.bool_], rules: NegativeRules, random: np.random.Generator) -> Rows:
    """Places of the ranked candidates (queries, ranks) that are taken, in rising order; those that stay come first."""
    if rules.sampling_strategy == "top":
        return np.broadcast_to(np.arange(stays.shape[1]), stays.shape)[:, : rules.num_negatives]
    drawn = np.where(stays, random.random(stays.shape), np.inf)  # the lowest are a sample without replacement
    return np.sort(np.argsort(drawn, axis=1)[:, : rules.num_negatives], axis=1)


def _widened(table: NDArray[Any], width: int, value: float) -> NDArray[Any]:
    """The table with more columns of ``value``, up to ``width``."""
    return np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=value)
