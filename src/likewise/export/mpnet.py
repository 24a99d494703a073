"""MPNet: BERT's layers, with a bias of the attention by the distance of two tokens."""

import numpy as np

from likewise.checkpoint.distance_buckets import FARTHEST, distance_buckets
from likewise.checkpoint.encoder_settings import BertSettings
from likewise.export.attention import distances, no_padding, only_where
from likewise.export.bert import embeddings, post_norm_layers
from likewise.export.weights import WeightedGraph


def mpnet(graph: WeightedGraph, settings: BertSettings) -> str:
    """The vector of each token, (texts, length, hidden) (Song et al. 2020)."""
    added = graph.add("Add", only_where(graph, no_padding(graph)), _distance_bias(graph, settings.relative_buckets))
    return post_norm_layers(graph, settings, embeddings(graph, settings), added)


def _distance_bias(graph: WeightedGraph, buckets: int) -> str:
    """What is added to the scores of two tokens for their distance, (heads, length, length)."""
    # Worked out here for every distance up to that from which all are alike, so that no logarithm is in the graph.
    rows = distance_buckets(np.arange(-FARTHEST, FARTHEST + 1), buckets)
    table = np.asarray(graph.weights["relative_bias.weight"], dtype=np.float32)[rows]  # (distances, heads)
    farthest = graph.whole(FARTHEST)
    near = graph.add("Max", graph.add("Min", distances(graph), farthest), graph.whole(-FARTHEST))
    row = graph.add("Add", near, farthest)  # of the table, (length, length)
    return graph.add("Transpose", graph.add("Gather", graph.array("relative_bias", table), row), perm=[2, 0, 1])
