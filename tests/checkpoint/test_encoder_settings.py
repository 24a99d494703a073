"""config.json means here what it means to Transformers."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.checkpoint.encoder_settings import DEFAULTS, OTHERS, BertSettings, encoder_settings
from likewise.checkpoint.other_settings import NO_LIMIT, OtherSettings
from tests.tiny_checkpoints import BERT_TYPES, MODEL_TYPES, counts_from_padding

# Under the names that every architecture understands; DistilBERT's configuration has no common name for the last.
SIZES = {
    "vocab_size": st.integers(10, 1000),
    "num_hidden_layers": st.integers(0, 12),
    "max_position_embeddings": st.integers(10, 1000),
    "pad_token_id": st.integers(0, 5),
}
CHOICES = {
    "type_vocab_size": st.integers(1, 4),
    "layer_norm_eps": st.floats(1e-12, 1e-3),
    "embedding_size": st.integers(1, 64),
}


def expected(config: Any) -> BertSettings:
    """What Transformers' configuration object says; the facts in no configuration are written out."""
    distil, mpnet = config.model_type == "distilbert", config.model_type == "mpnet"
    dropout = config.dropout if distil else config.hidden_dropout_prob
    return BertSettings(
        model_type=config.model_type,
        vocabulary=config.vocab_size,
        embedding_width=config.embedding_size if config.model_type == "electra" else config.hidden_size,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        intermediate=config.hidden_dim if distil else config.intermediate_size,
        positions=config.max_position_embeddings,
        first_position=2 if mpnet else config.pad_token_id + 1 if counts_from_padding(config.model_type) else 0,
        padding_id=1 if mpnet else config.pad_token_id,
        segment_types=0 if distil or mpnet else config.type_vocab_size,
        activation=config.activation if distil else config.hidden_act,
        norm_epsilon=1e-12 if distil else config.layer_norm_eps,
        dropout=dropout,
        attention_dropout=config.attention_dropout if distil else config.attention_probs_dropout_prob,
        attention_out_dropout=0.0 if distil else dropout,
        relative_buckets=32 if mpnet else 0,
    )


@pytest.mark.parametrize("model_type", BERT_TYPES)
@pytest.mark.parametrize("left_out", [{}, {"vocab_size": None, "type_vocab_size": None}], ids=["left out", "null"])
def test_what_is_left_out_has_transformers_default(model_type: str, left_out: dict[str, None]) -> None:
    from transformers import AutoConfig

    assert encoder_settings({"model_type": model_type} | left_out) == expected(AutoConfig.for_model(model_type))


@pytest.mark.parametrize("model_type", BERT_TYPES)
@settings(max_examples=20)
@given(data=st.data())
def test_what_is_given_is_read(model_type: str, data: st.DataObject) -> None:
    from transformers import AutoConfig

    heads, width = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    dropout, attention_dropout = (data.draw(st.floats(0, 1)) for _ in range(2))
    inner, activation = data.draw(st.integers(1, 100)), data.draw(st.sampled_from(["gelu", "relu", "silu"]))
    given_values: dict[str, Any] = {name: data.draw(values) for name, values in SIZES.items()}
    if model_type == "distilbert":
        given_values |= {"dim": heads * width, "n_heads": heads, "hidden_dim": inner, "activation": activation}
        given_values |= {"dropout": dropout, "attention_dropout": attention_dropout}
        given_values["n_layers"] = given_values.pop("num_hidden_layers")
    else:
        given_values |= {name: data.draw(values) for name, values in CHOICES.items()}
        given_values |= {"hidden_size": heads * width, "num_attention_heads": heads, "intermediate_size": inner}
        given_values |= {"hidden_act": activation, "hidden_dropout_prob": dropout}
        given_values |= {"attention_probs_dropout_prob": attention_dropout}
    config = AutoConfig.for_model(model_type, **given_values)
    assert encoder_settings({"model_type": model_type} | given_values) == expected(config)
    assert encoder_settings(config.to_dict()) == expected(config)


def test_every_architecture_is_tried_here() -> None:
    assert DEFAULTS.keys() == set(BERT_TYPES)
    assert DEFAULTS.keys() | OTHERS.keys() == set(MODEL_TYPES)


@pytest.mark.parametrize(("model_type", "longest"), [("bert", 512), ("roberta", 510), ("distilbert", 512)])
def test_the_longest_text_has_a_position_for_every_token(model_type: str, longest: int) -> None:
    assert encoder_settings({"model_type": model_type}).longest == longest


@pytest.mark.parametrize("model_type", [None, 7, ""])
def test_a_configuration_without_an_architecture_is_told(model_type: object) -> None:
    with pytest.raises(ValueError, match='"model_type" must name the architecture, such as "bert", but is'):
        encoder_settings({"model_type": model_type})


def test_what_is_needed_of_an_architecture_that_transformers_computes() -> None:
    config = {"model_type": "qwen3", "hidden_size": 1024, "vocab_size": 151669, "max_position_embeddings": 32768}
    assert encoder_settings(config) == OtherSettings("qwen3", 1024, 32768, 151669, padding_id=0)
    t5 = {"model_type": "t5", "d_model": 512, "vocab_size": 32128, "n_positions": 512, "pad_token_id": 0}
    assert encoder_settings(t5) == OtherSettings("t5", 512, NO_LIMIT, 32128, padding_id=0)
    inner = {"model_type": "gemma3", "text_config": {"hidden_size": 640, "vocab_size": 262144}}
    assert encoder_settings(inner) == OtherSettings("gemma3", 640, NO_LIMIT, 262144, padding_id=0)
    luke = {"model_type": "luke", "hidden_size": 8, "vocab_size": 9, "max_position_embeddings": 514, "pad_token_id": 1}
    assert encoder_settings(luke).longest == 512


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"vocab_size": 9}, "the architecture 'gpt9' needs one of hidden_size, d_model, "),
        ({"hidden_size": 8}, "the architecture 'gpt9' needs one of vocab_size, n_words"),
        ({"hidden_size": -8, "vocab_size": 9}, "hidden_size must be a whole number from 1"),
        ({"n_embd": 8, "vocab_size": 9.5}, "vocab_size must be a whole number"),
        ({"n_embd": 8, "vocab_size": 9, "pad_token_id": "[PAD]"}, "pad_token_id must be a whole number"),
        ({"n_embd": 8, "vocab_size": 9, "n_positions": 0}, "n_positions must be a whole number"),
    ],
)
def test_what_it_says_wrongly_is_told(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encoder_settings({"model_type": "gpt9"} | config)


def test_relative_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="position_embedding_type 'relative_key' is not supported"):
        encoder_settings({"model_type": "bert", "position_embedding_type": "relative_key"})


def test_a_decoder_is_refused() -> None:
    with pytest.raises(ValueError, match="is_decoder=true"):
        encoder_settings({"model_type": "roberta", "is_decoder": True})


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_size 32 is not a multiple of num_attention_heads 5"):
        encoder_settings({"model_type": "bert", "hidden_size": 32, "num_attention_heads": 5})
