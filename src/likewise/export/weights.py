"""Where weights are used: products, tables and norms, each stored as the export asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.export.graph import Graph

DTYPES = ("float32", "float16", "int8")  # what weights can be stored in
# Of an 8-bit weight, 7 bits and a half: x86 processors before VNNI add pairs of products in 16 bits, which saturate
# beyond 2 * 255 * 64. With these, the graph gives the same vectors on every processor.
LARGEST_WEIGHT = 64
LARGEST_VALUE = 127  # of an activation in 8 bits; the zero point 128 makes it unsigned, which onnxruntime computes fast
ZERO_POINT = 128
SMALLEST_SCALE = 1e-12  # a row of zeros stays zeros


class WeightedGraph(Graph):
    """A graph, and the named weights that it is built from."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], dtype: str = "float32"):
        super().__init__()
        self.weights = arrays
        self.dtype = dtype

    def has(self, name: str) -> bool:
        """Whether there is an array called ``name``."""
        return name in self.weights

    def weight(self, name: str) -> str:
        """The array ``name``, in float32."""
        return name if name in self.arrays else self.array(name, self._float32(name))

    def linear(self, tensor: str, *names: str) -> str:
        """(…, inputs) → (…, outputs): the product with ``name.weight`` (outputs, inputs), plus ``name.bias``, if any.

        Several layers on the same ``tensor`` are computed as one product, their outputs side by side.
        """
        joined = np.concatenate([self._float32(f"{name}.weight") for name in names])  # (outputs, inputs)
        label = " + ".join(names)
        product = (
            _int8_product(self, tensor, label, joined) if self.dtype == "int8" else self._product(tensor, label, joined)
        )
        if not self.has(f"{names[0]}.bias"):
            return product
        bias = np.concatenate([self._float32(f"{name}.bias") for name in names])
        return self.add("Add", product, self.array(f"{label}.bias", bias))

    def rows(self, table: str, ids: str) -> str:
        """The rows ``ids`` of the large ``table`` (rows, width): (…) → (…, width)."""
        values = self._float32(table)
        if self.dtype == "float32":
            return self.add("Gather", self.array(table, values), ids)
        if self.dtype == "float16":
            return self.cast(self.add("Gather", self.array(table, values.astype(np.float16)), ids), "float32")
        rounded, scales = quantized(values, LARGEST_VALUE)
        row = self.cast(self.add("Gather", self.array(table, rounded), ids), "float32")
        return self.add("Mul", row, self.add("Gather", self.array(f"{table}.scale", scales[:, None]), ids))

    def norm(self, tensor: str, name: str, epsilon: float) -> str:
        """Layer normalisation over the last axis, with a shift where there is ``name.bias``."""
        shift = [self.weight(f"{name}.bias")] if self.has(f"{name}.bias") else []
        return self.add(
            "LayerNormalization", tensor, self.weight(f"{name}.weight"), *shift, axis=-1, epsilon=float(epsilon)
        )

    def _product(self, tensor: str, name: str, weights: NDArray[np.float32]) -> str:
        if self.dtype == "float16":  # onnxruntime widens it once, when it loads the model
            stored = self.cast(self.array(f"{name}.weight", weights.T.astype(np.float16)), "float32")
        else:
            stored = self.array(f"{name}.weight", weights.T)
        return self.add("MatMul", tensor, stored)

    def _float32(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.weights[name], dtype=np.float32)


def quantized(values: NDArray[np.float32], largest: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(rows, width) → whole numbers from -``largest`` to ``largest``, and the scale of each row, (rows,)."""
    scales = np.maximum(np.abs(values).max(axis=1) / largest, SMALLEST_SCALE).astype(np.float32)
    return np.rint(values / scales[:, None]).astype(np.int8), scales


def _int8_product(graph: WeightedGraph, tensor: str, name: str, weights: NDArray[np.float32]) -> str:
    """The product in whole numbers: one scale for each output, and one for each token, taken from its values.

    onnxruntime's own dynamic quantisation has one scale for the whole batch, so that a text's vector would change with
    its neighbours; weights alone in 8 bits (DequantizeLinear) are no faster than float32, and far slower on one text.
    """
    rounded, scales = quantized(weights, LARGEST_WEIGHT)
    largest = graph.add("ReduceMax", graph.add("Abs", tensor), axes=[-1], keepdims=1)
    scale = graph.add("Max", graph.add("Mul", largest, graph.number(1 / LARGEST_VALUE)), graph.number(SMALLEST_SCALE))
    whole = graph.add("Round", graph.add("Div", tensor, scale))
    values = graph.cast(graph.add("Add", whole, graph.number(ZERO_POINT)), "uint8")
    stored = graph.array(f"{name}.weight", rounded.T)
    product = graph.add("MatMulInteger", values, stored, graph.constant(ZERO_POINT, "uint8"))
    scaled = graph.add("Mul", graph.cast(product, "float32"), scale)
    return graph.add("Mul", scaled, graph.array(f"{name}.scale", scales))
