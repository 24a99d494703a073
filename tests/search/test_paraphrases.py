"""Paraphrase mining: the same pairs as when each is compared with each, whatever the blocks."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise import util
from likewise.search import paraphrase_mining, paraphrase_mining_embeddings
from likewise.similarity import cos_sim, dot_score, euclidean_sim
from tests.evaluation.fixed_model import FixedModel


def all_pairs(vectors: Any, top_k: int, max_pairs: int) -> dict[tuple[int, int], float]:
    """Every pair that one of its two has among its ``top_k``, by cosine in float64; without ties."""
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    table = unit @ unit.T
    np.fill_diagonal(table, -np.inf)
    best = np.argsort(-table, axis=1)[:, :top_k]
    proposed = {(i, j): table[i, j] for i, j in combinations(range(len(vectors)), 2) if j in best[i] or i in best[j]}
    return dict(sorted(proposed.items(), key=lambda item: -item[1])[:max_pairs])


@settings(max_examples=60)
@given(
    rows=st.integers(2, 40),
    top_k=st.integers(1, 12),
    max_pairs=st.integers(1, 200),
    chunk=st.integers(1, 45),
    seed=st.integers(0, 10**6),
)
def test_the_best_pairs_are_found_whatever_the_blocks(
    rows: int, top_k: int, max_pairs: int, chunk: int, seed: int
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32)
    found = paraphrase_mining_embeddings(vectors, chunk, chunk, max_pairs, top_k)
    expected = all_pairs(vectors, top_k, max_pairs)
    assert [(i, j) for _, i, j in found] == list(expected)
    np.testing.assert_allclose([score for score, _, _ in found], list(expected.values()), atol=1e-6)
    assert util.paraphrase_mining_embeddings(torch.from_numpy(vectors), chunk, chunk, max_pairs, top_k) == found


def test_equal_texts_are_pairs_and_no_text_is_its_own() -> None:
    vectors = np.array([[1, 0]] * 5 + [[0, 1]], dtype=np.float32)
    found = paraphrase_mining_embeddings(vectors, top_k=3)
    assert found[:3] == [[1.0, 0, 1], [1.0, 0, 2], [1.0, 0, 3]]
    assert all(i < j for _, i, j in found)
    assert len({(i, j) for _, i, j in found}) == len(found)


@pytest.mark.parametrize(("score", "expected"), [(dot_score, [12.0, 0, 1]), (euclidean_sim, [-2.0, 0, 2])])
def test_other_scores(score: Any, expected: list[float]) -> None:
    vectors = np.array([[3, 0], [4, 5], [3, 2]], dtype=np.float32)
    found = paraphrase_mining_embeddings(vectors, score_function=score)
    assert expected in found
    assert found == sorted(found, key=lambda pair: -pair[0])


def test_a_function_of_your_own_gets_tensors_in_util() -> None:
    def mine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b.T

    vectors = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    found = util.paraphrase_mining_embeddings(vectors, 4, 5, score_function=mine)
    expected = paraphrase_mining_embeddings(vectors, score_function=dot_score)
    assert [pair[1:] for pair in found] == [pair[1:] for pair in expected]
    np.testing.assert_allclose([pair[0] for pair in found], [pair[0] for pair in expected], rtol=1e-5)


def test_texts_are_embedded_as_asked() -> None:
    texts = ["tea one", "rain one", "tea two"]
    model: Any = FixedModel()
    found = paraphrase_mining(model, texts, batch_size=2, truncate_dim=5, prompt="the ")
    ((_, given_texts, settings_given),) = model.calls
    assert given_texts == texts
    assert (settings_given["batch_size"], settings_given["truncate_dim"], settings_given["prompt"]) == (2, 5, "the ")
    assert found == util.paraphrase_mining(model, texts, batch_size=2, truncate_dim=5, prompt="the ")
    assert len(found) == 3


def test_nothing_gives_nothing() -> None:
    assert paraphrase_mining_embeddings(np.empty((0, 4), np.float32)) == []
    assert paraphrase_mining_embeddings(np.ones((1, 4), np.float32)) == []
    assert paraphrase_mining_embeddings(np.ones((3, 4), np.float32), top_k=0) == []
    assert paraphrase_mining_embeddings(np.ones((3, 4), np.float32), max_pairs=0) == []
    with pytest.raises(ValueError, match="chunks must be at least 1"):
        paraphrase_mining_embeddings(np.ones((3, 4), np.float32), query_chunk_size=0)


def test_with_a_function_of_your_own_only_the_best_pairs_are_held() -> None:
    """The proposals of one block and the best so far: far less than all pairs at once."""
    import tracemalloc

    vectors = np.random.default_rng(1).normal(size=(1200, 4)).astype(np.float32)
    peaks = []
    for chunk in (50, 1200):
        tracemalloc.start()
        paraphrase_mining_embeddings(vectors, chunk, chunk, 100, 100, lambda a, b: a @ b.T)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 2


@pytest.mark.parametrize("score", [cos_sim, dot_score, lambda a, b: a @ b.T], ids=["cosine", "dot", "function"])
def test_what_is_not_finite_is_named_with_its_row(score: Any) -> None:
    vectors = np.ones((5, 2), np.float32)
    vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 3 of .*, counted from 0, holds NaN"):
        paraphrase_mining_embeddings(vectors, score_function=score)


def test_a_function_of_your_own_gives_the_pairs_that_products_give() -> None:
    vectors = np.random.default_rng(5).integers(-2, 3, (90, 4)).astype(np.float32)
    ours, own = (
        paraphrase_mining_embeddings(vectors, 20, 30, 400, 7, score)
        for score in (dot_score, lambda a, b: dot_score(a, b))
    )
    assert ours == own
