"""Rotary positions: queries and keys are turned by angles that grow with a token's place (Su et al. 2021)."""

import numpy as np

from likewise.export.attention import columns
from likewise.export.graph import Graph

Rotation = tuple[str, str]  # the cosines and the sines of the angles, each (length, rotated width / 2)


def rotation(graph: Graph, width: int, base: float) -> Rotation:
    """The angles of each column: place / base^(2i / ``width``) for the i-th pair of ``width`` dimensions.

    Columns stand for places: only the difference of two matters, whichever side the padding is on.
    """
    numbers, _ = columns(graph)
    powers = np.arange(0, width, 2, dtype=np.float32) / width
    steps = graph.constant(1 / np.float32(base) ** powers, "float32")  # (width / 2,)
    angles = graph.add("Mul", graph.cast(graph.add("Unsqueeze", numbers, graph.whole(1)), "float32"), steps)
    return graph.add("Cos", angles), graph.add("Sin", angles)


def rotated(graph: Graph, vectors: str, by: Rotation, turned: int, width: int) -> str:
    """(texts, heads, length, ``width``) → the same: the first ``turned`` dimensions turned, those behind them kept."""
    cosines, sines = by
    first, second = _part(graph, vectors, 0, turned // 2), _part(graph, vectors, turned // 2, turned)
    parts = [
        graph.add("Sub", graph.add("Mul", first, cosines), graph.add("Mul", second, sines)),
        graph.add("Add", graph.add("Mul", second, cosines), graph.add("Mul", first, sines)),
    ]
    if turned < width:
        parts.append(_part(graph, vectors, turned, width))
    return graph.add("Concat", *parts, axis=-1)


def _part(graph: Graph, tensor: str, start: int, stop: int) -> str:
    return graph.add("Slice", tensor, graph.whole(start), graph.whole(stop), graph.whole(-1))
