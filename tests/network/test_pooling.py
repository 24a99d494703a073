"""Every pooling against its definition in float64, one text at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.models.pooling import POOLING_MODES
from likewise.network.packed import PackedTokens, packed_tokens
from likewise.network.pooling import POOLINGS, Pooling
from tests.network.batches import SEEDS, packed

WIDTH = 5
# A text: its tokens, and how many of them are a prompt that may be left out.
TEXTS = st.lists(
    st.integers(1, 80).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, length - 1))),
    min_size=1,
    max_size=6,
)
MODES = st.lists(st.sampled_from(POOLING_MODES), min_size=1, max_size=6, unique=True)


def weighted_mean(text: Tensor, skipped: int) -> Tensor:
    weights = torch.arange(skipped + 1, len(text) + 1).double()[:, None]  # a prompt that is left out still counts
    return (weights * text[skipped:]).sum(0) / weights.sum()


REFERENCE: dict[str, Callable[[Tensor, int], Tensor]] = {  # (length, width), tokens to leave out → (width,)
    "cls": lambda text, skipped: text[skipped],
    "max": lambda text, skipped: text[skipped:].max(0).values,
    "mean": lambda text, skipped: text[skipped:].sum(0) / (len(text) - skipped),
    "mean_sqrt_len_tokens": lambda text, skipped: text[skipped:].sum(0) / (len(text) - skipped) ** 0.5,
    "weightedmean": weighted_mean,
    "lasttoken": lambda text, skipped: text[-1],
}


def text_by_text(hidden: Tensor, lengths: list[int], skipped: Sequence[int], modes: Sequence[str]) -> Tensor:
    """(tokens, width) → (texts, modes * width)."""
    texts = hidden.split(lengths)
    return torch.stack(
        [torch.cat([REFERENCE[mode](text, skip) for mode in modes]) for text, skip in zip(texts, skipped, strict=True)]
    )


def batch_of(lengths: list[int], prompts: list[int] | None) -> PackedTokens:
    return packed_tokens(packed([[0] * length for length in lengths], prompt_lengths=prompts), torch.device("cpu"))


def drawn(tokens: int, seed: int) -> Tensor:
    return torch.randn(tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_every_mode_that_a_model_may_ask_for_is_there() -> None:
    assert set(POOLINGS) == set(POOLING_MODES) == set(REFERENCE)


@pytest.mark.parametrize("include_prompt", [True, False])
@settings(max_examples=40)
@given(texts=TEXTS, modes=MODES, seed=SEEDS)
@example(texts=[(3, 1), (80, 79), (1, 0), (3, 0)], modes=list(POOLING_MODES), seed=0)
def test_it_equals_the_definition(
    include_prompt: bool, texts: list[tuple[int, int]], modes: list[str], seed: int
) -> None:
    lengths, prompts = (list(column) for column in zip(*texts, strict=True))
    hidden = drawn(sum(lengths), seed)
    actual = Pooling(modes)(hidden, batch_of(lengths, None if include_prompt else prompts))
    skipped = [0] * len(texts) if include_prompt else prompts
    expected = text_by_text(hidden.double(), lengths, skipped, modes)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_without_a_prompt_nothing_is_left_out(mode: str) -> None:
    hidden, tokens = drawn(9, seed=0), batch_of([4, 5], prompts=None)
    assert torch.equal(Pooling([mode])(hidden, tokens), Pooling([mode])(hidden, tokens))


@pytest.mark.parametrize("include_prompt", [True, False])
@settings(max_examples=40)
@given(texts=TEXTS, modes=MODES, seed=SEEDS)
@example(texts=[(3, 1), (80, 79), (1, 0), (3, 0)], modes=list(POOLING_MODES), seed=0)
def test_gradients_are_those_of_the_definition(
    include_prompt: bool, texts: list[tuple[int, int]], modes: list[str], seed: int
) -> None:
    lengths, prompts = (list(column) for column in zip(*texts, strict=True))
    hidden = drawn(sum(lengths), seed).requires_grad_()
    reference = hidden.detach().double().requires_grad_()
    vectors = Pooling(modes)(hidden, batch_of(lengths, None if include_prompt else prompts))
    direction = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed + 1))
    vectors.backward(direction)
    skipped = [0] * len(texts) if include_prompt else prompts
    text_by_text(reference, lengths, skipped, modes).backward(direction.double())
    assert hidden.grad is not None
    assert reference.grad is not None
    torch.testing.assert_close(hidden.grad.double(), reference.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_summed_in_float32(mode: str, dtype: torch.dtype) -> None:
    lengths = [4000, 1, 700]
    hidden = (drawn(sum(lengths), seed=0) + 3).to(dtype)  # a sum beyond what either type can count to by ones
    actual = Pooling([mode])(hidden, batch_of(lengths, prompts=None))
    expected = text_by_text(hidden.double(), lengths, [0, 0, 0], [mode])
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), expected, atol=0, rtol=1e-5)


def test_values_below_zero_survive_the_maximum() -> None:
    hidden = -drawn(12, seed=0).abs() - 1
    actual = Pooling(["max"])(hidden, batch_of([5, 7], prompts=[2, 0]))
    np.testing.assert_array_equal(actual, text_by_text(hidden, [5, 7], [2, 0], ["max"]))


@pytest.mark.parametrize("mode", sorted(POOLINGS))
def test_a_text_without_tokens_gets_the_zero_vector_and_leaves_its_neighbours_alone(mode: str) -> None:
    hidden = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    with_empty = PackedTokens(
        torch.zeros(5, dtype=torch.int32), torch.tensor([0, 0, 3, 3, 5, 5]), [(1, 0), (1, 3), (1, 0), (1, 2), (1, 0)]
    )
    without = PackedTokens(torch.zeros(5, dtype=torch.int32), torch.tensor([0, 3, 5]), [(1, 3), (1, 2)])
    vectors = Pooling([mode])(hidden, with_empty)
    torch.testing.assert_close(vectors[[1, 3]], Pooling([mode])(hidden, without))
    assert not vectors[[0, 2, 4]].any()
    nothing = PackedTokens(torch.zeros(0, dtype=torch.int32), torch.tensor([0, 0]), [(1, 0)])
    assert not Pooling([mode])(hidden[:0], nothing).any()
