"""The model in torch: encoder, pooling, heads."""

from likewise.network.bert import BertEncoder

ENCODERS: dict[str, type[BertEncoder]] = {  # "model_type" in config.json → the module that computes it
    "bert": BertEncoder,
    "camembert": BertEncoder,
    "distilbert": BertEncoder,
    "electra": BertEncoder,
    "roberta": BertEncoder,
    "xlm-roberta": BertEncoder,
}


def encoder_class(model_type: str) -> type[BertEncoder]:
    """The class that computes ``model_type``.

    Raises:
        ValueError: No class does.
    """
    if model_type not in ENCODERS:
        raise ValueError(f"no encoder computes {model_type!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[model_type]
