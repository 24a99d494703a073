"""What may follow the pooling, in numpy: for vectors that are made without torch."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.checkpoint.activations import activation_class
from likewise.checkpoint.arrays import check_finite, origin_of
from likewise.checkpoint.values import about
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


Multiply = Callable[[Vectors], Vectors]  # (texts, inputs) → (texts, outputs)
Product = Callable[[NDArray[Any], NDArray[Any] | None], Multiply]  # weight (outputs, inputs), bias (outputs,)


def is_known(head: models.Head) -> bool:
    """Whether ``finisher`` computes the head."""
    return not isinstance(head, models.Dense) or activation_class(str(head.activation_function)) in ACTIVATIONS


def knows_classifier(classifier: models.ClassificationHead) -> bool:
    """Whether ``finisher`` computes a cross-encoder's head."""
    return activation_class(classifier.settings.activation) in ACTIVATIONS


def by_numpy(weight: NDArray[Any], bias: NDArray[Any] | None) -> Multiply:
    """rows → rows weightᵀ + bias."""
    transposed = weight.astype(np.float32).T
    return lambda rows: rows @ transposed if bias is None else rows @ transposed + bias


def row_by_row(weight: NDArray[Any], bias: NDArray[Any] | None) -> Multiply:
    """As ``by_numpy``, with a product for each row."""
    multiply = by_numpy(weight, bias)
    return lambda rows: np.concatenate([multiply(row[None]) for row in rows])


def finisher(chain: models.Chain, product: Product = by_numpy) -> Multiply:
    """What computes the heads of ``chain``, as the torch modules do: (texts, inputs) → (texts, outputs), float32.

    Raises:
        ValueError: A weight is infinite or NaN.
    """
    for head in (*chain.heads, *([] if chain.classifier is None else [chain.classifier])):
        arrays: Mapping[str, NDArray[Any]] = getattr(head, "arrays", {})
        with about(origin_of(head)):
            for name in arrays:
                check_finite(arrays[name], name)
    steps = [step(head, product) for head in chain.heads]
    if chain.classifier is not None:
        steps.append(_classifier(chain.classifier, product))

    def finish(vectors: Vectors) -> Vectors:
        for compute in steps:
            vectors = compute(vectors).astype(np.float32, copy=False)
        return vectors

    return finish


def step(head: models.Head, product: Product = by_numpy) -> Multiply:
    """What computes one head."""
    if isinstance(head, models.Normalize):
        return normalize_embeddings
    if isinstance(head, models.Dropout):
        return lambda vectors: vectors
    if isinstance(head, models.LayerNorm):  # torch's own epsilon
        return lambda vectors: _normalized(vectors, 1e-5, head.arrays["norm.weight"], head.arrays["norm.bias"])
    multiply = product(head.arrays["linear.weight"], head.arrays["linear.bias"] if head.bias else None)
    activation = ACTIVATIONS[activation_class(str(head.activation_function))]
    stored = head.arrays.get("residual.weight")
    residual = None if stored is None else product(stored, None)

    def dense(vectors: Vectors) -> Vectors:
        with np.errstate(over="ignore"):  # a sigmoid of a very negative number is 0
            result = activation(multiply(vectors))
        if head.use_residual:
            result = result + (vectors if residual is None else residual(vectors))
        return np.asarray(result, dtype=np.float32)

    return dense


def _classifier(head: models.ClassificationHead, product: Product) -> Multiply:
    """Two linear layers on the vector of a pair, an activation and, in ModernBERT's, a norm between them."""
    settings, arrays = head.settings, head.arrays
    dense = product(arrays["dense.weight"], arrays.get("dense.bias"))
    out = product(arrays["out.weight"], arrays["out.bias"])
    activation = ACTIVATIONS[activation_class(settings.activation)]

    def scores(vectors: Vectors) -> Vectors:
        vectors = np.asarray(activation(dense(vectors)), dtype=np.float32)
        if settings.has_norm:
            bias = arrays.get("norm.bias", np.float32(0))
            vectors = _normalized(vectors, settings.norm_epsilon, arrays["norm.weight"], bias)
        return out(vectors)

    return scores


def _normalized(vectors: Vectors, epsilon: float, weight: NDArray[Any], bias: Any) -> Vectors:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(epsilon))
    return np.asarray(scaled * weight + bias, dtype=np.float32)
