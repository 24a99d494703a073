"""NomicBERT: BERT's post-norm layers with rotary positions and a gated MLP."""

from likewise.checkpoint.rotary_settings import NomicBertSettings
from likewise.export.activations import activated
from likewise.export.attention import attention, heads_of, no_padding, only_where
from likewise.export.bert import with_segments
from likewise.export.rotary import Rotation, rotated, rotation
from likewise.export.weights import WeightedGraph


def nomic_bert(graph: WeightedGraph, settings: NomicBertSettings) -> str:
    """The vector of each token, (texts, length, hidden) (Nussbaum et al. 2024)."""
    vectors = with_segments(graph, graph.rows("embeddings.tokens.weight", "input_ids"), settings.segment_types)
    hidden = graph.norm(vectors, "embeddings.norm", settings.norm_epsilon)
    turn, added = rotation(graph, settings.rotary_width, settings.base), only_where(graph, no_padding(graph))
    for number in range(settings.layers):
        hidden = _layer(graph, settings, hidden, turn, added, f"layers.{number}")
    return hidden


def _layer(
    graph: WeightedGraph, settings: NomicBertSettings, hidden: str, turn: Rotation, added: str, name: str
) -> str:
    """(texts, length, hidden) → the same: attention, feed-forward, each added and normalised (post-norm)."""
    width = settings.hidden // settings.heads
    query, key, value = heads_of(graph, hidden, name, settings.heads, width)
    query, key = (rotated(graph, vectors, turn, settings.rotary_width, width) for vectors in (query, key))
    mixed = graph.linear(attention(graph, query, key, value, width, added), f"{name}.attention_out")
    hidden = graph.norm(graph.add("Add", mixed, hidden), f"{name}.attention_norm", settings.norm_epsilon)
    inner, gate = graph.split(graph.linear(hidden, f"{name}.expand", f"{name}.gate"), 2, axis=-1)
    gated = graph.add("Mul", inner, activated(graph, gate, settings.activation))
    changed = graph.linear(gated, f"{name}.contract")
    return graph.norm(graph.add("Add", changed, hidden), f"{name}.output_norm", settings.norm_epsilon)
