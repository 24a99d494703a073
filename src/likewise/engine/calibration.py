"""int8 that keeps its accuracy: what each input of each product is scaled by before it is rounded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import check_shapes, read_array_file, write_arrays
from likewise.checkpoint.model_files import CALIBRATION
from likewise.engine.kernel_encoder import InputScales, KnownSettings, joined_arrays, kernel_encoder, layer_products
from likewise.engine.library import LAYER_PRODUCTS, instruction_set, is_native
from likewise.models import Transformer

LargestInputs = Mapping[str, NDArray[np.float32]]  # "layers.0.qkv" → the largest magnitude of each input, (inputs,)

STRENGTH = 0.5  # of the smoothing: 0 leaves all to the weights, 1 to the inputs (Xiao et al. 2023, equation 4)
SMALLEST = 1e-5
TEXTS_AT_ONCE = 256


@cache
def calibration_texts() -> tuple[str, ...]:
    """Sentences of many kinds, to see how large the inputs of products become."""
    return tuple((files("likewise.engine") / "calibration.txt").read_text(encoding="utf-8").splitlines())


def is_calibrated(transformer: Transformer) -> bool:
    """Whether the checkpoint was converted to int8."""
    return (transformer.location.folder / CALIBRATION).is_file()


def dtype_of(transformer: Transformer, dtype: str, instructions: str) -> str:
    """What "auto" means: int8 where the checkpoint was converted to it, bfloat16 where it is native, else float32."""
    if dtype != "auto":
        return dtype
    if is_calibrated(transformer):
        return "int8"
    return "bfloat16" if is_native(instructions, "bfloat16") else "float32"


def rounding_of(transformer: Transformer, dtype: str, instructions: str) -> str:
    """What decides how vectors are rounded: the dtype, and in int8 also what the checkpoint was converted with."""
    dtype = dtype_of(transformer, dtype, instructions)
    if dtype != "int8" or not is_calibrated(transformer):
        return dtype
    observed_then = (transformer.location.folder / CALIBRATION).read_bytes()
    return f"int8, calibrated {hashlib.blake2b(observed_then, digest_size=16).hexdigest()}"


def scales_of(transformer: Transformer, instructions: str) -> InputScales:
    """What inputs of int8 products are multiplied by, from what was observed when the model was converted, or now.

    Raises:
        ValueError: What was observed when the model was converted does not fit it.
    """
    return input_scales(transformer, _stored(transformer) or observed(transformer, calibration_texts(), instructions))


def calibrate(folder: Path, texts: Sequence[str]) -> None:
    """Keep beside the encoder in ``folder`` how large the inputs of its products become with ``texts``."""
    write_arrays(folder / CALIBRATION, observed(Transformer(folder), texts or calibration_texts(), instruction_set()))


def observed(transformer: Transformer, texts: Sequence[str], instructions: str) -> LargestInputs:
    """How large the inputs of each product become with ``texts``."""
    encoder = kernel_encoder(transformer, "float32", instructions)
    settings = encoder.settings
    widest = max(settings.hidden, settings.intermediate)
    largest = np.zeros((settings.layers, len(LAYER_PRODUCTS), widest), dtype=np.float32)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        encoder.encode(transformer.tokenize(texts[start : start + TEXTS_AT_ONCE]), ["mean"], largest)
    return {
        f"layers.{layer}.{product}": largest[layer, LAYER_PRODUCTS.index(product), : _inputs(transformer, product)]
        for layer, product in layer_products(transformer.settings)
    }


def input_scales(transformer: Transformer, largest: LargestInputs) -> InputScales:
    """For each product what its inputs are multiplied by, (inputs,): SmoothQuant (Xiao et al. 2023, equation 4).

    An input that becomes large is made smaller and its weights larger, so that rounding to 8 bits, which follows the
    largest input of a token, costs the others less.
    """
    arrays = joined_arrays(transformer)
    scales = {}
    for name, inputs in largest.items():
        _, layer, product = name.split(".")
        scales[int(layer), product] = smoothing(inputs, np.abs(arrays[f"{name}.weight"]).max(axis=0))
    return scales


def smoothing(largest_inputs: NDArray[np.float32], largest_weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (max|x|^strength / max|w|^(1 - strength)) for each input, (inputs,)."""
    inputs = np.maximum(largest_inputs, SMALLEST) ** STRENGTH
    weights = np.maximum(largest_weights, SMALLEST) ** (1 - STRENGTH)
    return np.ascontiguousarray(weights / inputs, dtype=np.float32)


def _stored(transformer: Transformer) -> LargestInputs | None:
    """What was observed when the model was converted; None where it was not."""
    if not is_calibrated(transformer):
        return None
    file = transformer.location.folder / CALIBRATION
    largest = read_array_file(file)
    widths = {
        f"layers.{layer}.{product}": _inputs(transformer, product)
        for layer, product in layer_products(transformer.settings)
    }
    check_shapes(largest, {name: (width,) for name, width in widths.items()}, file)
    return {name: np.nan_to_num(largest[name].astype(np.float32)) for name in widths}


def _inputs(transformer: Transformer, product: str) -> int:
    """How many inputs one of LAYER_PRODUCTS has."""
    settings = transformer.settings
    assert isinstance(settings, KnownSettings)
    return settings.intermediate if product == "contract" else settings.hidden
