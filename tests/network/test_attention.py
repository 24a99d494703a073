"""Packed attention against the textbook formula in float64, one text at a time."""

import math
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from hypothesis import example, given, settings
from torch import Tensor

from likewise.network import attention
from likewise.network.attention import packed_attention
from likewise.network.packed import PackedTokens, packed_tokens
from tests.network.batches import LENGTHS, SEEDS, packed

HEADS, WIDTH = 2, 8


NEXT_TO_NONE = 1e-30  # dropout that drops nothing, though computed as in training

KINDS = [(False, None), (True, None), *((False, window) for window in (0, 1, 7, 40, 79))]  # biased, window


@dataclass(frozen=True)
class Inputs:
    """Query, key and value, so large that the softmax prefers some tokens clearly, and what a token sees."""

    packed: Tensor  # (3, tokens, heads, width)
    lengths: list[int]
    bias: Tensor | None  # (heads, longest, longest)
    window: int | None

    def at_once(self, dropout: float = 0.0) -> Tensor:
        """(tokens, heads, width)."""
        query, key, value = self.packed
        return packed_attention(query, key, value, tokens(self.lengths), dropout, bias=self.bias, window=self.window)

    def text_by_text(self) -> Tensor:
        """(tokens, heads, width)."""
        return torch.cat([self.one_text(*text) for text in self.packed.split(self.lengths, dim=1)])

    def one_text(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Vaswani et al. 2017, equation 1; (length, heads, width) in and out."""
        length, _, width = query.shape
        scores = torch.einsum("ihw,jhw->hij", query, key) / width**0.5
        if self.bias is not None:
            scores = scores + self.bias[:, :length, :length]
        for i, j in product(range(length), repeat=2):
            if self.window is not None and abs(i - j) > self.window:
                scores[:, i, j] = -torch.inf
        return torch.einsum("hij,jhw->ihw", scores.softmax(-1), value)

    def in_float64(self) -> "Inputs":
        """The same values, without a gradient yet."""
        bias = None if self.bias is None else self.bias.detach().double().requires_grad_()
        return replace(self, packed=self.packed.detach().double().requires_grad_(), bias=bias)

    def gradients(self, vectors: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
        """Of vectors · direction, by the packed tensors and by the bias."""
        inputs = [self.packed] if self.bias is None else [self.packed, self.bias]
        return torch.autograd.grad(vectors, inputs, direction)


def tokens(lengths: list[int]) -> PackedTokens:
    return packed_tokens(packed([[0] * length for length in lengths]), torch.device("cpu"))


def drawn(lengths: list[int], seed: int, biased: bool, window: int | None) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    packed = 1.5 * torch.randn(3, sum(lengths), HEADS, WIDTH, generator=generator)
    bias = torch.randn(HEADS, max(lengths), max(lengths), generator=generator)
    return Inputs(packed.requires_grad_(), lengths, bias.requires_grad_() if biased else None, window)


@pytest.mark.parametrize(("biased", "window"), KINDS)
@pytest.mark.parametrize("dropout", [0.0, NEXT_TO_NONE])
@settings(max_examples=20)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[5, 5, 3, 5], seed=0)  # equal lengths, neighbours and not
@example(lengths=[1, 80, 1, 1], seed=0)
@example(lengths=[3, 0, 4, 4, 0], seed=0)
@example(lengths=[*[3] * 33, *[4] * 31, 5, 6, 13], seed=0)  # so many that training joins some of them only
def test_a_text_attends_to_itself_only(
    dropout: float, biased: bool, window: int | None, lengths: list[int], seed: int
) -> None:
    inputs = drawn(lengths, seed, biased, window)
    with torch.no_grad():
        expected = inputs.in_float64().text_by_text()
        torch.testing.assert_close(inputs.at_once(dropout).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("biased", "window"), KINDS)
@pytest.mark.parametrize("way", ["padded, as on a GPU", "by products, as short texts in bfloat16"])
@settings(max_examples=20)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[80, 41, 41, 40, 21, 20, 5, 5, 5, 1], seed=0)
@example(lengths=[3, 0, 4, 4, 0], seed=0)
def test_other_ways_of_computing_it(way: str, biased: bool, window: int | None, lengths: list[int], seed: int) -> None:
    inputs = drawn(lengths, seed, biased, window)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        expected = inputs.in_float64().text_by_text()
        if way.startswith("padded"):
            patch.setattr(attention, "_joined_to", lambda *_: math.inf)
        else:
            patch.setattr(attention, "FUSED_FROM", {torch.float32: 50})
        torch.testing.assert_close(inputs.at_once().double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("biased", "window"), KINDS)
@pytest.mark.parametrize("dropout", [0.0, NEXT_TO_NONE])
@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[3, 7, 7, 3], seed=0)
@example(lengths=[3, 5, 6], seed=0)
def test_gradients_are_those_of_the_formula(
    dropout: float, biased: bool, window: int | None, lengths: list[int], seed: int
) -> None:
    inputs = drawn(lengths, seed, biased, window)
    reference = inputs.in_float64()
    direction = torch.randn(sum(lengths), HEADS, WIDTH, generator=torch.Generator().manual_seed(seed + 1))
    actual = inputs.gradients(inputs.at_once(dropout), direction)
    expected = reference.gradients(reference.text_by_text(), direction.double())
    for ours, formula in zip(actual, expected, strict=True):
        scale = float(formula.abs().max()) + 1
        torch.testing.assert_close(ours.double(), formula, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("lengths", [[300], [200, 200], [150, 200]])
def test_dropout_leaves_out_single_weights_and_scales_up_the_others(lengths: list[int]) -> None:
    torch.manual_seed(0)
    longest = max(lengths)
    query = torch.zeros(sum(lengths), 1, longest)  # every token attends to all of its text alike
    value = torch.cat([torch.eye(length, longest) for length in lengths])[:, None]  # so that the weights come out
    mixed = packed_attention(query, query, value, tokens(lengths), dropout=0.25)
    for text, length in zip(mixed.split(lengths), lengths, strict=True):
        weights = text[:, 0, :length] * length
        dropped = weights == 0
        torch.testing.assert_close(weights[~dropped], torch.full_like(weights[~dropped], 1 / 0.75))
        assert 0.22 < dropped.double().mean() < 0.28
