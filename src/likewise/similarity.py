"""How alike embeddings are: cosine, dot product, and negative Euclidean and Manhattan distance.

Each function returns what it was given. Numpy arrays, and lists, give numpy arrays; torch tensors give tensors, on
their device and differentiable. This file never makes torch load: whoever has a tensor has loaded torch. Where one
side is a tensor and the other is not, the other follows onto the tensor's device, and the result is a tensor.

All arithmetic is at least float32: float64 stays float64; every other type of number, and every list, is computed in
float32, under autocast too. A zero vector has the cosine 0 with everything. NaN in gives NaN out.
"""

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Vectors = TypeVar("Vectors", NDArray[Any], "Tensor")  # the kind that goes in is the kind that comes out
Rows = Sequence[Sequence[float]] | Sequence[float]  # a list counts as an array

SHORTEST = 1e-12  # a shorter vector is not stretched to length 1: the zero vector stays zero (F.normalize's number)
_BLOCK = 2**18  # numbers in one block of differences: 1 MiB in float32, so that it stays in a core's cache


def cos_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Cosine of every row of ``a`` with every row of ``b``: (n, dim) × (m, dim) → (n, m), from -1 to 1.

    A single vector (dim,) counts as one row. Raises ValueError where the shapes do not fit.
    """
    left, right = _matrices(a, b)
    return _products(_unit(left), _unit(right))


def dot_score(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Dot product of every row of ``a`` with every row of ``b``: (n, dim) × (m, dim) → (n, m).

    A single vector (dim,) counts as one row. Raises ValueError where the shapes do not fit.
    """
    left, right = _matrices(a, b)
    return _products(left, right)


def euclidean_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Negative Euclidean distance of every row of ``a`` to every row of ``b``: (n, dim) × (m, dim) → (n, m).

    Summed over differences, so it is exact for rows that are nearly the same (``|a|² + |b|² - 2ab`` is not), and block
    by block, so it needs little memory beside its result. A single vector (dim,) counts as one row. Raises ValueError
    where the shapes do not fit.
    """
    left, right = _matrices(a, b)
    return -_distances(left, right, 2)


def manhattan_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Negative Manhattan distance of every row of ``a`` to every row of ``b``: (n, dim) × (m, dim) → (n, m).

    Computed block by block, so it needs little memory beside its result. A single vector (dim,) counts as one row.
    Raises ValueError where the shapes do not fit.
    """
    left, right = _matrices(a, b)
    return -_distances(left, right, 1)


def pairwise_cos_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Cosine of row i of ``a`` with row i of ``b``: (n, dim) × (n, dim) → (n,); two single vectors give one number.

    Raises ValueError where the shapes do not fit.
    """
    left, right = _pairs(a, b)
    return _sums(_unit(left) * _unit(right))


def pairwise_dot_score(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Dot product of row i of ``a`` with row i of ``b``: (n, dim) × (n, dim) → (n,); two vectors give one number.

    Raises ValueError where the shapes do not fit.
    """
    left, right = _pairs(a, b)
    return _sums(left * right)


def pairwise_euclidean_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Negative Euclidean distance of row i of ``a`` to row i of ``b``: (n, dim) × (n, dim) → (n,).

    Two single vectors give one number. Raises ValueError where the shapes do not fit.
    """
    left, right = _pairs(a, b)
    difference: Vectors = left - right
    return -lengths(difference)


def pairwise_manhattan_sim(a: Vectors | Rows, b: Vectors | Rows) -> Vectors:
    """Negative Manhattan distance of row i of ``a`` to row i of ``b``: (n, dim) × (n, dim) → (n,).

    Two single vectors give one number. Raises ValueError where the shapes do not fit.
    """
    left, right = _pairs(a, b)
    difference: Vectors = abs(left - right)
    return -_sums(difference)


def normalize_embeddings(embeddings: Vectors | Rows) -> Vectors:
    """Each vector, along the last axis, stretched or shrunk to length 1: (…, dim) → (…, dim).

    Zero vectors stay zero. The arithmetic is at least float32; a floating type is kept, integers become float32.
    """
    unit: Any = _unit(as_floats(embeddings))
    if is_tensor(embeddings) and embeddings.is_floating_point():
        unit = unit.to(embeddings.dtype)
    elif isinstance(embeddings, np.ndarray) and embeddings.dtype.kind == "f":
        unit = unit.astype(embeddings.dtype, copy=False)
    result: Vectors = unit
    return result


class SimilarityFunction(StrEnum):
    """The similarities that a model may be meant for, by the names that its configuration file uses."""

    COSINE = "cosine"
    DOT_PRODUCT = "dot"
    DOT = "dot"  # an alias
    EUCLIDEAN = "euclidean"
    MANHATTAN = "manhattan"

    @classmethod
    def _missing_(cls, value: object) -> "SimilarityFunction":
        raise ValueError(f"{value!r} is not a similarity function; use one of {', '.join(cls.possible_values())}")

    @staticmethod
    def to_similarity_fn(similarity_function: "str | SimilarityFunction") -> Callable[[Any, Any], Any]:
        """The function of all pairs, (n, dim) × (m, dim) → (n, m). Raises ValueError for an unknown name."""
        return _FUNCTIONS[SimilarityFunction(similarity_function)][0]

    @staticmethod
    def to_similarity_pairwise_fn(similarity_function: "str | SimilarityFunction") -> Callable[[Any, Any], Any]:
        """The function of row i with row i, (n, dim) × (n, dim) → (n,). Raises ValueError for an unknown name."""
        return _FUNCTIONS[SimilarityFunction(similarity_function)][1]

    @staticmethod
    def possible_values() -> list[str]:
        """The names, as strings."""
        return [member.value for member in SimilarityFunction]


_FUNCTIONS: dict[SimilarityFunction, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    SimilarityFunction.COSINE: (cos_sim, pairwise_cos_sim),
    SimilarityFunction.DOT_PRODUCT: (dot_score, pairwise_dot_score),
    SimilarityFunction.EUCLIDEAN: (euclidean_sim, pairwise_euclidean_sim),
    SimilarityFunction.MANHATTAN: (manhattan_sim, pairwise_manhattan_sim),
}


def is_tensor(value: object) -> "TypeGuard[Tensor]":
    """Whether ``value`` is a torch tensor, told without loading torch."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)  # None, too, while another thread is importing torch
    return tensor is not None and isinstance(value, tensor)


def as_floats(vectors: Any) -> Any:
    """An array for arrays and lists, a tensor for tensors and lists of tensors; float64 stays, the rest is float32.

    Raises TypeError where the values are not real numbers.
    """
    if isinstance(vectors, list | tuple) and vectors and is_tensor(vectors[0]):
        import torch

        vectors = torch.stack(tuple(vectors))
    if is_tensor(vectors):
        if vectors.is_complex():
            raise TypeError(f"embeddings must be real numbers, not {vectors.dtype}")
        dense = vectors.to_dense()
        return dense if dense.is_floating_point() and dense.element_size() >= 4 else dense.float()
    array = np.asarray(vectors)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"embeddings must be real numbers in rows of equal length, not {array.dtype} values")
    keep = isinstance(vectors, np.ndarray) and array.dtype in (np.float32, np.float64)
    return array if keep else array.astype(np.float32)


def as_tensor(vectors: Any, device: "torch.device | None" = None) -> "Tensor":
    """Arrays, with their type of number, and lists, in float32, as a tensor on ``device``; tensors as they are."""
    import torch

    if not is_tensor(vectors) and not isinstance(vectors, np.ndarray):
        vectors = as_floats(vectors)
    if is_tensor(vectors):
        return vectors
    if not vectors.flags.writeable or min(vectors.strides, default=0) < 0:  # torch warns of one, refuses the other
        vectors = vectors.copy()
    return torch.as_tensor(vectors, device=device)


def lengths(vectors: Vectors) -> Vectors:
    """Euclidean length of each vector, along the last axis: (…, dim) → (…)."""
    result: Vectors
    if is_tensor(vectors):
        import torch

        result = torch.linalg.vector_norm(vectors, dim=-1)
    else:
        result = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))  # einsum makes no array of squares
    return result


def _unit(vectors: Vectors) -> Vectors:
    result: Vectors = vectors / lengths(vectors).clip(SHORTEST)[..., None]
    return result


def _sums(vectors: Vectors) -> Vectors:
    result: Vectors = vectors.sum(-1)
    return result


def _same_kind(a: Vectors | Rows, b: Vectors | Rows) -> tuple[Vectors, Vectors]:
    """Both as arrays or both as tensors, as_floats."""
    left, right = as_floats(a), as_floats(b)
    if is_tensor(left) or is_tensor(right):
        import torch

        device = left.device if is_tensor(left) else right.device
        left, right = as_tensor(left, device), as_tensor(right, device)
        common = torch.promote_types(left.dtype, right.dtype)
        left, right = left.to(common), right.to(common)
    return left, right


def _matrices(a: Vectors | Rows, b: Vectors | Rows) -> tuple[Vectors, Vectors]:
    """Both as (rows, dim), of the same kind; ValueError with both shapes where the dimensions differ."""
    left, right = _same_kind(a, b)
    shapes = f"{tuple(left.shape)} and {tuple(right.shape)}"
    if not (1 <= left.ndim <= 2 and 1 <= right.ndim <= 2):
        raise ValueError(f"similarity takes matrices (rows, dim) or single vectors (dim,), not the shapes {shapes}")
    if left.shape == (0,):  # what encoding no text gives: no rows, of any width
        left = left.reshape(0, right.shape[-1])
    if right.shape == (0,):
        right = right.reshape(0, left.shape[-1])
    left, right = (side[None] if side.ndim == 1 else side for side in (left, right))
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"embeddings can be compared only in the same dimension, but the shapes are {shapes}")
    return left, right


def _pairs(a: Vectors | Rows, b: Vectors | Rows) -> tuple[Vectors, Vectors]:
    """As _matrices, with as many rows on both sides; two single vectors stay vectors, and so give one number."""
    left, right = _same_kind(a, b)
    shapes = f"{tuple(left.shape)} and {tuple(right.shape)}"
    one_pair = left.ndim == right.ndim == 1 and len(left) > 0
    left, right = _matrices(left, right)
    if len(left) != len(right):
        raise ValueError(f"pairwise similarity needs as many rows on both sides, but the shapes are {shapes}")
    return (left[0], right[0]) if one_pair else (left, right)


def _products(left: Vectors, right: Vectors) -> Vectors:
    result: Vectors
    if is_tensor(left):
        import torch

        with torch.autocast(left.device.type, enabled=False):  # it would compute products in half precision
            result = left @ right.T
    else:
        result = left @ right.T
    return result


def _distances(left: Vectors, right: Vectors, order: int) -> Vectors:
    """Minkowski distances of all pairs, of order 1 (Manhattan) or 2 (Euclidean)."""
    distances: Any = _distances_of_tensors if is_tensor(left) else _distances_of_arrays
    result: Vectors = distances(left, right, order)
    return result


def _distances_of_tensors(left: "Tensor", right: "Tensor", order: int) -> "Tensor":
    import torch

    return torch.cdist(left, right, p=order, compute_mode="donot_use_mm_for_euclid_dist")


def _distances_of_arrays(left: NDArray[Any], right: NDArray[Any], order: int) -> NDArray[Any]:
    width = max(1, left.shape[1])
    columns = max(1, min(len(right), _BLOCK // width))
    rows = max(1, _BLOCK // (width * columns))
    result = np.empty((len(left), len(right)), np.result_type(left, right))
    for row in range(0, len(left), rows):
        for column in range(0, len(right), columns):
            difference = np.subtract(left[row : row + rows, None], right[column : column + columns], order="C")
            block = lengths(difference) if order == 2 else np.abs(difference, out=difference).sum(-1)
            result[row : row + rows, column : column + columns] = block
    return result
