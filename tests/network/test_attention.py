"""Packed attention against the textbook formula in float64, one text at a time."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from torch import Tensor

from likewise.network.attention import packed_attention
from likewise.tokens import offsets_of
from tests.network.batches import LENGTHS, SEEDS

HEADS, WIDTH = 2, 8


def one_text(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Vaswani et al. 2017, equation 1; (length, heads, width) in and out."""
    weights = (torch.einsum("ihw,jhw->hij", query, key) / query.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("hij,jhw->ihw", weights, value)


def text_by_text(packed: Tensor, lengths: list[int]) -> Tensor:
    """(3, tokens, heads, width) → (tokens, heads, width)."""
    return torch.cat([one_text(*text) for text in packed.split(lengths, dim=1)])


def offsets(lengths: list[int]) -> Tensor:
    return torch.from_numpy(offsets_of(np.array(lengths)))


def packed_at_once(packed: Tensor, lengths: list[int]) -> Tensor:
    """(3, tokens, heads, width) → (tokens, heads, width)."""
    query, key, value = packed
    return packed_attention(query, key, value, offsets(lengths), max(lengths))


def drawn(lengths: list[int], seed: int) -> Tensor:
    """Query, key and value, so large that the softmax prefers some tokens clearly: (3, tokens, heads, width)."""
    return 2 * torch.randn(3, sum(lengths), HEADS, WIDTH, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[5, 5, 3, 5], seed=0)  # equal lengths, neighbours and not
@example(lengths=[1, 80, 1, 1], seed=0)
def test_a_text_attends_to_itself_only(lengths: list[int], seed: int) -> None:
    packed = drawn(lengths, seed)
    actual = packed_at_once(packed, lengths)
    torch.testing.assert_close(actual.double(), text_by_text(packed.double(), lengths), atol=1e-5, rtol=0)


@settings(max_examples=30)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[3, 7, 7, 3], seed=0)
def test_gradients_are_those_of_the_formula(lengths: list[int], seed: int) -> None:
    packed = drawn(lengths, seed).requires_grad_()
    reference = packed.detach().double().requires_grad_()
    direction = torch.randn(sum(lengths), HEADS, WIDTH, generator=torch.Generator().manual_seed(seed + 1))
    packed_at_once(packed, lengths).backward(direction)
    text_by_text(reference, lengths).backward(direction.double())
    assert packed.grad is not None
    assert reference.grad is not None
    scale = float(reference.grad.abs().max()) + 1
    torch.testing.assert_close(packed.grad.double(), reference.grad, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("lengths", [[300], [200, 200], [150, 200]])
def test_dropout_leaves_out_single_weights_and_scales_up_the_others(lengths: list[int]) -> None:
    torch.manual_seed(0)
    tokens, longest = sum(lengths), max(lengths)
    query = torch.zeros(tokens, 1, longest)  # every token attends to all of its text alike
    value = torch.cat([torch.eye(length, longest) for length in lengths])[:, None]  # so that the weights come out
    mixed = packed_attention(query, query, value, offsets(lengths), longest, dropout=0.25)
    for text, length in zip(mixed.split(lengths), lengths, strict=True):
        weights = text[:, 0, :length] * length
        dropped = weights == 0
        torch.testing.assert_close(weights[~dropped], torch.full_like(weights[~dropped], 1 / 0.75))
        assert 0.22 < dropped.double().mean() < 0.28
