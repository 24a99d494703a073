"""Vectors of length 1, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.similarity import lengths, normalize_embeddings


def unit_vectors(vectors: NDArray[Any], first_row: int = 0) -> NDArray[np.float32]:
    """``vectors`` (rows, dim) in float32, each of length 1; ``first_row`` is the number of the first, for the error.

    Raises:
        ValueError: A row holds NaN, infinity, or numbers too large for float32.
    """
    with np.errstate(over="ignore"):  # infinity is reported below
        rows = np.asarray(vectors, np.float32)
        wrong = np.flatnonzero(~np.isfinite(lengths(rows)))
    if len(wrong):
        cause = "NaN, infinity or numbers too large for float32"
        raise ValueError(f"row {first_row + wrong[0]} of the vectors, counted from 0, holds {cause}")
    unit: NDArray[np.float32] = normalize_embeddings(rows)
    return unit
