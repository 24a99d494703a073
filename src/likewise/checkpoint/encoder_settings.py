"""config.json of each architecture → one description of its encoder, in the library's own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from likewise.checkpoint.other_settings import OtherSettings, other_settings
from likewise.checkpoint.rotary_settings import (
    MOST_LAYERS,
    ModernBertSettings,
    NomicBertSettings,
    modernbert_settings,
    nomic_bert_settings,
)
from likewise.checkpoint.values import ConfigValues, shortened


@dataclass(frozen=True)
class BertSettings:
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
    relative_buckets: int = 0  # rows of MPNet's table of biases by the distance of two tokens

    @property
    def longest(self) -> int:
        """The longest text, in tokens, that has a position for every token."""
        return self.positions - self.first_position


EncoderSettings = BertSettings | ModernBertSettings | NomicBertSettings | OtherSettings

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
_MPNET = _ROBERTA | {"vocab_size": 30527, "relative_attention_num_buckets": 32}
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
    "mpnet": _MPNET,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA | {"vocab_size": 30522},
}


OTHERS: dict[str, Callable[[Mapping[str, Any]], EncoderSettings]] = {  # those that read their config.json otherwise
    "modernbert": modernbert_settings,
    "nomic_bert": nomic_bert_settings,
}


def encoder_settings(config: Mapping[str, Any]) -> EncoderSettings:
    """Read the ``config`` of a Hugging Face encoder.

    Raises:
        ValueError: This variant of the architecture is not computed here, or a value is not right.
    """
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type in OTHERS:
        return OTHERS[model_type](config)
    if isinstance(model_type, str) and model_type in DEFAULTS:
        return _bert_settings(model_type, config)
    return other_settings(config)


def _bert_settings(model_type: str, config: Mapping[str, Any]) -> BertSettings:
    position_type = config.get("position_embedding_type", "absolute")
    if position_type != "absolute":
        raise ValueError(f"position_embedding_type {shortened(position_type)} is not supported, only 'absolute' is")
    if config.get("is_decoder"):
        raise ValueError(f"a {model_type} model with is_decoder=true reads to the left only, which is not supported")
    is_distilbert = model_type == "distilbert"
    read = ConfigValues(config, DEFAULTS[model_type], _DISTILBERT_KEYS if is_distilbert else None)
    hidden, heads = read.whole("hidden_size"), read.whole("num_attention_heads")
    if hidden % heads:
        raise ValueError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
    buckets = read.whole("relative_attention_num_buckets") if model_type == "mpnet" else 0
    if buckets not in (0, 32):
        raise ValueError(f"relative_attention_num_buckets {buckets} is not supported, only 32 is")
    padding_id = 1 if model_type == "mpnet" else read.whole("pad_token_id", 0)  # MPNet knows no other
    positions = read.whole("max_position_embeddings")
    first_position = padding_id + 1 if model_type in ("camembert", "mpnet", "roberta", "xlm-roberta") else 0
    if positions <= first_position:
        raise ValueError(f"max_position_embeddings {positions} leaves no position for a token")
    dropout = read.share("hidden_dropout_prob")
    return BertSettings(
        model_type=model_type,
        vocabulary=read.whole("vocab_size"),
        embedding_width=read.whole("embedding_size") if model_type == "electra" else hidden,
        hidden=hidden,
        layers=read.whole("num_hidden_layers", 0, MOST_LAYERS),
        heads=heads,
        intermediate=read.whole("intermediate_size"),
        positions=positions,
        first_position=first_position,
        padding_id=padding_id,
        segment_types=0 if model_type in ("distilbert", "mpnet") else read.whole("type_vocab_size", 0),
        activation=read.text("hidden_act"),
        norm_epsilon=1e-12 if is_distilbert else read.number("layer_norm_eps", 0),
        dropout=dropout,
        attention_dropout=read.share("attention_probs_dropout_prob"),
        attention_out_dropout=0.0 if is_distilbert else dropout,
        relative_buckets=buckets,
    )
