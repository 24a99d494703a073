"""Which function builds the graph of an architecture's encoder."""

from collections.abc import Callable
from typing import Any

from likewise.export.bert import bert
from likewise.export.modernbert import modernbert
from likewise.export.mpnet import mpnet
from likewise.export.nomic_bert import nomic_bert
from likewise.export.weights import WeightedGraph

ENCODERS: dict[str, Callable[[WeightedGraph, Any], str]] = {  # "model_type" in config.json → its graph
    "bert": bert,
    "camembert": bert,
    "distilbert": bert,
    "electra": bert,
    "modernbert": modernbert,
    "mpnet": mpnet,
    "nomic_bert": nomic_bert,
    "roberta": bert,
    "xlm-roberta": bert,
}
