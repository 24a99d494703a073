"""What may follow the encoder and the pooling, in the graph: Dense, LayerNorm, Normalize; Dropout does nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.export.activations import activated
from likewise.export.graph import Graph

NORM_EPSILON = 1e-5  # torch's own
SHORTEST = 1e-12  # torch's own: a shorter vector is divided by this


def headed(graph: Graph, vectors: str, head: models.Head, arrays: Mapping[str, NDArray[Any]], name: str) -> str:
    """(…, inputs) → (…, outputs); ``arrays`` are the head's weights under their file's names, always kept in float32.

    Raises:
        ValueError: Its activation function is not known.
    """

    def weight(key: str) -> str:
        return graph.array(f"{name}.{key}", np.asarray(arrays[key], dtype=np.float32))

    def product(key: str) -> str:
        return graph.add("MatMul", vectors, graph.array(f"{name}.{key}", np.asarray(arrays[key], dtype=np.float32).T))

    match head:
        case models.Dense():
            result = product("linear.weight")
            if head.bias:
                result = graph.add("Add", result, weight("linear.bias"))
            result = activated(graph, result, str(head.activation_function))
            if head.use_residual:
                is_wide = "residual.weight" in arrays
                result = graph.add("Add", result, product("residual.weight") if is_wide else vectors)
            return result
        case models.LayerNorm():
            scale, shift = weight("norm.weight"), weight("norm.bias")
            return graph.add("LayerNormalization", vectors, scale, shift, axis=-1, epsilon=NORM_EPSILON)
        case models.Normalize():
            return normalized(graph, vectors)
        case models.Dropout():
            return vectors


def normalized(graph: Graph, vectors: str) -> str:
    """Each vector divided by its length."""
    lengths = graph.add("ReduceL2", vectors, axes=[-1], keepdims=1)
    return graph.add("Div", vectors, graph.add("Max", lengths, graph.number(SHORTEST)))


def truncated(graph: Graph, vectors: str, dimension: int) -> str:
    """The first ``dimension`` values of each vector, (texts, dim)."""
    return graph.add("Slice", vectors, graph.whole(0), graph.whole(dimension), graph.whole(1))
