"""int8 that keeps its accuracy: what each input of each product is scaled by before it is rounded."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from likewise.engine.kernel_encoder import Precision, joined_arrays, kernel_encoder
from likewise.engine.library import LAYER_PRODUCTS
from likewise.models import Transformer

STRENGTH = 0.5  # of the smoothing: 0 leaves all to the weights, 1 to the inputs (Xiao et al. 2023, equation 4)
SMALLEST = 1e-5


@cache
def calibration_texts() -> tuple[str, ...]:
    """Sentences of many kinds, to see how large the inputs of products become."""
    return tuple((files("likewise.engine") / "calibration.txt").read_text(encoding="utf-8").splitlines())


def input_scales(transformer: Transformer, instructions: str) -> dict[tuple[int, str], NDArray[np.float32]]:
    """For each product what its inputs are multiplied by, (inputs,): SmoothQuant (Xiao et al. 2023, equation 4).

    An input that becomes large is made smaller and its weights larger, so that rounding to 8 bits, which follows the
    largest input of a token, costs the others less. How large they become is observed on texts
    that ship with the package.
    """
    encoder = kernel_encoder(transformer, Precision("float32", "float32"), instructions)
    settings = encoder.settings
    widest = max(settings.hidden, settings.intermediate)
    largest = np.zeros((settings.layers, len(LAYER_PRODUCTS), widest), dtype=np.float32)
    encoder.encode(transformer.tokenize(calibration_texts()), ["mean"], largest)
    arrays = joined_arrays(transformer)
    return {
        (layer, product): smoothing(
            largest[layer, place], np.abs(arrays[f"layers.{layer}.{product}.weight"]).max(axis=0)
        )
        for layer in range(settings.layers)
        for place, product in enumerate(LAYER_PRODUCTS)
    }


def smoothing(largest_inputs: NDArray[np.float32], largest_weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (max|x|^strength / max|w|^(1 - strength)) for each input, (inputs,)."""
    inputs = np.maximum(largest_inputs[: len(largest_weights)], SMALLEST) ** STRENGTH
    weights = np.maximum(largest_weights, SMALLEST) ** (1 - STRENGTH)
    return np.ascontiguousarray(weights / inputs, dtype=np.float32)
