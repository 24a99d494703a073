"""MPNet's table of biases: which of its rows is for which distance between two tokens."""

import math

import numpy as np
from numpy.typing import NDArray

FARTHEST = 128  # tokens that are farther apart than this share a bucket


def distance_buckets(distances: NDArray[np.integer], buckets: int) -> NDArray[np.int64]:
    """The row of the table for each distance, key minus query, between two tokens (Raffel et al. 2020, section 2.1).

    Half of the rows are for tokens that come later; of each half the first half is for one distance each, the other
    half for ever wider ranges up to FARTHEST.
    """
    half = buckets // 2
    exact = half // 2
    apart = np.abs(distances)
    # In float32, as Transformers computes it: the borders of the ranges depend on its rounding.
    logarithms = np.log(np.maximum(apart, 1).astype(np.float32) / np.float32(exact))
    ranges = logarithms / np.float32(math.log(FARTHEST / exact)) * np.float32(half - exact)
    wide = np.minimum(exact + np.maximum(ranges, 0).astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(apart < exact, apart, wide)
