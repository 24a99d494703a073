"""From one vector per token to one per text, in the graph (Reimers & Gurevych 2019, section 3)."""

from collections.abc import Callable, Sequence

from likewise.export.attention import columns, places
from likewise.export.graph import Graph

EXCLUDED = -3e38  # below every value: what padding counts as in a maximum


def pooled(graph: Graph, hidden: str, modes: Sequence[str]) -> str:
    """(texts, length, hidden) → (texts, modes * hidden): the poolings called ``modes``, side by side.

    A text without tokens, all of it padding, gets the zero vector.
    """
    mask = graph.cast(graph.add("Unsqueeze", "attention_mask", graph.whole(2)), "float32")  # (texts, length, 1)
    vectors = [POOLINGS[mode](graph, hidden, mask) for mode in modes]
    joined = graph.add("Concat", *vectors, axis=-1) if len(vectors) > 1 else vectors[0]
    has_tokens = graph.add("ReduceMax", mask, axes=[1], keepdims=0)  # (texts, 1)
    return graph.add("Where", graph.cast(has_tokens, "bool"), joined, graph.number(0))


def _cls(graph: Graph, hidden: str, mask: str) -> str:
    """The first token's vector."""
    numbers, last = columns(graph)
    first = graph.add("ReduceMin", graph.add("Where", _is_token(graph), numbers, last), axes=[1], keepdims=1)
    return graph.add("GatherND", hidden, first, batch_dims=1)


def _last_token(graph: Graph, hidden: str, mask: str) -> str:
    """The last token's vector."""
    numbers, _ = columns(graph)
    last = graph.add("ReduceMax", graph.add("Where", _is_token(graph), numbers, graph.whole(0)), axes=[1], keepdims=1)
    return graph.add("GatherND", hidden, last, batch_dims=1)


def _mean(graph: Graph, hidden: str, mask: str) -> str:
    """Σ h_i / n over a text's n tokens."""
    return graph.add("Div", _total(graph, graph.add("Mul", hidden, mask)), _at_least_1(graph, _total(graph, mask)))


def _mean_sqrt_len(graph: Graph, hidden: str, mask: str) -> str:
    """Σ h_i / √n."""
    count = _at_least_1(graph, _total(graph, mask))
    return graph.add("Div", _total(graph, graph.add("Mul", hidden, mask)), graph.add("Sqrt", count))


def _weighted_mean(graph: Graph, hidden: str, mask: str) -> str:
    """Σ i·h_i / Σ i, where i counts from 1 (Muennighoff 2022, section 3.1.1)."""
    from_1 = graph.add("Add", places(graph), graph.whole(1))
    weights = graph.add("Mul", graph.cast(graph.add("Unsqueeze", from_1, graph.whole(2)), "float32"), mask)
    total = _total(graph, graph.add("Mul", hidden, weights))
    return graph.add("Div", total, _at_least_1(graph, _total(graph, weights)))


def _maximum(graph: Graph, hidden: str, mask: str) -> str:
    """The largest value of each dimension among a text's tokens."""
    of_tokens = graph.add("Where", graph.cast(mask, "bool"), hidden, graph.number(EXCLUDED))
    return graph.add("ReduceMax", of_tokens, axes=[1], keepdims=0)


POOLINGS: dict[str, Callable[[Graph, str, str], str]] = {
    "cls": _cls,
    "max": _maximum,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
}


def _total(graph: Graph, tensor: str) -> str:
    return graph.add("ReduceSum", tensor, graph.whole(1), keepdims=0)


def _at_least_1(graph: Graph, tensor: str) -> str:
    return graph.add("Max", tensor, graph.number(1))


def _is_token(graph: Graph) -> str:
    return graph.cast("attention_mask", "bool")
