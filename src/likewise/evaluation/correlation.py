"""How well two columns of numbers agree: by their values, or by their order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation of two columns, (rows,) each: -1 to 1; NaN where one of them does not vary."""
    left, right = (np.asarray(column, dtype=np.float64) for column in (a, b))
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    left, right = left - left.mean(), right - right.mean()
    left, right = left / np.linalg.norm(left), right / np.linalg.norm(right)
    return float(np.clip(left @ right, -1, 1))


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation of two columns, (rows,) each: Pearson's of their ranks."""
    return pearson(ranks(a), ranks(b))


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """The rank of each value, from 1; equal values share the mean of theirs."""
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[groups]
