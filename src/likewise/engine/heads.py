"""What may follow the pooling, in numpy: for vectors that are made without torch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.similarity import normalize_embeddings

Vectors = NDArray[np.float32]

_erf = np.vectorize(math.erf, otypes=[np.float32])
ACTIVATIONS: dict[str, Callable[[Vectors], Any]] = {  # the classes of torch.nn
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "GELU": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "Identity": lambda x: x,
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "ReLU": lambda x: np.maximum(x, 0),
    "SELU": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
}


def is_known(head: models.Head) -> bool:
    """Whether ``apply`` computes the head."""
    return not isinstance(head, models.Dense) or _activation_name(head) in ACTIVATIONS


def apply(head: models.Head, vectors: Vectors) -> Vectors:
    """(texts, inputs) → (texts, outputs), float32, as the torch module of the same name computes it."""
    if isinstance(head, models.Normalize):
        return normalize_embeddings(vectors)
    if isinstance(head, models.Dropout):
        return vectors
    if isinstance(head, models.LayerNorm):
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)  # torch's own epsilon
        return (scaled * head.arrays["norm.weight"] + head.arrays["norm.bias"]).astype(np.float32)
    result = vectors @ head.arrays["linear.weight"].astype(np.float32).T
    if head.bias:
        result = result + head.arrays["linear.bias"]
    with np.errstate(over="ignore"):  # a sigmoid of a very negative number is 0
        result = ACTIVATIONS[_activation_name(head)](result)
    if head.use_residual:
        residual = head.arrays.get("residual.weight")
        result = result + (vectors if residual is None else vectors @ residual.astype(np.float32).T)
    return result.astype(np.float32)


def _activation_name(head: models.Dense) -> str:
    return str(head.activation_function).rpartition(".")[2]
