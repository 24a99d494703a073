"""Quantise what a file holds as sentence-transformers does. Run with the Python of an environment that holds it:

python -m tests.peer.quantized GIVEN.npz MADE.npz
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def given() -> dict[str, NDArray[Any]]:
    """Embeddings of many shapes and types, by name."""
    random = np.random.default_rng(0)
    found: dict[str, NDArray[Any]] = {"calibration": random.normal(size=(200, 24)).astype(np.float32)}
    for rows, dimension, dtype in ((150, 24, "f4"), (2, 24, "f8"), (3000, 24, "f2"), (120, 21, "f4"), (0, 24, "f4")):
        vectors = (3 * random.normal(size=(rows, dimension))).astype(dtype)
        vectors[:, 1] = 0.5  # a dimension that never changes
        found[f"{rows}, {dimension}, {dtype}"] = vectors
    return found


def made(arrays: dict[str, NDArray[Any]], quantize: Callable[..., Any]) -> dict[str, NDArray[Any]]:
    """By what was given and how, the results of ``quantize``."""
    found = {}
    seen = arrays["calibration"]
    ranges = np.vstack((seen.min(0), seen.max(0)))
    for name, vectors in arrays.items():
        for precision in PRECISIONS:
            found[f"{name}, {precision}"] = quantize(vectors, precision)
            if vectors.shape[1] == seen.shape[1]:
                found[f"{name}, {precision}, ranges"] = quantize(vectors, precision, ranges)
                found[f"{name}, {precision}, calibrated"] = quantize(
                    vectors, precision=precision, calibration_embeddings=seen
                )
    for precision in PRECISIONS:
        matrices = quantize([seen[:3], seen[:0], seen[3:150]], precision)
        found |= {f"matrix {place}, {precision}": matrix for place, matrix in enumerate(matrices)}
        found[f"one, {precision}"] = quantize(seen[0], precision, ranges)
    return found


def main() -> None:
    from sentence_transformers.util import quantize_embeddings

    with np.load(sys.argv[1]) as arrays:
        np.savez(sys.argv[2], **made(dict(arrays), quantize_embeddings))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
