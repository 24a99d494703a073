"""Smaller vectors: each number as one byte or one bit, as sentence-transformers makes them, bit for bit.

The scalar kinds, "int8" and "uint8", cut the range of each dimension into 256 equal buckets and keep the bucket. The
binary kinds keep whether each number is above 0, eight of them in a byte, the first in its highest bit; where the
dimension is no multiple of 8, the last byte ends in zero bits. "int8" and "binary" are "uint8" and "ubinary" less 128.
"""

import logging
from collections.abc import Sequence
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from likewise.similarity import is_tensor

Precision = Literal["float32", "int8", "uint8", "binary", "ubinary"]

SCALAR, BINARY = ("int8", "uint8"), ("binary", "ubinary")
BUCKETS = 256
FEW = 100  # embeddings, whose ranges say little about others
NUMBERS_AT_ONCE = 2**20  # quantised together, so that what lies between stays small

logger = logging.getLogger(__name__)


def check_precision(precision: str | None) -> None:
    """Check an argument of that name; None means "float32".

    Raises:
        ValueError: There is no such precision.
    """
    known = get_args(Precision)
    if precision is not None and precision not in known:
        raise ValueError(f"precision {precision!r} is not known; use one of {', '.join(map(repr, known))}")


@overload
def quantize_embeddings(
    embeddings: NDArray[Any], precision: Precision, ranges: Any = None, calibration_embeddings: Any = None
) -> NDArray[Any]: ...


@overload
def quantize_embeddings(
    embeddings: Any, precision: Precision, ranges: Any = None, calibration_embeddings: Any = None
) -> Any: ...


def quantize_embeddings(
    embeddings: Any, precision: Precision, ranges: Any = None, calibration_embeddings: Any = None
) -> Any:
    """Embeddings with fewer bits: (n, dim) → (n, dim), or (n, dim / 8) for "binary" and "ubinary"; always an array.

    ``embeddings`` are an array, a tensor or a list of vectors, or one vector (dim,). A list of matrices, such as token
    embeddings, gives a list of matrices that share their buckets. int8 and uint8 need to know the lowest and the
    highest number of each dimension: ``ranges`` (2, dim), else those of ``calibration_embeddings``, else those of the
    embeddings themselves. What lies beyond them goes into the first or the last bucket. Vectors can be compared only
    where their ranges are the same, so keep those of a corpus for its queries.

    Raises:
        ValueError: There is no such precision, the embeddings are integers of 8 bits already, a shape is not right,
            a number is NaN or infinite, or the ranges would have to be those of a single embedding.
        TypeError: The embeddings are no real numbers.
    """
    check_precision(precision)
    if isinstance(embeddings, list | tuple):
        if len(embeddings) == 0:
            return []
        if np.ndim(embeddings[0]) == 2 and not isinstance(embeddings[0], list | tuple):
            return _matrices([*map(_real_array, embeddings)], precision, ranges, calibration_embeddings)
    vectors = _real_array(embeddings)
    if vectors.ndim not in (1, 2):
        raise ValueError(f"embeddings must have the shape (n, dim) or (dim,), not {vectors.shape}")
    if precision == "float32":
        return vectors.astype(np.float32)
    dimension = vectors.shape[-1]
    width = -(-dimension // 8) if precision in BINARY else dimension
    codes = np.empty((*vectors.shape[:-1], width), np.uint8)
    if codes.size:
        starts, steps = None, None
        if precision in SCALAR:
            if ranges is None:
                ranges = _observed_ranges(vectors, precision, calibration_embeddings)
            starts, steps = _buckets(ranges, dimension)
        rows = max(1, NUMBERS_AT_ONCE // dimension)
        given, made = np.atleast_2d(vectors), np.atleast_2d(codes)
        for first in range(0, len(given), rows):
            block = given[first : first + rows]
            _check_finite(block, "embeddings", first)
            if starts is None or steps is None:
                made[first : first + rows] = np.packbits(block > 0, axis=-1)
            else:
                with np.errstate(over="ignore"):  # far beyond tiny ranges: infinity is the last bucket too
                    made[first : first + rows] = np.clip(np.floor((block - starts) / steps), 0, BUCKETS - 1)
    return _signed(codes) if precision in ("int8", "binary") else codes


def quantization_ranges(
    embeddings: NDArray[Any], precision: Precision, calibration_embeddings: Any = None
) -> NDArray[np.float32]:
    """The ranges (2, dim) that quantize_embeddings would find for these: the lowest and highest number of each.

    Raises:
        ValueError: They would have to be those of a single embedding, or a number is NaN or infinite.
    """
    return _observed_ranges(_real_array(embeddings), precision, calibration_embeddings).astype(np.float32, copy=False)


def dequantize_embeddings(codes: NDArray[Any], precision: Precision, ranges: Any) -> NDArray[np.float64]:
    """The lower end of each number's bucket, for int8 and uint8: (…, dim) → (…, dim)."""
    starts, steps = _buckets(ranges, codes.shape[-1])
    return (codes.astype(np.float64) + (BUCKETS // 2 if precision == "int8" else 0)) * steps + starts


def unpacked_bits(codes: NDArray[Any], precision: Precision, dimension: int | None = None) -> NDArray[np.uint8]:
    """What "binary" and "ubinary" packed, as 0 and 1: (…, dim / 8) → (…, ``dimension``), without one (…, 8 · bytes)."""
    packed: NDArray[np.uint8] = codes.view(np.uint8) ^ np.uint8(0x80 if precision == "binary" else 0)
    bits = np.unpackbits(packed, axis=-1)
    return bits if dimension is None else bits[..., :dimension]


def _matrices(
    matrices: Sequence[NDArray[Any]], precision: Precision, ranges: Any, calibration_embeddings: Any
) -> list[NDArray[Any]]:
    widths = sorted({matrix.shape[-1] for matrix in matrices})
    if len(widths) > 1:
        raise ValueError(f"all matrices must have the same dimension, but there are {', '.join(map(str, widths))}")
    if precision in SCALAR and ranges is None and any(map(len, matrices)):
        ranges = _observed_ranges(np.concatenate(matrices), precision, calibration_embeddings)
    return [quantize_embeddings(matrix, precision, ranges) for matrix in matrices]


def _real_array(embeddings: Any) -> NDArray[Any]:
    """Embeddings as an array of real numbers, in their own type, which is not an 8-bit one yet."""
    if isinstance(embeddings, list | tuple) and is_tensor(embeddings[0]):
        import torch

        embeddings = torch.stack(tuple(embeddings))
    if is_tensor(embeddings):
        tensor = embeddings.detach()
        embeddings = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).cpu().numpy()
    try:
        array = np.asarray(embeddings)
    except ValueError:
        raise ValueError("embeddings must be rows of equal length, but they are not") from None
    if array.dtype in (np.uint8, np.int8):
        raise ValueError(f"embeddings to quantize must be floating-point numbers, but are {array.dtype} already")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"embeddings must be real numbers in rows of equal length, not {array.dtype} values")
    return array


def _observed_ranges(
    embeddings: NDArray[Any], precision: Precision, calibration_embeddings: Any = None
) -> NDArray[Any]:
    if calibration_embeddings is not None:
        seen, name = _real_array(calibration_embeddings), "calibration_embeddings"
        if seen.ndim != 2 or len(seen) == 0:
            raise ValueError(f"calibration_embeddings must have the shape (n, dim) with rows in it, not {seen.shape}")
    else:
        seen, name = embeddings, "embeddings"
        if seen.ndim == 1 or len(seen) < 2:
            raise ValueError(
                f"the ranges of {precision} cannot be told from a single embedding; give ranges= or "
                "calibration_embeddings= of many embeddings to quantize_embeddings"
            )
        if len(seen) < FEW:
            logger.warning(
                "%s buckets are computed from %d embeddings only; give ranges or calibration_embeddings of more, "
                "so that other embeddings fit into them",
                precision,
                len(seen),
            )
    lowest, highest = seen.min(axis=0), seen.max(axis=0)  # NaN and infinity come through
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        _check_finite(seen, name)
    return np.vstack((lowest, highest))


def _buckets(ranges: Any, dimension: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where the first bucket of each dimension starts, and how wide they are, (dim,) each."""
    found = np.asarray(ranges.detach().cpu() if is_tensor(ranges) else ranges).astype(np.float32, copy=False)
    if found.shape != (2, dimension):
        raise ValueError(f"ranges must have the shape (2, {dimension}), lowest and highest, not {found.shape}")
    _check_finite(found, "ranges")
    starts, ends = found
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        raise ValueError(f"ranges of dimension {wrong[0]} must rise, but are {starts[wrong[0]]} and {ends[wrong[0]]}")
    steps = (ends - starts) / np.float32(BUCKETS - 1)
    return starts, np.where(steps == 0, np.float32(1), steps)  # a dimension that never changes is always bucket 0


def _check_finite(numbers: NDArray[Any], name: str, first: int = 0) -> None:
    wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=-1))
    if len(wrong):
        raise ValueError(f"row {first + wrong[0]} of {name}, counted from 0, holds NaN or infinity")


def _signed(codes: NDArray[np.uint8]) -> NDArray[np.int8]:
    return (codes ^ 0x80).view(np.int8)
