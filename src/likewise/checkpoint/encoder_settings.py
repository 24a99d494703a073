"""config.json of each architecture → one description of its encoder, in the library's own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EncoderSettings:
    """The sizes and choices of an encoder of the BERT family (post-norm layers, learned positions)."""

    model_type: str
    vocabulary: int
    embedding_width: int  # ELECTRA's embeddings may be narrower than its layers
    hidden: int
    layers: int
    heads: int
    intermediate: int  # width inside the feed-forward part
    positions: int  # rows of the position table
    first_position: int  # the row of a text's first token: RoBERTa's begin after its padding id
    padding_id: int
    segment_types: int  # rows of the segment table; 0 for DistilBERT, which has none
    activation: str
    norm_epsilon: float
    dropout: float
    attention_dropout: float  # of the attention weights
    attention_out_dropout: float  # of what the attention adds; DistilBERT has none there

    @property
    def longest(self) -> int:
        """The longest text, in tokens, that has a position for every token."""
        return self.positions - self.first_position


# What config.json leaves out has the default of the architecture's configuration class in Transformers.
_BERT = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
_ROBERTA = _BERT | {"vocab_size": 50265, "pad_token_id": 1}
_ELECTRA = _BERT | {
    "hidden_size": 256,
    "embedding_size": 128,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
_DISTILBERT = {
    "vocab_size": 30522,
    "dim": 768,
    "n_layers": 6,
    "n_heads": 12,
    "hidden_dim": 3072,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "activation": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
}
_DISTILBERT_KEYS = {  # BERT's key → DistilBERT's
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
DEFAULTS: dict[str, Mapping[str, Any]] = {  # "model_type" in config.json → its defaults
    "bert": _BERT,
    "camembert": _ROBERTA | {"vocab_size": 30522},
    "distilbert": _DISTILBERT,
    "electra": _ELECTRA,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA | {"vocab_size": 30522},
}


def encoder_settings(config: Mapping[str, Any]) -> EncoderSettings:
    """Read the ``config`` of a Hugging Face encoder.

    Raises:
        ValueError: The architecture is not one of DEFAULTS, or a variant of it that is not computed here.
    """
    model_type = config.get("model_type")
    if model_type not in DEFAULTS:
        raise ValueError(
            f"the architecture {model_type!r} is not supported; supported are {', '.join(sorted(DEFAULTS))}"
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            f"position_embedding_type {config['position_embedding_type']!r} is not supported, only 'absolute' is"
        )
    if config.get("is_decoder"):
        raise ValueError(f"a {model_type} model with is_decoder=true reads to the left only, which is not supported")

    def value(key: str) -> Any:
        if model_type == "distilbert":
            key = _DISTILBERT_KEYS.get(key, key)
        found = config.get(key)
        return DEFAULTS[model_type][key] if found is None else found

    has_offset = model_type in ("camembert", "roberta", "xlm-roberta")
    settings = EncoderSettings(
        model_type=model_type,
        vocabulary=value("vocab_size"),
        embedding_width=value("embedding_size") if model_type == "electra" else value("hidden_size"),
        hidden=value("hidden_size"),
        layers=value("num_hidden_layers"),
        heads=value("num_attention_heads"),
        intermediate=value("intermediate_size"),
        positions=value("max_position_embeddings"),
        first_position=value("pad_token_id") + 1 if has_offset else 0,
        padding_id=value("pad_token_id"),
        segment_types=0 if model_type == "distilbert" else value("type_vocab_size"),
        activation=value("hidden_act"),
        norm_epsilon=1e-12 if model_type == "distilbert" else value("layer_norm_eps"),
        dropout=value("hidden_dropout_prob"),
        attention_dropout=value("attention_probs_dropout_prob"),
        attention_out_dropout=0.0 if model_type == "distilbert" else value("hidden_dropout_prob"),
    )
    if settings.hidden % settings.heads:
        raise ValueError(f"hidden_size {settings.hidden} is not a multiple of num_attention_heads {settings.heads}")
    return settings
