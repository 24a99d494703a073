import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from likewise import similarity, util

FIRST = [[0.3, -1.2, 0.5, 2.0], [0.0, 0.0, 0.0, 0.0], [1.5, 0.25, -0.75, 0.1]]
SECOND = [[0.2, -1.0, 0.75, 1.5], [-2.0, 0.5, 0.5, 0.25], [0.0, 3.0, -1.0, 0.5]]

INCUMBENT: dict[str, Any] = {  # what sentence-transformers 6.2.0 returns for FIRST and SECOND
    "cos_sim": [[0.9822328, -0.0876289, -0.4027503], [0.0, 0.0, 0.0], [-0.1087336, -0.888905, 0.2850341]],
    "dot_score": [[4.6350002, -0.45, -3.1000004], [0.0, 0.0, 0.0], [-0.3625, -3.2249999, 1.55]],
    "euclidean_sim": [
        [-0.6020797, -3.3529837, -4.71487],
        [-1.9627787, -2.1360009, -3.2015622],
        [-2.7317576, -3.7279351, -3.1678069],
    ],
    "manhattan_sim": [[-1.0500001, -5.75, -7.5], [-3.45, -3.25, -4.5], [-5.4500003, -5.1500001, -4.9000001]],
    "pairwise_cos_sim": [0.9822328, 0.0, 0.2850341],
    "pairwise_dot_score": [4.6350002, 0.0, 1.55],
    "pairwise_euclidean_sim": [-0.6020797, -2.1360009, -3.1678069],
    "pairwise_manhattan_sim": [-1.0500001, -3.25, -4.9000001],
}

KINDS: dict[str, Callable[[list[list[float]]], Any]] = {
    "list": list,
    "array": np.array,
    "reversed rows": lambda rows: np.array(rows[::-1])[::-1],
    "list of arrays": lambda rows: list(np.array(rows)),
    "tensor": torch.tensor,
    "list of tensors": lambda rows: list(torch.tensor(rows)),
}


def read_only(rows: list[list[float]]) -> NDArray[np.float64]:
    array = np.array(rows)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("name", INCUMBENT)
@pytest.mark.parametrize("first_kind", KINDS)
@pytest.mark.parametrize("second_kind", KINDS)
def test_scores_are_tensors_with_the_incumbents_values(name: str, first_kind: str, second_kind: str) -> None:
    scores = getattr(util, name)(KINDS[first_kind](FIRST), KINDS[second_kind](SECOND))
    assert isinstance(scores, torch.Tensor)
    np.testing.assert_allclose(scores.numpy(), INCUMBENT[name], atol=1e-6, rtol=0)


def test_the_older_name_of_the_cosine_is_kept() -> None:
    assert util.pytorch_cos_sim is util.cos_sim


def test_a_read_only_array_is_taken_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert util.dot_score(read_only(FIRST), read_only(SECOND)).shape == (3, 3)


def test_a_float64_array_stays_float64_and_unchanged() -> None:
    vectors = np.array(FIRST)
    assert util.cos_sim(vectors, vectors).dtype == torch.float64
    assert vectors.tolist() == FIRST


def test_the_gradient_flows_through_the_tensors() -> None:
    first = torch.tensor(FIRST, requires_grad=True)
    util.cos_sim(first, np.array(SECOND)).sum().backward()
    assert first.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_normalised_embeddings_are_tensors(kind: str) -> None:
    unit = util.normalize_embeddings(KINDS[kind](FIRST))
    assert isinstance(unit, torch.Tensor)
    expected = [
        [0.1247836, -0.4991342, 0.2079726, 0.8318903],
        [0.0, 0.0, 0.0, 0.0],
        [0.8831172, 0.1471862, -0.4415586, 0.0588745],
    ]
    np.testing.assert_allclose(unit.numpy(), expected, atol=1e-6, rtol=0)


def test_truncating_keeps_the_kind_and_all_without_a_number() -> None:
    array, tensor = np.array(FIRST), torch.tensor(FIRST)
    assert isinstance(util.truncate_embeddings(array, 2), np.ndarray)
    assert util.truncate_embeddings(array, 2).tolist() == [row[:2] for row in FIRST]
    assert util.truncate_embeddings(tensor, 3).shape == (3, 3)
    assert util.truncate_embeddings(tensor[0], 3).shape == (3,)
    assert util.truncate_embeddings(array, None).shape == util.truncate_embeddings(array, 9).shape == (3, 4)
    with pytest.raises(ValueError, match="truncate_dim must be at least 1, or None, not 0"):
        util.truncate_embeddings(array, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_search_finds_what_the_incumbent_finds(kind: str) -> None:
    def places(results: list[list[dict[str, int | float]]]) -> list[list[int | float]]:
        return [[found["corpus_id"] for found in result] for result in results]

    def scores(results: list[list[dict[str, int | float]]]) -> list[int | float]:
        return [found["score"] for result in results for found in result]

    first, second = KINDS[kind](FIRST), KINDS[kind](SECOND)
    by_cosine = util.semantic_search(first, second, top_k=2)
    assert places(by_cosine) == [[0, 1], [0, 1], [2, 0]]
    assert scores(by_cosine) == pytest.approx([0.9822328, -0.0876289, 0, 0, 0.2850341, -0.1087336], abs=1e-6)
    by_product = util.semantic_search(first[0], second, top_k=5, score_function=util.dot_score)
    assert places(by_product) == [[0, 1, 2]]
    assert scores(by_product) == pytest.approx([4.6350002, -0.45, -3.1000004], abs=1e-6)
    by_distance = util.semantic_search(first[:1], second, top_k=2, score_function=util.euclidean_sim)
    assert places(by_distance) == [[0, 1]]
    assert scores(by_distance) == pytest.approx([-0.6020797, -3.3529837], abs=1e-6)


def test_a_score_function_of_ones_own_gets_tensors_in_their_type() -> None:
    seen: list[tuple[Any, ...]] = []

    def shared_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((type(a), a.dtype, a.shape, type(b), b.dtype, b.shape))
        return (a[:, None] & b).sum(-1)

    bits = np.array([[1, 0, 1], [1, 1, 1]], np.uint8)
    results = util.semantic_search(bits[0], bits, score_function=shared_bits)
    assert results == [[{"corpus_id": 0, "score": 2.0}, {"corpus_id": 1, "score": 2.0}]]
    assert seen == [(torch.Tensor, torch.uint8, (1, 3), torch.Tensor, torch.uint8, (2, 3))]


@pytest.mark.parametrize("room", [util, similarity])
@pytest.mark.parametrize("name", ["cos_sim", "dot_score"])
def test_both_rooms_cosine_and_product_run_as_products(room: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[object] = []
    monkeypatch.setattr("likewise.search.semantic.semantic_search", lambda *arguments: searched.append(arguments[-1]))
    util.semantic_search(FIRST, SECOND, score_function=getattr(room, name))
    assert searched == [getattr(similarity, name)]
