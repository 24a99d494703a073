import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import likewise.search
from likewise.search.semantic import semantic_search, top_k
from likewise.similarity import cos_sim, dot_score, euclidean_sim, manhattan_sim

Score = Callable[[Any, Any], Any]

SCORES = [cos_sim, dot_score, euclidean_sim, manhattan_sim]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def crowded(seed: int, rows: int, dim: int, kinds: int) -> NDArray[np.float32]:
    """Rows drawn from few different vectors, some of them zero and some that differ in the last bits only."""
    generator = np.random.default_rng(seed)
    originals = generator.standard_normal((kinds, dim)).astype(np.float32)
    originals[0] = 0
    vectors = originals[generator.integers(0, kinds, rows)]
    nudged = generator.random((rows, dim)) < 0.2 / dim
    return np.nextafter(vectors, np.float32(9), where=nudged, out=vectors.copy())


def same(
    actual: tuple[NDArray[np.float32], NDArray[np.int64]], expected: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    np.testing.assert_array_equal(actual[1], expected[1])
    np.testing.assert_array_equal(actual[0], expected[0])


@pytest.mark.parametrize("score", SCORES)
@given(
    queries=st.integers(1, 20),
    entries=st.integers(1, 70),
    dim=st.integers(1, 40),
    kinds=st.integers(1, 30),
    k=st.integers(1, 80),
    query_block=st.integers(1, 25),
    corpus_block=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_and_company_do_not_change_a_bit(
    score: Score,
    queries: int,
    entries: int,
    dim: int,
    kinds: int,
    k: int,
    query_block: int,
    corpus_block: int,
    seed: int,
) -> None:
    corpus = crowded(seed, entries, dim, kinds)
    asked = np.concatenate([crowded(seed, queries, dim, kinds), corpus[:1]])

    scores, indices = top_k(asked, corpus, k, score)

    same(top_k(asked, corpus, k, score, query_block, corpus_block, threads=3), (scores, indices))
    same(top_k(asked, corpus, k, score, query_block, corpus_block, threads=1), (scores, indices))
    same(top_k(np.asfortranarray(asked), np.asfortranarray(corpus), k, score, 3, 7), (scores, indices))
    same(top_k(asked[-1], corpus, k, score), (scores[-1:], indices[-1:]))
    order = np.lexsort((indices, -scores))
    assert (order == np.arange(indices.shape[1])).all(), "equal scores stand in the order of the corpus"


@given(
    queries=st.integers(0, 6),
    entries=st.integers(0, 40),
    dim=st.integers(1, 5),
    k=st.integers(0, 50),
    corpus_block=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_dot_products_of_integers_are_ranked_as_by_sorting(
    queries: int, entries: int, dim: int, k: int, corpus_block: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    asked, corpus = (generator.integers(-2, 3, (rows, dim)).astype(np.float32) for rows in (queries, entries))

    scores, indices = top_k(asked, corpus, k, dot_score, 4, corpus_block)

    assert scores.shape == indices.shape == (queries, min(k, entries))
    assert scores.dtype == np.float32
    assert indices.dtype == np.int64
    for query, row_scores, row_indices in zip(asked, scores, indices, strict=True):
        ranked = sorted((-dot(query, entry), place) for place, entry in enumerate(corpus))[:k]
        assert row_indices.tolist() == [place for _, place in ranked]
        assert row_scores.tolist() == [-score for score, _ in ranked]


@given(
    queries=st.integers(1, 5),
    entries=st.integers(1, 40),
    dim=st.integers(1, 30),
    k=st.integers(1, 12),
    corpus_block=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_entry_that_was_left_out_has_a_higher_cosine(
    queries: int, entries: int, dim: int, k: int, corpus_block: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    asked, corpus = (generator.standard_normal((rows, dim)) for rows in (queries, entries))
    scores, indices = top_k(asked, corpus, k, corpus_block=corpus_block)
    for query, row_scores, row_indices in zip(asked, scores, indices, strict=True):
        cosines = [dot(query, entry) / math.sqrt(dot(query, query) * dot(entry, entry)) for entry in corpus]
        np.testing.assert_allclose(row_scores, sorted(cosines, reverse=True)[:k], atol=3e-7)
        np.testing.assert_allclose(row_scores, [cosines[place] for place in row_indices], atol=3e-7)


@pytest.mark.parametrize("falling", [True, False])
@pytest.mark.parametrize("score", [dot_score, lambda a, b: a @ b.T], ids=["products", "function"])
def test_the_order_of_the_corpus_does_not_matter(score: Score, falling: bool) -> None:
    corpus = np.arange(3000, dtype=np.float32)[:: -1 if falling else 1, None]
    _, indices = top_k(np.array([[1.0], [-1.0]]), corpus, 3, score, corpus_block=100)
    assert indices.tolist() == ([[0, 1, 2], [2999, 2998, 2997]] if falling else [[2999, 2998, 2997], [0, 1, 2]])


def test_products_that_cancel_are_ranked_by_their_exact_value() -> None:
    """In float32 the sum of each row, 2²⁴ + 1 - 2²⁴ and so on, is rounded away in some order or other."""
    big = 2.0**24
    corpus = np.array([[big, 1, -big, 0], [big, 3, -big, 0], [-big, 2, big, 0], [0, 0, 0, 2.5]], np.float32)
    scores, indices = top_k(np.ones(4), corpus, 4, dot_score, corpus_block=2)
    assert indices.tolist() == [[1, 3, 2, 0]]
    assert scores.tolist() == [[3, 2.5, 2, 1]]


@pytest.mark.parametrize(
    "kind",
    [
        lambda vectors: vectors.astype(np.float16),
        lambda vectors: vectors.astype(np.int8),
        lambda vectors: vectors.tolist(),
        lambda vectors: torch.from_numpy(vectors).bfloat16().requires_grad_(),
        lambda vectors: torch.from_numpy(vectors).to(torch.int8),
        lambda vectors: list(torch.from_numpy(vectors)),
    ],
    ids=["float16", "int8", "list", "bfloat16 tensor", "int8 tensor", "list of tensors"],
)
@pytest.mark.parametrize(
    "score", [*SCORES, lambda a, b: dot_score(a, b)], ids=[*[s.__name__ for s in SCORES], "function"]
)
def test_every_kind_of_vectors_is_searched(kind: Callable[[NDArray[np.float64]], Any], score: Score) -> None:
    asked, corpus = (np.random.default_rng(seed).integers(-9, 10, (9, 4)).astype(float) for seed in (0, 1))
    scores, indices = top_k(kind(asked), kind(corpus), 5, score, 4, 4)
    expected_scores, expected_indices = top_k(asked, corpus, 5, score)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-6, atol=1e-6)


def test_a_function_of_ones_own_gets_the_blocks_as_they_are() -> None:
    seen: list[tuple[torch.dtype, tuple[int, ...], tuple[int, ...]]] = []

    def shared_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((a.dtype, tuple(a.shape), tuple(b.shape)))
        return (a[:, None] & b).sum(-1)

    bits = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=torch.uint8)
    results = semantic_search(bits[:2], bits, 1, 2, 2, shared_bits)
    assert seen == [(torch.uint8, (1, 3), (entries, 3)) for entries in (2, 2, 1, 1)]
    assert [[found["corpus_id"] for found in result] for result in results] == [[0, 1], [1, 0]]


def test_minus_infinity_is_a_score_like_any_other() -> None:
    table = np.array([[-np.inf, 1.0, -np.inf, np.inf]])
    scores, indices = top_k([[1.0]], np.zeros((4, 1)), 3, lambda a, b: table[:, : len(b)])
    assert indices.tolist() == [[3, 1, 0]]
    assert scores.tolist() == [[np.inf, 1, -np.inf]]


@pytest.mark.parametrize("score", [cos_sim, dot_score, lambda a, b: dot_score(a, b)], ids=["cosine", "dot", "function"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor])
def test_what_is_not_finite_is_named_with_its_row(score: Score, wrong: float, convert: Callable[[Any], Any]) -> None:
    sound, broken = np.ones((5, 2), np.float32), np.ones((5, 2), np.float32)
    broken[3, 1] = wrong
    for block in (1, 2, 5):
        with pytest.raises(ValueError, match="row 3 of queries, counted from 0, holds NaN, infinity or"):
            top_k(convert(broken), convert(sound), 2, score, block, block)
        with pytest.raises(ValueError, match="row 3 of corpus, counted from 0, holds NaN, infinity or"):
            top_k(convert(sound), convert(broken), 2, score, block, block)


def test_numbers_beyond_float32_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 1 of corpus.* numbers too large for float32"):
        top_k([[1.0]], np.array([[1.0], [1e200]]), 1)


def test_a_function_that_returns_nan_or_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="the score function returned NaN"):
        top_k([[1.0]], [[1.0]], 1, lambda a, b: np.full((1, 1), np.nan))
    with pytest.raises(ValueError, match=r"must return a table of shape \(1, 2\), but returned \(2,\)"):
        top_k([[1.0]], [[1.0], [2.0]], 1, lambda a, b: np.zeros(2))


def test_shapes_and_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"same dimension, but their shapes are \(2, 3\) and \(4, 5\)"):
        top_k(np.zeros((2, 3)), np.zeros((4, 5)), 1)
    with pytest.raises(ValueError, match=r"corpus must have the shape \(rows, dim\) or \(dim,\), not \(1, 2, 3\)"):
        top_k(np.zeros((2, 3)), torch.zeros(1, 2, 3), 1)
    with pytest.raises(ValueError, match="k=-1"):
        top_k([[1.0]], [[1.0]], -1)
    with pytest.raises(ValueError, match="query_block=0"):
        top_k([[1.0]], [[1.0]], 1, query_block=0)
    with pytest.raises(ValueError, match="corpus_block=0"):
        semantic_search([[1.0]], [[1.0]], corpus_chunk_size=0, score_function=euclidean_sim)


@pytest.mark.parametrize("nothing", [np.zeros(0), np.zeros((0, 2)), [], torch.zeros(0)], ids=repr)
def test_no_queries_and_an_empty_corpus_give_no_results(nothing: Any) -> None:
    assert semantic_search(nothing, np.ones((3, 2))) == []
    assert semantic_search(np.ones((3, 2)), nothing) == [[], [], []]
    assert semantic_search(nothing, nothing) == []


def test_results_are_lists_of_dictionaries_best_first() -> None:
    corpus = np.array([[2.0, 0.0], [0.0, 0.5], [3.0, 4.0], [0.0, 0.0]])
    assert semantic_search([1.0, 0.0], corpus, top_k=9) == [
        [
            {"corpus_id": 0, "score": 1.0},
            {"corpus_id": 2, "score": pytest.approx(0.6)},
            {"corpus_id": 1, "score": 0.0},
            {"corpus_id": 3, "score": 0.0},
        ]
    ]
    (found,) = semantic_search([[1.0, 0.0]], corpus, score_function=dot_score, top_k=1)
    assert found == [{"corpus_id": 2, "score": 3.0}]
    assert {type(value) for value in found[0].values()} == {int, float}
    assert len(semantic_search(np.ones(2), np.ones((40, 2)))[0]) == 10


def test_the_room_offers_both_functions() -> None:
    assert likewise.search.top_k is top_k
    assert likewise.search.semantic_search is semantic_search


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_that_of_one_block(dtype: type[np.floating[Any]]) -> None:
    asked, corpus = (np.random.default_rng(rows).standard_normal((rows, 32)).astype(dtype) for rows in (300, 60000))
    tracemalloc.start()
    try:
        top_k(asked, corpus, 10, query_block=100, corpus_block=1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20 < corpus.nbytes


@pytest.mark.parametrize("value", [0, 1])
def test_equal_scores_everywhere_need_no_more_memory_than_a_block(value: float) -> None:
    corpus = np.full((30000, 64), value, np.float32)
    tracemalloc.start()
    try:
        _, indices = top_k(np.ones((40, 64)), corpus, 3, query_block=40, corpus_block=500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (indices == [0, 1, 2]).all()
    assert peak < 8 * 2**20 < 40 * len(corpus) * 8
