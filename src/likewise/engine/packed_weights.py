"""Weights as the kernels read them, kept in a file beside the checkpoint: mapped into memory, shared by processes."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np

import likewise
from likewise.checkpoint.arrays import NamedArrays, read_array_file, write_arrays
from likewise.checkpoint.model_files import CALIBRATION
from likewise.engine import calibration
from likewise.engine.kernel_encoder import kernel_encoder, layer_products
from likewise.engine.library import VERSION, Encoder, instruction_set
from likewise.models import Transformer

logger = logging.getLogger(__name__)

FINGERPRINT = "fingerprint"  # of what was packed: as many bytes as products are aligned to
SAMPLE = 64  # values of each array that the fingerprint reads, at its start, its middle and its end


def packed_file(folder: Path, dtype: str, instructions: str) -> Path:
    """Where the weights of the encoder in ``folder`` are kept for these instructions."""
    return folder / f"packed_{dtype}_{instructions}.safetensors"


def pack(folder: Path, dtype: str = "auto") -> None:
    """Keep the weights of the encoder in ``folder`` beside it, packed as this machine computes them in ``dtype``."""
    transformer, instructions = Transformer(folder), instruction_set()
    dtype = calibration.dtype_of(transformer, dtype, instructions)
    encoder = _packed_now(transformer, dtype, instructions)
    arrays = {
        f"layers.{layer}.{product}": encoder.packed(product, layer)
        for layer, product in layer_products(transformer.settings)
    }
    arrays[FINGERPRINT] = np.frombuffer(fingerprint(transformer, dtype), dtype=np.uint8)
    write_arrays(packed_file(folder, dtype, instructions), arrays)


def encoder_of(transformer: Transformer, dtype: str, instructions: str) -> tuple[Encoder, Path | None]:
    """The encoder of ``transformer``, and the file that its packed weights are in where there is one.

    Raises:
        ValueError: An array or a file does not fit.
    """
    packed = packed_products(transformer, dtype, instructions)
    if packed is None:
        return _packed_now(transformer, dtype, instructions), None
    return kernel_encoder(transformer, dtype, instructions, packed=packed), packed.origin


def _packed_now(transformer: Transformer, dtype: str, instructions: str) -> Encoder:
    scales = calibration.scales_of(transformer, instructions) if dtype == "int8" else None
    return kernel_encoder(transformer, dtype, instructions, input_scales=scales)


def packed_products(transformer: Transformer, dtype: str, instructions: str) -> NamedArrays | None:
    """The products of the layers, packed: "layers.0.qkv" → (bytes,), mapped from their file.

    None where there is no such file, or, with a warning, where it was packed from other weights or by another version.

    Raises:
        ValueError: The file is damaged.
    """
    file = packed_file(transformer.location.folder, dtype, instructions)
    if transformer.is_merged or not file.is_file():
        return None
    arrays = read_array_file(file)
    if arrays.get(FINGERPRINT, np.empty(0)).tobytes() != fingerprint(transformer, dtype):
        logger.warning(
            "%s is of other weights or of another version of likewise, so they are packed anew, in memory; make the "
            "file again with: likewise convert --packed",
            file,
        )
        return None
    return arrays


def fingerprint(transformer: Transformer, dtype: str) -> bytes:
    """64 bytes that tell these weights, and what packs them, from others.

    Of each array some values are read: a training changes them all, and a whole file takes longer to read than to map.
    """
    told = hashlib.sha512(f"{likewise.__version__}, {VERSION}, {dtype}".encode())
    for name in sorted(transformer.stored):
        array, kind = transformer.stored.stored(name)
        told.update(f"{name}, {kind}, {array.shape}".encode())
        values = array.reshape(-1)
        middle = max(0, len(values) // 2 - SAMPLE // 2)
        for start in (0, middle, max(0, len(values) - SAMPLE)):
            told.update(values[start : start + SAMPLE].tobytes())
    if dtype == "int8" and calibration.is_calibrated(transformer):
        told.update((transformer.location.folder / CALIBRATION).read_bytes())
    return told.digest()
