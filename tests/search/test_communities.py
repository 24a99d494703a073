"""Communities: those of the rule told in a few obvious lines, whatever the blocks."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import util
from likewise.search import communities, community_detection
from likewise.similarity import normalize_embeddings
from tests.search.test_semantic import crowded


def by_the_rule(table: NDArray[np.float32], threshold: float, least: int) -> list[list[int]]:
    """From cosines (rows, rows): the row with most that are alike, and these; then the next, of those that are left."""
    rows = range(len(table))
    alike = [[j for j in rows if table[i, j] >= np.float32(threshold)] for i in rows]
    groups: list[list[int]] = []
    taken: set[int] = set()
    for centre in sorted(rows, key=lambda i: -len(alike[i])):
        if centre in taken or len(alike[centre]) < least:
            continue
        members = [j for j in alike[centre] if j not in taken]
        if len(members) < least:
            continue
        others = sorted((j for j in members if j != centre), key=lambda j: -table[centre, j])
        groups.append([centre, *others])
        taken |= {centre, *others}
    return sorted(groups, key=len, reverse=True)


def exact_cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """In float64, of the rows of length 1 in float32, pair by pair."""
    unit = normalize_embeddings(vectors).astype(np.float64)
    return np.array([[np.einsum("i,i->", a, b) for b in unit] for a in unit], np.float32).reshape(len(unit), len(unit))


@settings(max_examples=120)
@given(
    rows=st.integers(0, 40),
    dim=st.integers(1, 6),
    kinds=st.integers(1, 12),
    threshold=st.sampled_from([-1.0, 0.0, 0.3, 0.75, 0.9, 1.0, 1.5]),
    least=st.integers(1, 8),
    batch=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_groups_are_those_of_the_rule(
    rows: int, dim: int, kinds: int, threshold: float, least: int, batch: int, seed: int
) -> None:
    """Vectors that are equal, zero, or differ in the last bits only: at a threshold of 1 these decide."""
    vectors = crowded(seed, rows, dim, kinds)
    vectors[1::3] += np.random.default_rng(seed).normal(scale=0.3, size=vectors[1::3].shape)
    found = community_detection(vectors, threshold, least, batch)
    assert found == by_the_rule(exact_cosines(vectors), threshold, least)
    assert util.community_detection(torch.from_numpy(vectors), threshold, least, batch) == found


@given(seed=st.integers(0, 2**32 - 1))
def test_a_cosine_that_is_the_threshold_reaches_it(seed: int) -> None:
    """A product in float32 is mostly a bit more or less than that."""
    vectors = np.random.default_rng(seed).normal(size=(12, 70)).astype(np.float32)
    table = exact_cosines(vectors)
    for pair in ((0, 1), (2, 3), (4, 5)):
        threshold = float(table[pair])
        assert community_detection(vectors, threshold, 2) == by_the_rule(table, threshold, 2)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("cells", [1, 700, 2**24])
def test_threads_and_room_do_not_change_a_group(threads: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    vectors = (random.normal(size=(30, 16))[random.integers(0, 30, 300)] + 0.4 * random.normal(size=(300, 16))).astype(
        np.float32
    )
    expected = by_the_rule(exact_cosines(vectors), 0.75, 3)
    assert len(expected) > 15
    monkeypatch.setattr(communities, "available_cores", lambda: threads)
    monkeypatch.setattr(communities, "CELLS_AT_ONCE", cells)
    assert community_detection(vectors, 0.75, 3, 64) == expected


def test_equal_rows_everywhere_are_one_group_in_little_memory() -> None:
    vectors = np.ones((1500, 4), np.float32)
    tracemalloc.start()
    try:
        found = community_detection(vectors, batch_size=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [list(range(1500))]
    assert peak < 2 * 2**20 < 1500 * 1500


@pytest.mark.parametrize("kind", [np.ndarray.tolist, torch.tensor, lambda vectors: list(torch.tensor(vectors))])
def test_every_kind_of_vectors(kind: Any) -> None:
    vectors = np.array([[1, 0], [0, 1], [2, 0.1], [0, 3], [1, 0.2]], np.float32)
    assert community_detection(kind(vectors), 0.9, 2) == [[0, 2, 4], [1, 3]]


def test_nothing_gives_nothing_and_what_is_wrong_is_named() -> None:
    assert community_detection(np.empty((0, 4), np.float32)) == []
    assert community_detection([]) == []
    assert community_detection(np.ones((9, 4), np.float32)) == []
    assert community_detection(np.ones(4, np.float32), min_community_size=1) == [[0]]
    with pytest.raises(ValueError, match="min_community_size=0"):
        community_detection(np.ones((9, 4)), min_community_size=0)
    with pytest.raises(ValueError, match="batch_size=0"):
        community_detection(np.ones((9, 4)), batch_size=0)
    broken = np.ones((12, 2))
    broken[7, 1] = np.inf
    with pytest.raises(ValueError, match="row 7 of embeddings, counted from 0, holds NaN, infinity"):
        community_detection(broken)


def test_a_bar_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    community_detection(np.ones((12, 2)))
    assert not capsys.readouterr().err
    community_detection(np.ones((12, 2)), show_progress_bar=True)
    assert "Comparing" in capsys.readouterr().err
