"""Duplicates among many texts: those that are equal, and those whose vectors are more alike than a threshold.

All pairs are compared, block by block. Pairs above the threshold join into groups, the connected components of their
graph, which are kept as a union-find does it: each row points to the first of its group. So two texts can be in one
group that are not alike themselves, where others lie between them.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.search.semantic import reaching, scores_of_pairs, unit_vectors
from likewise.similarity import SimilarityFunction

ALIKE = 1 - 2**-21  # the cosine of a vector with itself is at least that, by the rounding of its length
BLOCK = 2048  # rows: a table of scores of 16 MiB


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which rows are alike, and why."""

    first: NDArray[np.int64]  # (rows,), the first row of each one's group: of a row that stands for a group, itself
    alike: NDArray[np.int64]  # (rows,), the first other row that each is above the threshold with; itself for none
    scores: NDArray[np.float32]  # (rows,), the cosine with that row; 1 with itself
    equal: NDArray[np.bool_]  # (rows,), whether ``alike`` is the same text, which comes earlier

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which rows stand for their groups: (rows,)."""
        return self.first == np.arange(len(self.first))


def find_duplicates(
    texts: Sequence[str], encode: Callable[[list[str]], NDArray[Any]] | None = None, threshold: float = 0.95
) -> Duplicates:
    """Groups of ``texts`` that are equal or, by the vectors that ``encode`` gives, above ``threshold``.

    Each different text is encoded once, blank ones never. Without ``encode`` only equal texts are found. The rest is as
    in exact_duplicates and near_duplicates.
    """
    first = exact_duplicates(texts)
    alike, scores = first.copy(), np.ones(len(texts), np.float32)
    equal = first != np.arange(len(texts))
    different = np.array([row for row in np.flatnonzero(~equal).tolist() if texts[row].strip()], np.int64)
    if encode is not None and len(different) > 1:
        near = near_duplicates(encode([texts[row] for row in different.tolist()]), threshold)
        first[different], alike[different], scores[different] = (
            different[near.first],
            different[near.alike],
            near.scores,
        )
        first = first[first]  # of an equal text to the first of the other's group
    return Duplicates(first, alike, scores, equal)


def exact_duplicates(texts: Iterable[str]) -> NDArray[np.int64]:
    """For each text the first that equals it, itself where it is the first: row numbers (texts,).

    Texts are equal whatever their white space, and however Unicode spells their characters (NFC). Case counts, and so
    do characters that only look alike: nothing is lost that reads otherwise.
    """
    places: dict[str, int] = {}
    found = [places.setdefault(_normalized(text), row) for row, text in enumerate(texts)]
    return np.array(found, np.int64)


def near_duplicates(vectors: NDArray[Any], threshold: float = 0.95, block: int = BLOCK) -> Duplicates:
    """Groups of rows of ``vectors`` (rows, dim) that are linked by cosines of at least ``threshold``.

    ``block``, in rows, bounds the memory beside the vectors and does not change the result: what float32 cannot decide
    is decided in float64.

    Raises:
        ValueError: The threshold is not above 0 and at most 1, or the vectors hold NaN or infinity.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold must be above 0 and at most 1, not {threshold}")
    first = np.arange(len(vectors))
    alike = np.full(len(vectors), len(vectors))
    for rows, columns in _pairs_above(vectors, threshold, block):
        np.minimum.at(alike, rows, columns)
        np.minimum.at(alike, columns, rows)
        _join(first, rows, columns)
    alike = np.where(alike < len(vectors), alike, np.arange(len(vectors)))
    scores = np.ones(len(vectors), np.float32)
    linked = np.flatnonzero(alike != np.arange(len(vectors)))
    scores[linked] = scores_of_pairs(vectors, vectors, linked, alike[linked], SimilarityFunction.COSINE)
    return Duplicates(first, alike, scores, np.zeros(len(vectors), bool))


def _normalized(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _pairs_above(
    vectors: NDArray[Any], threshold: float, block: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs i < j whose cosine is at least ``threshold``, those of one block of rows by another at a time."""
    limit = np.float32(min(threshold, ALIKE))
    for start in range(0, len(vectors), block):
        left = unit_vectors(vectors[start : start + block], start)
        for other in range(start, len(vectors), block):
            right = left if other == start else unit_vectors(vectors[other : other + block], other)
            near = reaching(left, right, limit)
            rows, columns = np.nonzero(np.triu(near, 1) if other == start else near)
            yield rows + start, columns + other


def _join(first: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
    """Make one group of the groups of ``rows[i]`` and ``columns[i]``, for each i: changes ``first`` (rows,)."""
    while True:
        one, other = first[rows], first[columns]
        apart = one != other
        if not apart.any():
            return
        rows, columns, one, other = rows[apart], columns[apart], one[apart], other[apart]
        np.minimum.at(first, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(first[first], first):
            first[:] = first[first]
