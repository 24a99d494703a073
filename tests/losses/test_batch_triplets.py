"""The triplets of a batch, mined by loops over texts in float64."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.losses.batch_all_triplet import batch_all_triplet
from likewise.losses.batch_hard_soft_margin_triplet import batch_hard_soft_margin_triplet
from likewise.losses.batch_hard_triplet import batch_hard_triplet
from likewise.losses.batch_semi_hard_triplet import batch_semi_hard_triplet
from likewise.losses.batch_triplets import BatchHardTripletLossDistanceFunction

MARGIN = 1.0


def positives(labels: list[int], anchor: int) -> list[int]:
    return [text for text, label in enumerate(labels) if label == labels[anchor] and text != anchor]


def negatives(labels: list[int], anchor: int) -> list[int]:
    return [text for text, label in enumerate(labels) if label != labels[anchor]]


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean() if values else torch.zeros((), dtype=torch.float64)


def all_by_loops(distances: Tensor, labels: list[int]) -> Tensor:
    found = [
        distances[anchor, positive] - distances[anchor, negative] + MARGIN
        for anchor in range(len(labels))
        for positive in positives(labels, anchor)
        for negative in negatives(labels, anchor)
    ]
    return mean([loss for loss in found if loss > 0])


def hardest(distances: Tensor, labels: list[int], anchor: int) -> Tensor:
    """The furthest positive's distance, 0 without one, less that to the nearest negative, or to the furthest text."""
    alike = [distances[anchor, text] for text in positives(labels, anchor)]
    others = [distances[anchor, text] for text in negatives(labels, anchor)]
    furthest = distances[anchor].max()
    return max(alike, key=Tensor.item, default=torch.tensor(0.0)) - min(others, key=Tensor.item, default=furthest)


def hard_by_loops(distances: Tensor, labels: list[int]) -> Tensor:
    return mean([(hardest(distances, labels, anchor) + MARGIN).relu() for anchor in range(len(labels))])


def soft_by_loops(distances: Tensor, labels: list[int]) -> Tensor:
    return mean([(1 + hardest(distances, labels, anchor).exp()).log() for anchor in range(len(labels))])


def semi_hard_by_loops(distances: Tensor, labels: list[int]) -> Tensor:
    found = []
    for anchor in range(len(labels)):
        others = [distances[anchor, text] for text in negatives(labels, anchor)]
        for positive in positives(labels, anchor):
            near = distances[anchor, positive]
            beyond = [distance for distance in others if distance > near]
            furthest = max(others, key=Tensor.item, default=distances[anchor, anchor])
            found.append((near - min(beyond, key=Tensor.item, default=furthest) + MARGIN).relu())
    return mean(found)


MINERS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, list[int]], Tensor]]] = {
    "all": (lambda distances, labels: batch_all_triplet(distances, labels, MARGIN), all_by_loops),
    "hard": (lambda distances, labels: batch_hard_triplet(distances, labels, MARGIN), hard_by_loops),
    "soft": (batch_hard_soft_margin_triplet, soft_by_loops),
    "semi-hard": (lambda distances, labels: batch_semi_hard_triplet(distances, labels, MARGIN), semi_hard_by_loops),
}


def embeddings_of(rows: int, seed: int, whole: bool) -> Tensor:
    """(rows, 3) in float64; whole numbers from 0 to 2 have many equal distances, and 0 among them."""
    generator = torch.Generator().manual_seed(seed)
    if whole:
        return torch.randint(0, 3, (rows, 3), generator=generator).double()
    return torch.randn(rows, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("miner", MINERS)
@settings(max_examples=60)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=9), seed=st.integers(0, 2**32 - 1), whole=st.booleans())
def test_a_miner_finds_what_loops_find(miner: str, labels: list[int], seed: int, whole: bool) -> None:
    ours, by_loops = MINERS[miner]
    points = embeddings_of(len(labels), seed, whole)
    distances = torch.stack([(point - points).norm(dim=1) for point in points])
    mine, loops = distances.clone().requires_grad_(), distances.clone().requires_grad_()
    value, expected = ours(mine, torch.tensor(labels)), by_loops(loops, labels)
    torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-12)
    if not whole:  # of equal distances, either one may take the gradient
        value.backward()
        if expected.requires_grad:
            expected.backward()
        else:
            loops.grad = torch.zeros_like(loops)
        assert mine.grad is not None
        assert loops.grad is not None
        off_diagonal = ~torch.eye(len(labels), dtype=torch.bool)  # a text's distance to itself is constant
        torch.testing.assert_close(mine.grad[off_diagonal], loops.grad[off_diagonal], atol=1e-12, rtol=1e-12)


@given(rows=st.integers(1, 6), seed=st.integers(0, 2**32 - 1), whole=st.booleans())
def test_distances_are_those_of_each_to_each(rows: int, seed: int, whole: bool) -> None:
    points = embeddings_of(rows, seed, whole).requires_grad_()
    offered = BatchHardTripletLossDistanceFunction
    distances = offered.euclidean_distance(points)
    squares = offered.euclidean_distance(points, squared=True)
    cosines = offered.cosine_distance(points)
    for i in range(rows):
        for j in range(rows):
            exact = sum((x - y) ** 2 for x, y in zip(points[i].tolist(), points[j].tolist(), strict=True))
            assert distances[i, j].item() == pytest.approx(exact**0.5, abs=1e-12)
            assert squares[i, j].item() == pytest.approx(exact, abs=1e-12)
            cosine = torch.nn.functional.cosine_similarity(points[i], points[j], dim=0).item()
            assert cosines[i, j].item() == pytest.approx(1 - cosine, abs=1e-12)
    (distances.sum() + squares.sum()).backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()  # where texts are equal, too


def test_nearly_equal_texts_keep_their_distance() -> None:
    """In float32 ``|a|² − 2ab + |b|²`` gives 0 or 1e-2 for these."""
    points = torch.tensor([[20.0, 20.0, 20.0], [20.0, 20.0, 20.0001]])
    distance = BatchHardTripletLossDistanceFunction.euclidean_distance(points)[0, 1].item()
    assert distance == pytest.approx((points[1, 2] - points[0, 2]).item())
