"""Duplicates are the connected components of a graph that is drawn here one pair at a time, in float64."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from likewise.search import exact_duplicates, find_duplicates, near_duplicates


def vectors_in_groups(seed: int, rows: int, spread: float) -> np.ndarray:
    """Some directions, and rows around them."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(5, 6))
    noise = spread * random.normal(size=(rows, 6))
    return (centres[random.integers(5, size=rows)] + noise).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 40),
    spread=st.sampled_from([0.05, 0.2, 0.5]),
    threshold=st.sampled_from([0.5, 0.9, 0.97, 0.999]),
    block=st.integers(1, 50),
)
def test_groups_are_connected_components(seed: int, rows: int, spread: float, threshold: float, block: int) -> None:
    vectors = vectors_in_groups(seed, rows, spread)
    found = near_duplicates(vectors, threshold, block)
    exact = vectors.astype(np.float64)
    unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    cosines = unit @ unit.T
    linked = (cosines >= threshold) & ~np.eye(rows, dtype=bool)
    if rows:
        _, groups = connected_components(coo_array(linked), directed=False)
        assert found.first.tolist() == [groups.tolist().index(group) for group in groups]
    alike = [next(iter(np.flatnonzero(linked[row])), row) for row in range(rows)]
    assert found.alike.tolist() == alike
    np.testing.assert_allclose(found.scores, [cosines[row, other] for row, other in enumerate(alike)], atol=1e-6)


def test_a_chain_is_one_group_and_names_the_link() -> None:
    angles = np.radians([0, 40, 20, 90])
    found = near_duplicates(np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.9)
    assert found.first.tolist() == [0, 0, 0, 3]
    assert found.alike.tolist() == [2, 2, 0, 3]
    np.testing.assert_allclose(found.scores, [np.cos(np.radians(20))] * 3 + [1], rtol=1e-6)


@given(size=st.integers(1, 5000), seed=st.integers(0, 9))
def test_a_long_chain_in_any_order_is_one_group(size: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(size)
    angles = order * (np.pi / 2 / 5000)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = near_duplicates(vectors, float(np.cos(1.5 * np.pi / 2 / 5000)))
    assert not found.first.any()


def test_the_threshold_itself_is_decided_the_same_way_in_any_block() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(60, 384)).astype(np.float32)
    near_duplicates(vectors)
    score = near_duplicates(vectors, 1e-6).scores[7]  # a cosine that occurs
    results = [near_duplicates(vectors, float(score), block) for block in (1, 7, 59, 60)]
    for result in results[1:]:
        np.testing.assert_array_equal(result.first, results[0].first)
        np.testing.assert_array_equal(result.alike, results[0].alike)


def test_memory_is_that_of_a_block() -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    peaks = []
    for block in (100, 3000):
        tracemalloc.start()
        near_duplicates(vectors, 0.9, block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 10


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_threshold_that_cannot_be_meant(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"must be above 0 and at most 1, not {threshold}"):
        near_duplicates(np.ones((2, 2)), threshold)


def test_vectors_that_are_not_numbers() -> None:
    with pytest.raises(ValueError, match="row 1 of the vectors, counted from 0, holds NaN"):
        near_duplicates(np.array([[1, 0], [np.nan, 1]]))


def test_equal_texts_are_those_that_read_the_same() -> None:
    texts = ["a cup of café", " a\tcup of  cafe\u0301\n", "A cup of café", "x²", "x2", "", " \u00a0 ", "a cup of café"]
    assert exact_duplicates(texts).tolist() == [0, 0, 2, 3, 4, 5, 5, 0]
    assert exact_duplicates([]).shape == (0,)


def test_equal_texts_and_near_ones_join_into_the_same_groups() -> None:
    texts = ["tea", "", "rain", " tea", "more tea", "", "train", "more  tea"]
    given: list[str] = []

    def encode(different: list[str]) -> np.ndarray:
        given.extend(different)
        return np.array([[1, 0.1 * text.count("more"), 0] if "tea" in text else [0, 0, 1] for text in different])

    found = find_duplicates(texts, encode, 0.99)
    assert given == ["tea", "rain", "more tea", "train"]
    assert found.first.tolist() == [0, 1, 2, 0, 0, 1, 2, 0]
    assert found.alike.tolist() == [4, 1, 6, 0, 0, 1, 2, 4]
    assert found.equal.tolist() == [False, False, False, True, False, True, False, True]
    assert found.kept.tolist() == [True, True, True, *[False] * 5]
    np.testing.assert_allclose(found.scores, [1.01**-0.5, 1, 1, 1, 1.01**-0.5, 1, 1, 1], rtol=1e-6)
    assert find_duplicates(texts).first.tolist() == [0, 1, 2, 0, 4, 1, 6, 4]
    assert find_duplicates([], encode).first.shape == (0,)


def test_a_vector_is_a_duplicate_of_itself_at_any_threshold() -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 384)).astype(np.float32)
    found = near_duplicates(np.concatenate([vectors, vectors]), 1)
    assert (found.first == np.tile(np.arange(200), 2)).all()
