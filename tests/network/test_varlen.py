"""The path of a GPU, on the CPU: CUDA's kernel for packed texts with a reference in its place, and what waits."""

import inspect
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from likewise.network import varlen
from likewise.network.packed import packed_tokens, runs_of_lengths
from likewise.network.pooling import POOLINGS, Pooling
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.network.gpu_paths import KERNELS, NothingWaits, as_on_a_gpu
from tests.network.test_transformers import load
from tests.network.twins import load_ours
from tests.network.variants import VARIANTS
from tests.other_checkpoints import TOKENS, save_other_encoder
from tests.tiny_checkpoints import tiny_encoder

OWN = ["bert", "roberta", "modernbert", "nomic_bert", "mpnet"]
OTHERS = ["llama", "mistral", "gemma3_text, bidirectional", "gemma2", "deberta-v2", "gpt2", "xlnet"]
NEVER_PACKED = ("mpnet", "gemma2", "deberta-v2", "gpt2", "xlnet")  # a bias, bounded scores, attention of their own

EncoderOf = Callable[[str], Any]


@pytest.fixture(scope="module")
def encoder_of(tmp_path_factory: pytest.TempPathFactory) -> EncoderOf:
    @cache
    def loaded(variant: str) -> Any:
        folder = tmp_path_factory.mktemp("encoder")
        if variant in OTHERS:
            save_other_encoder(folder, variant)
            return load(folder)
        model_type, changes = VARIANTS[variant]
        return load_ours(tiny_encoder(folder, model_type, **changes))

    return loaded


@pytest.mark.parametrize("variant", [*OWN, *OTHERS])
@pytest.mark.parametrize("kernel", [*KERNELS, None])
@settings(max_examples=5)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[70, 40, 23, 23, 7, 7, 7, 3, 1, 1], seed=0)
@example(lengths=[9, 0, 7, 0, 0, 7], seed=0)
def test_a_gpus_path_gives_what_a_cpus_does(
    encoder_of: EncoderOf, variant: str, kernel: str | None, lengths: list[int], seed: int
) -> None:
    encoder = encoder_of(variant)
    tokens = packed_tokens(packed(random_texts(lengths, seed, range(5, TOKENS))), torch.device("cpu"))
    with torch.inference_mode():
        expected = encoder(tokens)
        with as_on_a_gpu(kernel) as calls:
            torch.testing.assert_close(encoder(tokens), expected, atol=1e-5, rtol=1e-5)
    assert set(calls) <= {sum(lengths)}  # all texts at once
    assert bool(calls) == (kernel is not None and variant not in NEVER_PACKED)


@pytest.mark.parametrize("variant", [*OWN, *(other for other in OTHERS if other != "gpt2")])  # whose mask is looked at
@pytest.mark.parametrize("kernel", ["2.12", None])
def test_no_batch_waits_for_the_device(encoder_of: EncoderOf, variant: str, kernel: str | None) -> None:
    encoder, pooling = encoder_of(variant), Pooling(list(POOLINGS))
    batch = packed(random_texts([40, 23, 23, 7, 7, 3, 1], 0, range(5, TOKENS)), prompt_lengths=[2] * 6 + [0])
    tokens = packed_tokens(batch, torch.device("cpu"))
    with torch.inference_mode(), as_on_a_gpu(kernel), pytest.MonkeyPatch.context() as patch:
        if kernel is not None:  # the reference does wait
            patch.setattr(varlen, "attention", lambda query, *_: query)
        with NothingWaits():
            pooling(encoder(tokens), tokens)


@pytest.mark.parametrize("wait", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.unique_consecutive()])
def test_waiting_is_noticed(wait: Callable[[torch.Tensor], object]) -> None:
    with torch.inference_mode(), pytest.raises(AssertionError, match="waits"), NothingWaits():
        wait(torch.ones(3))


def test_the_kernel_of_this_torch_takes_our_arguments() -> None:
    attend, known = varlen._kernel()
    inspect.signature(attend).bind(*range(7), scale=None, window_size=(-1, -1))
    assert known >= {"scale", "window_size"}


def test_a_cpu_has_no_such_kernel() -> None:
    assert not varlen.computes(torch.zeros(3, 2, 8, dtype=torch.bfloat16))


@given(st.lists(st.integers(0, 3), max_size=12))
def test_runs_are_the_lengths(lengths: list[int]) -> None:
    runs = runs_of_lengths(np.array(lengths, dtype=np.int32))
    assert [length for texts, length in runs for _ in range(texts)] == lengths
    assert all(left[1] != right[1] for left, right in pairwise(runs))
