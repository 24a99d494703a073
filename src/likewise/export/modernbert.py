"""ModernBERT: pre-norm layers, rotary positions, local and global attention, gated MLP."""

from likewise.checkpoint.rotary_settings import ModernBertSettings
from likewise.export.activations import activated
from likewise.export.attention import attention, distances, heads_of, no_padding, only_where
from likewise.export.rotary import Rotation, rotated, rotation
from likewise.export.weights import WeightedGraph


def modernbert(graph: WeightedGraph, settings: ModernBertSettings) -> str:
    """The vector of each token, (texts, length, hidden) (Warner et al. 2024)."""
    width = settings.hidden // settings.heads
    tokens = no_padding(graph)
    is_near = graph.add("LessOrEqual", graph.add("Abs", distances(graph)), graph.whole(settings.reach))
    everywhere = rotation(graph, width, settings.global_base), only_where(graph, tokens)
    nearby = rotation(graph, width, settings.local_base), only_where(graph, graph.add("And", tokens, is_near))
    vectors = graph.rows("embeddings.tokens.weight", "input_ids")  # (texts, length, hidden)
    hidden = graph.norm(vectors, "embeddings.norm", settings.norm_epsilon)
    for number, is_local in enumerate(settings.is_local):
        hidden = _layer(graph, settings, hidden, *(nearby if is_local else everywhere), number)
    return graph.norm(hidden, "norm", settings.norm_epsilon)


def _layer(
    graph: WeightedGraph, settings: ModernBertSettings, hidden: str, turn: Rotation, added: str, number: int
) -> str:
    """(texts, length, hidden) → the same: of each part's normalised input, the result is added (pre-norm)."""
    name, width = f"layers.{number}", settings.hidden // settings.heads
    # The first layer does not normalise again what the embeddings have normalised.
    normed = graph.norm(hidden, f"{name}.attention_norm", settings.norm_epsilon) if number else hidden
    query, key, value = heads_of(graph, normed, name, settings.heads, width)
    query, key = (rotated(graph, vectors, turn, width, width) for vectors in (query, key))
    mixed = graph.linear(attention(graph, query, key, value, width, added), f"{name}.attention_out")
    hidden = graph.add("Add", hidden, mixed)
    normed = graph.norm(hidden, f"{name}.feed_forward_norm", settings.norm_epsilon)
    inner, gate = graph.split(graph.linear(normed, f"{name}.expand"), 2, axis=-1)  # each (…, intermediate)
    gated = graph.add("Mul", activated(graph, inner, settings.activation), gate)
    return graph.add("Add", hidden, graph.linear(gated, f"{name}.contract"))
