"""The model in torch: encoder, pooling, heads."""

from collections.abc import Callable
from typing import Any

import likewise.needs_torch  # noqa: F401
from likewise.network.bert import BertEncoder
from likewise.network.encoder import Encoder
from likewise.network.modernbert import ModernBertEncoder
from likewise.network.mpnet import MPNetEncoder
from likewise.network.nomic_bert import NomicBertEncoder

ENCODERS: dict[str, Callable[[Any], Encoder]] = {  # "model_type" in config.json → the module that computes it
    "bert": BertEncoder,
    "camembert": BertEncoder,
    "distilbert": BertEncoder,
    "electra": BertEncoder,
    "modernbert": ModernBertEncoder,
    "mpnet": MPNetEncoder,
    "nomic_bert": NomicBertEncoder,
    "roberta": BertEncoder,
    "xlm-roberta": BertEncoder,
}


def encoder_class(model_type: str) -> Callable[[Any], Encoder]:
    """What makes the encoder of ``model_type`` from its settings.

    Raises:
        ValueError: No class does.
    """
    if model_type not in ENCODERS:
        raise ValueError(f"no encoder computes {model_type!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[model_type]
