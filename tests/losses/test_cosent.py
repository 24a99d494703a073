"""CoSENT and AnglE against loops over pairs in float64."""

import cmath
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.losses import AnglELoss, CoSENTLoss
from likewise.losses.angle import pairwise_angle_sim
from likewise.losses.cosent import cosent
from tests.peer.loss_values import Network

ROWS = st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([0.0, 0.2, 0.5, 1.0])), min_size=1, max_size=8)


def by_loops(similarities: list[float], labels: list[float], scale: float) -> float:
    """The formula of https://kexue.fm/archives/8847."""
    total = 1.0
    for low, low_label in zip(similarities, labels, strict=True):
        for high, high_label in zip(similarities, labels, strict=True):
            if low_label < high_label:
                total += math.exp(scale * (low - high))
    return math.log(total)


@given(rows=ROWS, scale=st.sampled_from([1.0, 20.0]))
def test_pairs_in_the_wrong_order_cost(rows: list[tuple[float, float]], scale: float) -> None:
    similarities, labels = [row[0] for row in rows], [row[1] for row in rows]
    tensor = torch.tensor(similarities, dtype=torch.float64, requires_grad=True)
    value = cosent(tensor, torch.tensor(labels, dtype=torch.float64), scale)
    assert value.item() == pytest.approx(by_loops(similarities, labels, scale), abs=1e-10)
    value.backward()
    assert tensor.grad is not None
    for row in range(len(rows)):  # and the slope is that of the formula
        step = 1e-6
        up, down = ([*similarities[:row], similarities[row] + by, *similarities[row + 1 :]] for by in (step, -step))
        slope = (by_loops(up, labels, scale) - by_loops(down, labels, scale)) / (2 * step)
        assert tensor.grad[row].item() == pytest.approx(slope, abs=1e-4)


def test_only_the_order_of_labels_matters() -> None:
    columns = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)).unbind()
    loss = CoSENTLoss(Network())  # type: ignore[arg-type]
    values = [
        loss.from_embeddings(columns, torch.tensor(labels)) for labels in ([0, 1, 1, 2, 0, 2], [1, 4, 4, 5, 1, 5])
    ]
    assert values[0].item() == values[1].item()


@given(rows=st.integers(1, 4), width=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_the_angle_is_that_of_complex_vectors(rows: int, width: int, seed: int) -> None:
    x, y = torch.randn(2, rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).unbind()
    for row, actual in enumerate(pairwise_angle_sim(x, y).tolist()):
        z, w = (complex_numbers(vectors[row].tolist()) for vectors in (x, y))
        product = sum(a * b.conjugate() for a, b in zip(z, w, strict=True))
        assert actual == pytest.approx(abs(product.real + product.imag), abs=1e-12)


def complex_numbers(vector: list[float]) -> list[complex]:
    """Of length 1; the first half real parts, the second imaginary ones, a zero added to an odd number."""
    length = math.sqrt(sum(number**2 for number in vector))
    numbers = [number / length for number in vector] + [0.0] * (len(vector) % 2)
    half = len(numbers) // 2
    return [complex(*parts) for parts in zip(numbers[:half], numbers[half:], strict=True)]


def test_a_turn_of_both_texts_changes_no_angle() -> None:
    """Multiplying both by the same complex number of length 1 leaves z w̄ as it is."""
    z, w = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.complex128).unbind()
    turn = cmath.exp(0.7j)
    before, after = (
        pairwise_angle_sim(*(torch.cat([v.real, v.imag], 1) for v in pair)) for pair in ((z, w), (z * turn, w * turn))
    )
    torch.testing.assert_close(before, after)


def test_an_anchor_makes_a_pair_with_each_other_column() -> None:
    anchors, positives, negatives = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(2)).unbind()
    loss = AnglELoss(Network())  # type: ignore[arg-type]
    pairs = [torch.cat([anchors, anchors]), torch.cat([positives, negatives])]
    expected = loss.from_embeddings(pairs, torch.tensor([1, 1, 1, 1, 0, 0, 0, 0]))
    assert loss.from_embeddings([anchors, positives, negatives]).item() == pytest.approx(expected.item())
    assert expected.item() > 0
