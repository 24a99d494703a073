"""Communities: groups of rows that are all alike to one of them, the centre, in memory that does not grow with pairs.

Which rows are alike is not kept, for that may be nearly all pairs. A first pass over the products, each computed once,
only counts the rows that are alike to each. Then the rows with the most come first, and their products are computed
anew, unless an earlier community has them by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.engine.processor import available_cores
from likewise.engine.workers import in_threads
from likewise.search.semantic import as_rows, products_of_pairs, reaching, rows_for_products
from likewise.similarity import cos_sim

CELLS_AT_ONCE = 2**24  # of the table of which rows are alike to some that may be centres, a byte each


def community_detection(
    embeddings: Any,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
    show_progress_bar: bool = False,
) -> list[list[int]]:
    """Groups of at least ``min_community_size`` row numbers, the largest first; no row is in two of them.

    embeddings (rows, dim), an array, a list or a tensor. The first of a group is its centre; the others have a cosine
    of at least ``threshold`` to it and stand in the order of their cosines, equal ones by row. The row to which most
    are alike is the first to be a centre, of equal ones the first row; a row becomes one only if it is in no group yet
    and enough of those alike to it are not either. ``batch_size`` rows are compared with as many at once by each core;
    it does not change the result.

    Raises:
        ValueError: A size is below 1, or the embeddings hold NaN or infinity or have no rows of equal length.
    """
    if min_community_size < 1 or batch_size < 1:
        raise ValueError(f"sizes must be at least 1, but {min_community_size=}, {batch_size=}")
    embeddings = as_rows(embeddings, "embeddings")
    if len(embeddings) < min_community_size:
        return []
    threads = available_cores()
    vectors = rows_for_products(embeddings, cos_sim, threads)
    limit = np.float32(threshold)
    counts = _counts(vectors, limit, batch_size, threads, show_progress_bar)
    by_count = np.argsort(-counts, kind="stable")
    waiting = by_count[counts[by_count] >= min_community_size]
    is_taken = np.zeros(len(vectors), bool)
    communities = []
    for centre, alike in _rows_alike(vectors, waiting, is_taken, limit, batch_size, threads):
        members = np.flatnonzero(alike & ~is_taken)
        if len(members) < min_community_size:
            continue
        others = members[members != centre]
        scores = products_of_pairs(vectors, vectors, np.full(len(others), centre), others)
        communities.append([centre, *others[np.argsort(-scores, kind="stable")].tolist()])
        is_taken[communities[-1]] = True
    return sorted(communities, key=len, reverse=True)


def _counts(
    vectors: NDArray[np.float32], limit: np.float32, size: int, threads: int, show_progress_bar: bool
) -> NDArray[np.int64]:
    """How many rows are alike to each, itself included, (rows,)."""
    from tqdm import tqdm

    starts = range(0, len(vectors), size)
    tiles = [(first, second) for first in starts for second in starts if first <= second]

    def computed(corner: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first, second = corner
        alike = reaching(vectors[first : first + size], vectors[second : second + size], limit)
        return np.count_nonzero(alike, axis=1), np.count_nonzero(alike, axis=0)

    counts = np.zeros(len(vectors), np.int64)
    found = tqdm(in_threads(computed, tiles, threads), "Comparing", len(tiles), disable=not show_progress_bar)
    for (first, second), (of_rows, of_columns) in zip(tiles, found, strict=True):
        counts[first : first + size] += of_rows
        if first != second:
            counts[second : second + size] += of_columns
    return counts


def _rows_alike(
    vectors: NDArray[np.float32],
    waiting: NDArray[np.int64],
    is_taken: NDArray[np.bool_],
    limit: np.float32,
    size: int,
    threads: int,
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Of ``waiting``, in order, each row that is not taken when its turn comes, and which rows are alike to it."""
    at_once = max(1, min(size, CELLS_AT_ONCE // len(vectors)))
    while len(waiting):
        some, waiting = waiting[:at_once], waiting[at_once:]
        centres = vectors[some]

        def computed(start: int, centres: NDArray[np.float32] = centres) -> NDArray[np.bool_]:
            return reaching(centres, vectors[start : start + size], limit)

        table = np.concatenate(list(in_threads(computed, range(0, len(vectors), size), threads)), axis=1)
        for centre, alike in zip(some.tolist(), table, strict=True):
            if not is_taken[centre]:
                yield centre, alike
        waiting = waiting[~is_taken[waiting]]
