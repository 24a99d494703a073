"""Which function builds the graph of an architecture's encoder."""

from collections.abc import Callable
from typing import Any

from likewise.export.bert import bert
from likewise.export.weights import WeightedGraph

ENCODERS: dict[str, Callable[[WeightedGraph, Any], str]] = {  # "model_type" in config.json → its graph
    "bert": bert,
    "camembert": bert,
    "distilbert": bert,
    "electra": bert,
    "roberta": bert,
    "xlm-roberta": bert,
}
