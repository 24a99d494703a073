"""BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT, ELECTRA: post-norm layers with learned positions."""

from likewise.checkpoint.encoder_settings import BertSettings
from likewise.export.activations import activated
from likewise.export.attention import attention, heads_of, no_padding, only_where, places
from likewise.export.weights import WeightedGraph


def bert(graph: WeightedGraph, settings: BertSettings) -> str:
    """The vector of each token, (texts, length, hidden) (Devlin et al. 2019)."""
    return post_norm_layers(graph, settings, embeddings(graph, settings), only_where(graph, no_padding(graph)))


def embeddings(graph: WeightedGraph, settings: BertSettings) -> str:
    """A token's vector: its word, its position and its segment, added and normalised, (texts, length, hidden)."""
    tokens = graph.rows("embeddings.tokens.weight", "input_ids")  # (texts, length, width)
    positions = graph.add("Gather", graph.weight("embeddings.positions.weight"), position_ids(graph, settings))
    vectors = graph.add("Add", tokens, positions)
    vectors = with_segments(graph, vectors, settings.segment_types)
    vectors = graph.norm(vectors, "embeddings.norm", settings.norm_epsilon)
    return graph.linear(vectors, "embeddings.project") if settings.embedding_width != settings.hidden else vectors


def with_segments(graph: WeightedGraph, vectors: str, segment_types: int) -> str:
    """``vectors`` (texts, length, width) plus those of their segments, where the model has such."""
    if not segment_types:
        return vectors
    # A model with one kind of segment, such as RoBERTa, has no use for the input.
    kind = "token_type_ids" if segment_types > 1 else graph.whole(0)
    return graph.add("Add", vectors, graph.add("Gather", graph.weight("embeddings.segments.weight"), kind))


def position_ids(graph: WeightedGraph, settings: BertSettings) -> str:
    """The row of the position table for each token, (texts, length)."""
    if settings.first_position == 0:
        return places(graph)
    # RoBERTa counts the tokens that are no padding, and a text may hold the padding token spelt out.
    padding = graph.whole(settings.padding_id)
    is_real = graph.cast(graph.add("Not", graph.add("Equal", "input_ids", padding)), "int64")
    is_real = graph.add("Mul", is_real, "attention_mask")
    counted = graph.add("CumSum", is_real, graph.constant(1, "int64"))
    return graph.add("Add", graph.add("Mul", counted, is_real), padding)


def post_norm_layers(graph: WeightedGraph, settings: BertSettings, hidden: str, added: str) -> str:
    """(texts, length, hidden) → the same, through every layer; ``added`` to the scores of the attention."""
    for number in range(settings.layers):
        hidden = _layer(graph, settings, hidden, added, f"layers.{number}")
    return hidden


def _layer(graph: WeightedGraph, settings: BertSettings, hidden: str, added: str, name: str) -> str:
    """(texts, length, hidden) → the same: attention, feed-forward, each added and normalised (post-norm)."""
    width = settings.hidden // settings.heads
    query, key, value = heads_of(graph, hidden, name, settings.heads, width)
    mixed = graph.linear(attention(graph, query, key, value, width, added), f"{name}.attention_out")
    hidden = graph.norm(graph.add("Add", mixed, hidden), f"{name}.attention_norm", settings.norm_epsilon)
    inner = activated(graph, graph.linear(hidden, f"{name}.expand"), settings.activation)
    changed = graph.linear(inner, f"{name}.contract")
    return graph.norm(graph.add("Add", changed, hidden), f"{name}.output_norm", settings.norm_epsilon)
