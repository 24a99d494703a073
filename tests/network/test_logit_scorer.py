"""A language model scores each text of a batch by the logits that Transformers gives for its last token alone."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

from likewise.checkpoint.arrays import read_arrays
from likewise.checkpoint.other_settings import other_settings
from likewise.network.logit_scorer import TransformersLogitScorer, read_logit_scorer
from likewise.network.packed import packed_tokens
from likewise.network.transformers import PACKED
from likewise.tokens import TokenBatch, offsets_of
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.tiny_language_models import tiny_language_model, tokenizer

TRUE, FALSE = 71, 93
IDS = range(3, 300)
MIXED = [40, 23, 23, 7, 7, 7, 3, 1, 1]
CHANGES: dict[str, dict[str, Any]] = {  # what stands between the head and the logits, far from 1
    "gemma2": {"final_logit_softcapping": 2.0},
    "gemma3_text": {"final_logit_softcapping": 2.0},
    "granite": {"logits_scaling": 3.0},
    "cohere": {"logit_scale": 0.25},
}
VARIANTS = [*sorted(PACKED - {"eurobert"}), "phi3, longrope", "cohere", "gpt2", "gpt_neox", "opt", "bart"]
Pair = tuple[TransformersLogitScorer, Any]  # ours, theirs


def load(folder: Path, *tokens: int) -> TransformersLogitScorer:
    config = json.loads((folder / "config.json").read_text())
    return read_logit_scorer(other_settings(config), read_arrays(folder), config, tokens).eval()


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    @cache
    def loaded(variant: str) -> Pair:
        from transformers import AutoModelForCausalLM

        folder = tiny_language_model(tmp_path_factory.mktemp("model"), variant, **CHANGES.get(variant, {}))
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        return load(folder, TRUE, FALSE), theirs

    return loaded


def scores_alone(model: Any, texts: list[list[int]]) -> torch.Tensor:
    logits = torch.stack([model(torch.tensor([text])).logits[0, -1] for text in texts])
    return logits[:, [TRUE]] - logits[:, [FALSE]]


@torch.no_grad()
def assert_equal(pair: Pair, texts: list[list[int]]) -> None:
    ours, theirs = pair
    found = ours(packed_tokens(packed(texts), torch.device("cpu")))
    assert found.shape == (len(texts), 1)
    torch.testing.assert_close(found, scores_alone(theirs, texts), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_equals_each_text_alone(pair_of: Callable[[str], Pair], variant: str) -> None:
    assert_equal(pair_of(variant), random_texts(MIXED, 0, IDS))


@pytest.mark.parametrize("variant", ["gemma2", "gpt2", "qwen3"])
@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[7, 7, 1, 7], seed=0)
def test_any_batch_equals_each_text_alone(
    pair_of: Callable[[str], Pair], variant: str, lengths: list[int], seed: int
) -> None:
    assert_equal(pair_of(variant), random_texts(lengths, seed, range(tokenizer().get_vocab_size())))


@torch.no_grad()
def test_one_token_scores_by_its_logit_and_a_tied_head_by_the_embeddings(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_language_model(tmp_path, "qwen3", tie_word_embeddings=True)
    assert not any(name.startswith("lm_head") for name in read_arrays(folder))
    texts = random_texts(MIXED, 0, IDS)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    expected = torch.stack([theirs(torch.tensor([text])).logits[0, -1, [TRUE]] for text in texts])
    found = load(folder, TRUE)(packed_tokens(packed(texts), torch.device("cpu")))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_text_without_tokens_scores_0_and_moves_no_other(pair_of: Callable[[str], Pair]) -> None:
    ours, theirs = pair_of("qwen3")
    texts = random_texts([5, 5, 3], 0, IDS)
    lengths = np.array([5, 0, 5, 3, 0])
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    batch = TokenBatch(ids, offsets_of(lengths), lengths.astype(np.int32))
    found = ours(packed_tokens(batch, torch.device("cpu")))[:, 0]
    torch.testing.assert_close(found[[0, 2, 3]], scores_alone(theirs, texts)[:, 0], atol=1e-5, rtol=1e-5)
    assert not found[[1, 4]].any()
    nothing = TokenBatch(ids[:0], offsets_of(np.zeros(2, np.int32)), np.zeros(2, np.int32))
    assert ours(packed_tokens(nothing, torch.device("cpu"))).tolist() == [[0], [0]]


@torch.no_grad()
def test_the_head_is_float32_under_autocast(pair_of: Callable[[str], Pair]) -> None:
    head = pair_of("qwen3")[0].backbone.lm_head
    hidden = torch.randn(50, head.weight.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(hidden)
    torch.testing.assert_close(logits, hidden @ head.weight.T, atol=1e-6, rtol=1e-6)


def test_but_the_rows_of_the_tokens_are_kept(pair_of: Callable[[str], Pair]) -> None:
    ours, theirs = pair_of("llama")
    assert ours.head == "lm_head"
    assert ours.backbone.lm_head.weight.shape == (2, theirs.config.hidden_size)
    assert theirs.state_dict().keys() - ours.backbone.state_dict().keys() == {"lm_head.weight"}
