"""The pairs of rows that are most alike, where each row proposes its nearest others: each product computed once.

The table of all products is symmetric, so only the tiles on and above its diagonal are computed, several at once. A
tile gives the pairs that may still be proposed by the row of one side or of the other. They gather until there are
twice as many as were last kept; then what their rows no longer propose, and what can no longer be among the best, is
dropped. The floors below which nothing counts rise with it, so later tiles give ever fewer.

As in semantic.py, products in float32 only choose, with a margin for their rounding. What is left at the end is scored
again in float64: the result is the same to the bit whatever the tiles and the threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.engine.workers import in_threads
from likewise.search.semantic import products_of_pairs, rounding
from likewise.similarity import lengths

TILE = 2048  # rows and columns: 16 MiB of products, so that selecting takes little beside multiplying
ROOM = 2**20  # pairs that gather at least before any is dropped, at 12 bytes each
PAIRS_AT_ONCE = 2**15  # scored again by a thread before it takes the next


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows, each once."""

    first: NDArray[np.int32]  # (pairs,)
    second: NDArray[np.int32]  # (pairs,), always greater
    scores: NDArray[np.float32]  # (pairs,)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Pairs:
        return Pairs(self.first[chosen], self.second[chosen], self.scores[chosen])


def best_pairs(
    vectors: NDArray[np.float32], k: int, most: int, threads: int, tile: int = TILE, room: int = ROOM
) -> Pairs:
    """The ``most`` pairs with the highest dot product of those that a row proposes, best first, equal ones by rows.

    vectors (rows, dim), finite. Each row proposes the ``k`` others with the highest product; of equal ones, the first.
    Memory holds ``threads`` tiles, and about four pairs for each of the ``most``, or two for each proposal if these are
    fewer.
    """
    rows = len(vectors)
    if min(k, most, rows - 1) < 1:
        nothing = np.empty(0, np.int32)
        return Pairs(nothing, nothing, np.empty(0, np.float32))
    size = lengths(vectors)
    margins = rounding(vectors.shape[1], size * size.max())
    floors = np.full(rows, -np.inf, np.float32)
    starts = range(0, rows, tile)
    tiles = ((first, second) for first in starts for second in starts if first <= second)

    def computed(corner: tuple[int, int]) -> Pairs:
        return _of_tile(vectors, *corner, tile, k, floors, margins)

    held: list[Pairs] = []
    limit = room
    for found in in_threads(computed, tiles, threads):
        held.append(found)
        if sum(map(len, held)) > limit:
            pairs = _hopeful(_joined(held), k, most, floors, margins)
            if len(pairs) > 2 * min(rows * k, 2 * most) + room:  # so many are equal, or nearly
                pairs = _ranked(_scored(vectors, pairs, threads), rows, k, proposals=2 * most)
            held, limit = [pairs], 2 * len(pairs) + room
    pairs = _hopeful(_joined(held), k, most, floors, margins)
    return _ranked(_scored(vectors, pairs, threads), rows, k)[:most]


def _joined(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _of_tile(
    vectors: NDArray[np.float32],
    first: int,
    second: int,
    size: int,
    k: int,
    floors: NDArray[np.float32],
    margins: NDArray[np.float32],
) -> Pairs:
    """The pairs of a tile that reach the floor of one of their rows, with their products in float32.

    ``floors`` (rows,) rise where the tile itself shows that they may. Another thread may be raising the same ones:
    whichever number stays is a floor.
    """
    upper, left = slice(first, first + size), slice(second, second + size)
    table = vectors[upper] @ vectors[left].T
    if first == second:
        np.fill_diagonal(table, -np.inf)

    def reaching() -> NDArray[np.bool_]:
        fitting = table >= floors[upper, None]
        fitting |= table >= floors[left]
        return fitting

    fitting = reaching()
    if np.count_nonzero(fitting) > k * sum(table.shape):
        for side, part in ((table, upper), (table.T, left)):
            np.maximum(floors[part], _reached(side, k) - margins[part], out=floors[part])
        fitting = reaching()
    if first == second:
        fitting = np.triu(fitting, 1)
    places = np.flatnonzero(fitting)
    rows, columns = np.divmod(places, table.shape[1])
    return Pairs((rows + first).astype(np.int32), (columns + second).astype(np.int32), table.ravel()[places])


def _reached(table: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A number that at least ``k`` entries of each row reach, and few more: (rows,); -inf where there are fewer."""
    columns = table.shape[1]
    if columns < k:
        return np.full(len(table), -np.inf, np.float32)
    # The k-th best of the maxima of groups is at most the k-th best of all, and mostly close to it: four times as fast.
    group = max(1, min(4, columns // (4 * k)))
    width = columns // group
    maxima = table[:, :width]
    for start in range(width, group * width, width):
        maxima = np.maximum(maxima, table[:, start : start + width])
    reached: NDArray[np.float32] = np.partition(np.ascontiguousarray(maxima), -k, axis=1)[:, -k]
    return reached


def _hopeful(pairs: Pairs, k: int, most: int, floors: NDArray[np.float32], margins: NDArray[np.float32]) -> Pairs:
    """The pairs that may still be in the result; ``floors`` rise to what was found."""
    rows = len(floors)
    keys, ends = _by_row(pairs, rows)
    kth = _kth(keys, ends, k)
    np.maximum(floors, kth - margins, out=floors)
    # Of proposals, as opposed to pairs, no later tile can make those above a score fewer; a pair has two at most.
    counts = np.diff(ends, prepend=0)
    if np.minimum(counts, k).sum() > 2 * most:
        rank = np.repeat(ends, counts) - np.arange(len(keys))
        proposals = keys[rank <= k] & _LOW
        last = _scores_in(np.partition(proposals, -2 * most)[-2 * most, None])
        np.maximum(floors, last - margins.max(), out=floors)
    return pairs[(pairs.scores >= floors[pairs.first]) | (pairs.scores >= floors[pairs.second])]


def _scored(vectors: NDArray[np.float32], pairs: Pairs, threads: int) -> Pairs:
    """The pairs with their exact products, rounded to float32."""
    parts = (pairs[start : start + PAIRS_AT_ONCE] for start in range(0, len(pairs), PAIRS_AT_ONCE))

    def computed(part: Pairs) -> NDArray[np.float32]:
        return products_of_pairs(vectors, vectors, part.first, part.second)

    scores = list(in_threads(computed, parts, threads))
    return Pairs(pairs.first, pairs.second, np.concatenate(scores) if scores else pairs.scores)


def _ranked(pairs: Pairs, rows: int, k: int, proposals: int | None = None) -> Pairs:
    """The pairs that a row proposes, best first, equal ones by rows; no more than have so many ``proposals`` in all."""
    proposed = _proposals(pairs, rows, k)
    kept = np.flatnonzero(proposed)
    kept = kept[np.argsort(pairs.first[kept].astype(np.int64) * rows + pairs.second[kept])]
    kept = kept[np.argsort(-pairs.scores[kept], kind="stable")]
    if proposals is not None:
        kept = kept[: np.searchsorted(np.cumsum(proposed[kept]), proposals) + 1]
    return pairs[kept]


def _proposals(pairs: Pairs, rows: int, k: int) -> NDArray[np.int8]:
    """By how many of its two rows each pair is proposed, (pairs,)."""
    kth = _kth(*_by_row(pairs, rows), k)
    row = np.concatenate([pairs.first, pairs.second])
    other = np.concatenate([pairs.second, pairs.first])
    scores = np.concatenate([pairs.scores, pairs.scores])
    taken = scores > kth[row]
    room = k - np.bincount(row[taken], minlength=rows)
    level = np.flatnonzero(scores == kth[row])  # of these, the first others are taken
    level = level[np.lexsort((other[level], row[level]))]
    starts = np.searchsorted(row[level], np.arange(rows))
    rank = np.arange(len(level)) - starts[row[level]]
    taken[level[rank < room[row[level]]]] = True
    return taken[: len(pairs)].astype(np.int8) + taken[len(pairs) :]


# A row and a score in one number, because numpy sorts numbers many times faster than it finds the order of pairs

_LOW = np.uint64(2**32 - 1)
_SIGN = np.uint32(2**31)


def _by_row(pairs: Pairs, rows: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Both directions of each pair by row, worst first, (2 · pairs,), and where each row ends, (rows,)."""
    bits = pairs.scores.view(np.uint32)
    bits = np.where(bits & _SIGN, ~bits, bits | _SIGN)  # as integers these rise with the scores
    keys = np.concatenate([pairs.first, pairs.second]).astype(np.uint64) << np.uint64(32)
    keys |= np.concatenate([bits, bits])
    keys.sort()
    counts = np.bincount(pairs.first, minlength=rows) + np.bincount(pairs.second, minlength=rows)
    return keys, np.cumsum(counts)


def _scores_in(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    bits = (keys & _LOW).astype(np.uint32)
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)


def _kth(keys: NDArray[np.uint64], ends: NDArray[np.int64], k: int) -> NDArray[np.float32]:
    """The ``k``-th best score of each row, (rows,); -inf where there are fewer."""
    kth = np.full(len(ends), -np.inf, np.float32)
    enough = np.diff(ends, prepend=0) >= k
    kth[enough] = _scores_in(keys[ends[enough] - k])
    return kth
