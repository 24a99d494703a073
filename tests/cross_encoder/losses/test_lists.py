"""Losses of lists against slow references in float64, one list and one document at a time, and by property."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.cross_encoder import losses
from likewise.cross_encoder.losses.adr_mse import adr_mse
from likewise.cross_encoder.losses.lambda_loss import lambda_loss
from likewise.cross_encoder.losses.list_net import list_net
from likewise.cross_encoder.losses.lists import equally_long
from likewise.cross_encoder.losses.plist_mle import LAMBDA_WEIGHT, plist_mle
from likewise.cross_encoder.losses.weighting_schemes import WeightingScheme

Lists = Sequence[Sequence[float]]
Core = Callable[[Tensor, Tensor, "np.ndarray[tuple[int], np.dtype[np.int64]]"], Tensor]

SCHEMES: dict[str, WeightingScheme] = {
    "none": losses.NoWeightingScheme(),
    "NDCGLoss1": losses.NDCGLoss1Scheme(),
    "NDCGLoss2": losses.NDCGLoss2Scheme(),
    "LambdaRank": losses.LambdaRankScheme(),
    "NDCGLoss2PP": losses.NDCGLoss2PPScheme(mu=3.0),
}


CORES: dict[str, Core] = {
    "ListNet": list_net,
    "ListMLE": partial(plist_mle, respect_input_order=False),
    "ListMLE, as they are": plist_mle,
    "PListMLE": partial(plist_mle, weights=LAMBDA_WEIGHT, respect_input_order=False),
    "ADRMSE": partial(adr_mse, alpha=2.0),
    **{f"Lambda, {name}": partial(lambda_loss, weighting_scheme=SCHEMES[name], k=3, sigma=1.5) for name in SCHEMES},
}


def drawn(counts: Sequence[int], seed: int) -> tuple[list[list[float]], list[list[float]]]:
    random = np.random.default_rng(seed)
    scores = [random.normal(size=count).tolist() for count in counts]
    return scores, [random.integers(0, 4, count).astype(float).tolist() for count in counts]


def packed(scores: Lists, labels: Lists) -> tuple[Tensor, Tensor, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    flat = [torch.tensor([number for row in rows for number in row], dtype=torch.float64) for rows in (scores, labels)]
    return flat[0], flat[1], np.array([len(row) for row in scores])


# The textbook, one document at a time


def softmax(numbers: Sequence[float]) -> list[float]:
    return [math.exp(number) / sum(map(math.exp, numbers)) for number in numbers]


def slow_list_net(scores: Lists, labels: Lists) -> float:
    entropies = [
        -sum(gold * math.log(own) for gold, own in zip(softmax(golds), softmax(owns), strict=True))
        for owns, golds in zip(scores, labels, strict=True)
    ]
    return sum(entropies) / len(entropies)


def slow_list_mle(scores: Lists, labels: Lists, weight: Callable[[int, int], float] | None = None) -> float:
    total = 0.0
    for owns, golds in zip(scores, labels, strict=True):
        order = sorted(range(len(owns)), key=lambda place: -golds[place])
        weights = [1.0] * len(owns)
        if weight is not None:
            weights = [weight(rank, len(owns)) for rank in range(1, len(owns) + 1)]
            weights = [number / (sum(weights) or 1) for number in weights]
        for turn, place in enumerate(order):
            left = [owns[other] for other in order[turn:]]
            likelihood = owns[place] - math.log(sum(map(math.exp, left)))
            total -= likelihood * weights[turn]
    return total / len(scores)


def slow_adr_mse(scores: Lists, labels: Lists, alpha: float) -> float:
    errors = []
    for owns, golds in zip(scores, labels, strict=True):
        for place, gold in enumerate(golds):
            sharing = [rank for rank, other in enumerate(sorted(golds, reverse=True), 1) if other == gold]
            rank = sum(sharing) / len(sharing)
            others = [own for other, own in enumerate(owns) if other != place]
            smooth = 1 + sum(1 / (1 + math.exp(-alpha * (own - owns[place]))) for own in others)
            errors.append((rank - smooth) ** 2 / math.log2(1 + rank))
    return sum(errors) / len(errors)


def dcg(golds: Sequence[float], k: int | None = None) -> float:
    return sum((2**gold - 1) / math.log2(1 + rank) for rank, gold in enumerate(golds[:k], 1))


def slow_weight(name: str, golds: Sequence[float], i: int, j: int, k: int | None) -> float:
    """Of the pair of the documents at i and j of a list that is sorted by score."""
    best = max(dcg(sorted(golds, reverse=True), k), 1e-10)
    gains = [(2**gold - 1) / best for gold in golds]
    if name == "none":
        return 1.0
    if name == "NDCGLoss1":
        return gains[i] / math.log2(2 + i)
    if name == "NDCGLoss2":
        apart = abs(i - j)
        return abs(1 / math.log2(1 + apart) - 1 / math.log2(2 + apart)) * abs(gains[i] - gains[j])
    if name == "LambdaRank":
        swapped = list(golds)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        return abs(dcg(swapped) - dcg(golds)) / best
    return 3.0 * slow_weight("NDCGLoss2", golds, i, j, k) + slow_weight("LambdaRank", golds, i, j, k)


def slow_lambda(name: str, scores: Lists, labels: Lists, k: int | None, sigma: float) -> float:
    terms = []
    for owns, golds in zip(scores, labels, strict=True):
        order = sorted(range(len(owns)), key=lambda place: -owns[place])
        own, gold = [owns[place] for place in order], [golds[place] for place in order]
        for i in range(len(own)):
            for j in range(len(own)):
                is_near = k is None or min(i, j) < k
                if is_near and (name == "NDCGLoss1" or gold[i] > gold[j]):
                    likelihood = 1 / (1 + math.exp(-sigma * (own[i] - own[j])))
                    terms.append(-slow_weight(name, gold, i, j, k) * math.log2(likelihood))
    return sum(terms) / max(len(terms), 1)


list_lengths = st.lists(st.integers(1, 8), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15)


@few
@given(counts=list_lengths, seed=seeds)
def test_list_net_is_the_textbooks(counts: list[int], seed: int) -> None:
    lists = drawn(counts, seed)
    assert list_net(*packed(*lists)).item() == pytest.approx(slow_list_net(*lists), rel=1e-9)


@few
@given(counts=list_lengths, seed=seeds)
def test_list_mle_is_the_textbooks(counts: list[int], seed: int) -> None:
    scores, labels = drawn(counts, seed)
    expected = slow_list_mle(scores, labels)
    assert plist_mle(*packed(scores, labels), None, False).item() == pytest.approx(expected, rel=1e-9)
    rows = [sorted(zip(*row, strict=True), key=lambda pair: -pair[1]) for row in zip(scores, labels, strict=True)]
    in_order = packed([[own for own, _ in row] for row in rows], [[gold for _, gold in row] for row in rows])
    assert plist_mle(*in_order, None, True).item() == pytest.approx(expected, rel=1e-9)


@few
@given(counts=list_lengths, seed=seeds)
def test_position_aware_list_mle_is_the_textbooks(counts: list[int], seed: int) -> None:
    lists = drawn(counts, seed)
    expected = slow_list_mle(*lists, lambda rank, length: 2.0 ** (length - rank) - 1)
    assert plist_mle(*packed(*lists), LAMBDA_WEIGHT, False).item() == pytest.approx(expected, rel=1e-7)


@few
@given(counts=list_lengths, seed=seeds, alpha=st.floats(0.5, 4))
def test_adr_mse_is_the_textbooks(counts: list[int], seed: int, alpha: float) -> None:
    lists = drawn(counts, seed)
    assert adr_mse(*packed(*lists), alpha).item() == pytest.approx(slow_adr_mse(*lists, alpha), rel=1e-6)


@pytest.mark.parametrize("name", SCHEMES)
@few
@given(counts=list_lengths, seed=seeds, k=st.none() | st.integers(1, 9), sigma=st.floats(0.5, 3))
def test_lambda_loss_is_the_textbooks(name: str, counts: list[int], seed: int, k: int | None, sigma: float) -> None:
    lists = drawn(counts, seed)
    found = lambda_loss(*packed(*lists), SCHEMES[name], k, sigma)
    assert found.item() == pytest.approx(slow_lambda(name, *lists, k, sigma), rel=1e-9)
    natural = lambda_loss(*packed(*lists), SCHEMES[name], k, sigma, reduction_log="natural")
    assert natural.item() == pytest.approx(found.item() * math.log(2), rel=1e-9)


# Properties of all of them


@pytest.mark.parametrize("name", CORES)
@few
@given(counts=list_lengths, seed=seeds)
def test_the_order_of_lists_does_not_matter(name: str, counts: list[int], seed: int) -> None:
    scores, labels = drawn(counts, seed)
    some = CORES[name](*packed(scores, labels))
    others = CORES[name](*packed(scores[::-1], labels[::-1]))
    torch.testing.assert_close(some, others, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in CORES if name != "ListMLE, as they are"])
def test_the_order_of_documents_does_not_matter(name: str) -> None:
    scores, labels = [[0.3, -1.0, 2.0, 0.7]], [[1.0, 3.0, 0.0, 2.0]]  # no ties, which keep their order
    some = CORES[name](*packed(scores, labels))
    torch.testing.assert_close(some, CORES[name](*packed([scores[0][::-1]], [labels[0][::-1]])))


@pytest.mark.parametrize("name", CORES)
@few
@given(counts=st.lists(st.integers(1, 6), min_size=2, max_size=5), seed=seeds)
def test_a_lists_gradient_comes_from_its_own_documents(name: str, counts: list[int], seed: int) -> None:
    scores, labels, lengths = packed(*drawn(counts, seed))
    changed = scores.clone()
    changed[: counts[0]] *= 2  # another first list, in the same order, so that as many pairs count
    gradients = []
    for values in (scores, changed):
        leaf = values.clone().requires_grad_()
        CORES[name](leaf, labels, lengths).backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad[counts[0] :])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CORES)
def test_a_list_of_one_document_has_nothing_to_learn(name: str) -> None:
    scores = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    loss = CORES[name](scores, torch.tensor([2.0], dtype=torch.float64), np.array([1]))
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.item() == pytest.approx(0, abs=1e-12)
    expected = 3 / 3 / 1 if name == "Lambda, NDCGLoss1" else 0.0  # its only pair is the document with itself
    assert loss.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in CORES if name.startswith("Lambda") and name != "Lambda, NDCGLoss1"])
def test_equal_labels_have_no_pairs(name: str) -> None:
    scores = torch.tensor([0.5, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    loss = CORES[name](scores, torch.full((3,), 2.0, dtype=torch.float64), np.array([3]))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["ListNet", "ListMLE", "PListMLE", "Lambda, none", "Lambda, LambdaRank", "ADRMSE"])
def test_the_right_order_is_better_than_the_wrong_one(name: str) -> None:
    labels = [[3.0, 2.0, 1.0, 0.0]]
    values = [CORES[name](*packed([scores], labels)).item() for scores in ([3, 2, 1, 0], [3, 2, 0, 1], [0, 1, 2, 3])]
    assert all(better < worse for better, worse in pairwise(values))


def test_lists_of_one_length_come_together() -> None:
    scores = torch.arange(9.0)
    found = list(equally_long(scores, 10 * scores, np.array([2, 3, 2, 1, 1])))
    assert [own.tolist() for own, _ in found] == [[[7], [8]], [[0, 1], [5, 6]], [[2, 3, 4]]]
    assert all(torch.equal(gold, 10 * own) for own, gold in found)


def test_many_documents_do_not_overflow() -> None:
    count = 300
    scores = torch.linspace(1, -1, count, requires_grad=True)
    loss = plist_mle(scores, torch.arange(count, 0, -1.0), np.array([count]), LAMBDA_WEIGHT)
    loss.backward()
    assert scores.grad is not None
    assert math.isfinite(loss.item())
    assert bool(scores.grad.isfinite().all())
