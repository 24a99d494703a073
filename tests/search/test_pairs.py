"""The best pairs: those of sorting all of them, to the bit, whatever the tiles, the threads and the room."""

import tracemalloc
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise.search import pairs as pairs_module
from likewise.search.pairs import Pairs, best_pairs
from tests.search.test_semantic import crowded

Found = list[tuple[float, int, int]]


def listed(pairs: Pairs) -> Found:
    return list(zip(pairs.scores.tolist(), pairs.first.tolist(), pairs.second.tolist(), strict=True))


def by_sorting(table: list[list[float]], k: int, most: int) -> Found:
    """Each row proposes the ``k`` others that are best in ``table``, of equal ones the first; the best of these."""
    rows = range(len(table))
    near = [sorted((j for j in rows if j != i), key=lambda j: (-table[i][j], j))[:k] for i in rows]
    proposed = [(table[i][j], i, j) for i, j in combinations(rows, 2) if j in near[i] or i in near[j]]
    return sorted(proposed, key=lambda pair: (-pair[0], *pair[1:]))[:most]


shapes = {
    "rows": st.integers(0, 60),
    "dim": st.integers(1, 12),
    "k": st.integers(0, 30),
    "most": st.integers(0, 300),
    "tile": st.integers(1, 70),
    "room": st.integers(0, 400),
    "threads": st.integers(1, 3),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(max_examples=150)
@given(offset=st.sampled_from([0, 3000, 2**20]), **shapes)
def test_products_are_ranked_as_by_sorting(
    rows: int, dim: int, k: int, most: int, tile: int, room: int, threads: int, seed: int, offset: int
) -> None:
    """Integers, whose products are exact in float64, few and different in the last bits of float32, if at all.

    So ties decide which pairs are proposed and which are the last, and products in float32 cannot.
    """
    vectors = np.random.default_rng(seed).integers(-2, 3, (rows, dim)) + offset
    exact = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in vectors.tolist()] for x in vectors.tolist()]
    table = [[float(np.float32(product)) for product in row] for row in exact]
    found = listed(best_pairs(vectors.astype(np.float32), k, most, threads, tile, room))
    assert found == by_sorting(table, k, most)


@settings(max_examples=100)
@given(kinds=st.integers(1, 40), **shapes)
def test_tiles_threads_and_room_do_not_change_a_bit(
    rows: int, dim: int, k: int, most: int, tile: int, room: int, threads: int, seed: int, kinds: int
) -> None:
    """Vectors that are equal, zero, or differ in the last bits only."""
    vectors = crowded(seed, rows, dim, kinds)
    found = listed(best_pairs(vectors, k, most, threads, tile, room))
    assert found == listed(best_pairs(vectors, k, most, threads=1))
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.testing.assert_allclose([pair[0] for pair in found], [exact[i, j] for _, i, j in found], rtol=1e-6, atol=1e-6)


def test_negative_zero_equals_zero() -> None:
    tiny = 1e-30  # whose square is 0 in float32, and -0 with the other sign
    vectors = np.array([[-tiny], [tiny], [-tiny], [tiny]], np.float32)
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert [pair[1:] for pair in listed(best_pairs(vectors, 3, 9, 1))] == pairs
    assert [pair[1:] for pair in listed(best_pairs(vectors, 1, 9, 1))] == pairs[:3]


def test_rows_of_very_different_lengths() -> None:
    random = np.random.default_rng(0)
    vectors = (random.standard_normal((80, 6)) * 10.0 ** random.integers(-12, 12, (80, 1))).astype(np.float32)
    wide = vectors.astype(np.float64)
    expected = by_sorting((wide @ wide.T).tolist(), 4, 150)
    found = listed(best_pairs(vectors, 4, 150, 2, 16, 50))
    assert [pair[1:] for pair in found] == [pair[1:] for pair in expected]


def clustered(rows: int) -> NDArray[np.float32]:
    random = np.random.default_rng(3)
    centres = random.standard_normal((rows // 20, 8))
    vectors = centres[random.integers(0, len(centres), rows)] + 0.1 * random.standard_normal((rows, 8))
    return vectors.astype(np.float32)


@pytest.mark.parametrize("vectors", [clustered(2500), np.ones((2500, 8), np.float32)], ids=["clusters", "all equal"])
def test_memory_does_not_grow_with_the_number_of_pairs(vectors: NDArray[np.float32]) -> None:
    """Of 3,123,750 pairs, 37 MB, those that gather are few, even where all are equal."""
    best_pairs(vectors[:300], 5, 100, 2, 128, 2**12)
    tracemalloc.start()
    try:
        found = best_pairs(vectors, 50, 1000, 2, 128, 2**12)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 1000
    assert peak < 8 * 2**20


def test_each_product_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = []
    original = pairs_module._of_tile

    def watched(vectors: Any, first: int, second: int, *others: Any) -> Pairs:
        corners.append((first, second))
        return original(vectors, first, second, *others)

    monkeypatch.setattr(pairs_module, "_of_tile", watched)
    best_pairs(clustered(100), 5, 50, 1, tile=30)
    assert corners == [(a, b) for a in range(0, 100, 30) for b in range(a, 100, 30)]
