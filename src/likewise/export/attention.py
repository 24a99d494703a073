"""Attention over a padded batch, and what it is told about the padding."""

from likewise.export.graph import Graph
from likewise.export.weights import WeightedGraph

PROJECTIONS = ("query", "key", "value")
EXCLUDED = -1e9  # added to a score, its weight is exactly 0; finite, so that a text of padding alone gives numbers


def places(graph: Graph) -> str:
    """The place of each token within its text, counted from 0, (texts, length); padding may stand on either side."""
    counted = graph.add("CumSum", "attention_mask", graph.constant(1, "int64"))
    return graph.add("Max", graph.add("Sub", counted, graph.whole(1)), graph.whole(0))


def columns(graph: Graph) -> tuple[str, str]:
    """The number of each column of the batch, from 0, (length,); and the last one."""
    length = graph.add("Gather", graph.add("Shape", "input_ids"), graph.constant(1, "int64"))
    zero, one = graph.constant(0, "int64"), graph.constant(1, "int64")
    return graph.add("Range", zero, length, one), graph.add("Sub", length, one)


def distances(graph: Graph) -> str:
    """How far each token stands behind each other one, (length, length): entry (i, j) is j - i."""
    numbers, _ = columns(graph)
    return graph.add("Sub", numbers, graph.add("Unsqueeze", numbers, graph.whole(1)))


def no_padding(graph: Graph) -> str:
    """Which tokens may be attended to: those that are no padding, (texts, 1, 1, length)."""
    return graph.cast(graph.add("Unsqueeze", "attention_mask", graph.whole(1, 2)), "bool")


def only_where(graph: Graph, allowed: str) -> str:
    """What is added to scores: 0 where ``allowed``, else EXCLUDED."""
    return graph.add("Where", allowed, graph.number(0), graph.number(EXCLUDED))


def heads_of(graph: WeightedGraph, hidden: str, layer: str, heads: int, width: int) -> list[str]:
    """Query, key and value of a ``layer``, each (texts, heads, length, width), computed as one product."""
    together = f"{layer}.qkv"  # some store the three projections as one
    names = [together] if graph.has(f"{together}.weight") else [f"{layer}.{part}" for part in PROJECTIONS]
    return [
        graph.add("Transpose", graph.add("Reshape", part, graph.whole(0, 0, heads, width)), perm=[0, 2, 1, 3])
        for part in graph.split(graph.linear(hidden, *names), 3, axis=-1)
    ]


def attention(graph: Graph, query: str, key: str, value: str, width: int, added: str) -> str:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1), each head's ``width`` its scale.

    query, key, value (texts, heads, length, width); ``added`` to the scores, (texts, heads or 1, length or 1, length);
    the result (texts, length, heads * width).
    """
    scaled = graph.add("Mul", query, graph.number(width**-0.5))
    scores = graph.add("MatMul", scaled, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    weights = graph.add("Softmax", graph.add("Add", scores, added), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
    return graph.add("Reshape", mixed, graph.whole(0, 0, -1))
