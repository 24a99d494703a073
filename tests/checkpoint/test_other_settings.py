"""config.json of architectures that Transformers computes means here what it means to Transformers."""

import re
from typing import Any

import pytest

from likewise.checkpoint.other_settings import NO_LIMIT, other_settings
from tests.other_checkpoints import VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_are_those_of_transformers(variant: str) -> None:
    from transformers import AutoConfig

    model_type, sizes = VARIANTS[variant]
    settings, theirs = other_settings({"model_type": model_type} | sizes), AutoConfig.for_model(model_type, **sizes)
    text = theirs.encoder if model_type == "t5gemma" else theirs
    assert (settings.hidden, settings.vocabulary) == (text.hidden_size, text.vocab_size)
    assert settings.padding_id == sizes.get("pad_token_id", 0)


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "t5", "n_positions": 512}, NO_LIMIT),
        ({"model_type": "xlnet"}, NO_LIMIT),
        ({"model_type": "bloom"}, NO_LIMIT),
        ({"model_type": "deberta", "max_position_embeddings": -1}, NO_LIMIT),
        ({"model_type": "gpt2", "n_positions": 100}, 100),
        ({"model_type": "llama", "max_position_embeddings": 100, "pad_token_id": -1}, 100),
        ({"model_type": "longformer", "max_position_embeddings": 4098}, 4096),
        ({"model_type": "data2vec-text", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ],
)
def test_the_longest_text(config: dict[str, Any], longest: int) -> None:
    assert other_settings(config | {"hidden_size": 8, "vocab_size": 9}).longest == longest


def test_the_part_that_reads_text_is_found() -> None:
    text = {"hidden_size": 8, "vocab_size": 9, "max_position_embeddings": 10, "pad_token_id": 3}
    settings = other_settings({"model_type": "gemma3", "text_config": text})
    assert (settings.hidden, settings.vocabulary, settings.longest, settings.padding_id) == (8, 9, 10, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": None}, '"model_type" must name the architecture, such as "bert", but is None'),
        ({"model_type": 7}, '"model_type" must name the architecture, such as "bert", but is 7'),
        ({"hidden_size": None}, "the architecture 'llama' needs one of hidden_size, d_model"),
        ({"hidden_size": "wide"}, "hidden_size must be a whole number from 1 to 1,000,000,000, not 'wide'"),
        ({"vocab_size": 0}, "vocab_size must be a whole number"),
        ({"vocab_size": True}, "vocab_size must be a whole number"),
        ({"pad_token_id": -2}, "pad_token_id must be a whole number from 0"),
        ({"max_position_embeddings": 2.5}, "max_position_embeddings must be a whole number"),
        ({"model_type": "luke", "max_position_embeddings": 2}, "max_position_embeddings must be a whole number from 3"),
    ],
)
def test_damaged_values_are_named(changes: dict[str, Any], message: str) -> None:
    whole = {"model_type": "llama", "hidden_size": 8, "vocab_size": 9, "max_position_embeddings": 9, "pad_token_id": 1}
    with pytest.raises(ValueError, match=re.escape(message)):
        other_settings(whole | changes)
