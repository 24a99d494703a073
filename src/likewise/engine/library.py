"""The kernels' C interface, called through ctypes: found, loaded, and its errors raised."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import likewise.engine
from likewise.checkpoint.activations import TANH_GELU
from likewise.checkpoint.arrays import check_finite
from likewise.tokens import TokenBatch

VERSION = 2  # of the interface, as kernels/interface.h has it
NAMES = ("liblikewise_kernels.so", "liblikewise_kernels.dylib", "likewise_kernels.dll")
ERROR_SIZE = 256
DTYPES = {"float32": 0, "bfloat16": 1, "int8": 2}
MODES = {"cls": 0, "max": 1, "mean": 2, "mean_sqrt_len_tokens": 3, "weightedmean": 4, "lasttoken": 5, "tokens": 6}
ACTIVATIONS = {"GELU": 1, TANH_GELU: 2, "ReLU": 3, "SiLU": 4, "Sigmoid": 5}
ARRAYS = {  # the numbers of enum Part in kernels/interface.h
    "embeddings.tokens.weight": 0,
    "embeddings.positions.weight": 1,
    "embeddings.segments.weight": 2,
    "distance_bias": 3,
    "embeddings.norm.weight": 4,
    "embeddings.norm.bias": 5,
    "last_norm.weight": 6,
    "last_norm.bias": 7,
    "before_attention.weight": 8,
    "before_attention.bias": 9,
    "after_attention.weight": 10,
    "after_attention.bias": 11,
    "before_feed_forward.weight": 12,
    "before_feed_forward.bias": 13,
    "after_feed_forward.weight": 14,
    "after_feed_forward.bias": 15,
    "rotary_cosines": 16,
    "rotary_sines": 17,
}
PRODUCTS = {"project": 32, "qkv": 33, "attention_out": 34, "expand": 35, "contract": 36, "head": 37}
LAYER_PRODUCTS = ("qkv", "attention_out", "expand", "contract")  # in the order in which they are observed


class Settings(ctypes.Structure):
    """What kernels/encoder.h calls Settings."""

    _fields_ = (
        ("vocabulary", ctypes.c_int32),
        ("embedding_width", ctypes.c_int32),
        ("hidden", ctypes.c_int32),
        ("layers", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("intermediate", ctypes.c_int32),
        ("longest", ctypes.c_int32),
        ("positions", ctypes.c_int32),
        ("first_position", ctypes.c_int32),
        ("padding_id", ctypes.c_int32),
        ("segment_types", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("is_gated", ctypes.c_int32),
        ("rotary_width", ctypes.c_int32),
        ("norm_epsilon", ctypes.c_float),
    )


class KernelsMissing(ImportError):  # noqa: N818, it says what is the matter
    """This installation has no kernels, or they are another version's."""


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The kernels.

    Raises:
        KernelsMissing: They were not built where likewise was installed, or do not fit it.
    """
    found = [Path(folder) / name for folder in likewise.engine.__path__ for name in NAMES]
    file = next((file for file in found if file.is_file()), None)
    if file is None:
        raise KernelsMissing("this installation of likewise has no kernels: no C++ compiler was there when it was made")
    try:
        loaded = ctypes.CDLL(os.fspath(file))
        version = loaded.likewise_version()
    except (OSError, AttributeError) as error:
        raise KernelsMissing(f"the kernels in {file} cannot be loaded: {error}") from error
    if version != VERSION:
        raise KernelsMissing(f"the kernels in {file} are of version {version}, not {VERSION}; install likewise again")
    pointer, whole, long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    loaded.likewise_instruction_sets.restype = ctypes.c_char_p
    loaded.likewise_is_native.argtypes = [ctypes.c_char_p, whole]
    loaded.likewise_new.argtypes = [ctypes.POINTER(Settings), ctypes.c_char_p, ctypes.c_char_p]
    loaded.likewise_new.restype = pointer
    loaded.likewise_delete.argtypes = [pointer]
    loaded.likewise_set_array.argtypes = [pointer, whole, whole, pointer, long, ctypes.c_char_p]
    loaded.likewise_set_product.argtypes = [pointer, *[whole] * 3, *[pointer] * 3, whole, whole, ctypes.c_char_p]
    loaded.likewise_set_packed.argtypes = [pointer, *[whole] * 3, pointer, long, whole, whole, ctypes.c_char_p]
    loaded.likewise_packed.argtypes = [pointer, whole, whole, ctypes.POINTER(long)]
    loaded.likewise_packed.restype = pointer
    loaded.likewise_set_window.argtypes = [pointer, whole, whole, ctypes.c_char_p]
    loaded.likewise_encode.argtypes = [
        *(pointer, pointer, long, pointer, whole, pointer, pointer, pointer, whole),
        *(pointer, long, pointer, long, ctypes.c_char_p),
    ]
    loaded.likewise_multiply.argtypes = [pointer, whole, pointer, long, pointer, long, ctypes.c_char_p]
    return loaded


def are_there() -> bool:
    """Whether this installation has kernels."""
    try:
        library()
    except KernelsMissing:
        return False
    return True


def instruction_set() -> str:
    """The best instruction set of this machine, or the one that LIKEWISE_ISA names.

    Raises:
        KernelsMissing: This installation has no kernels.
        ValueError: LIKEWISE_ISA names none that this machine has.
    """
    known = instruction_sets()
    wanted = os.environ.get("LIKEWISE_ISA", "")
    if wanted and wanted not in known:
        raise ValueError(f"LIKEWISE_ISA is {wanted!r}, but this machine has {', '.join(known)}")
    return wanted or known[0]


def instruction_sets() -> list[str]:
    """The instruction sets that both this machine and the kernels have, best first."""
    names: list[str] = library().likewise_instruction_sets().decode().split()
    return names


def is_native(instructions: str, dtype: str) -> bool:
    """Whether an instruction set multiplies numbers of ``dtype`` as such."""
    return bool(library().likewise_is_native(instructions.encode(), DTYPES[dtype]))


class Encoder:
    """An encoder of the kernels; filled by one thread, then used by any number of them."""

    def __init__(self, settings: Settings, instructions: str):
        self.settings = settings
        self._kept: list[NDArray[Any]] = []  # arrays that the kernels read where they are
        error = ctypes.create_string_buffer(ERROR_SIZE)
        self._handle = library().likewise_new(settings, instructions.encode(), error)
        if not self._handle:
            raise ValueError(error.value.decode())
        weakref.finalize(self, library().likewise_delete, self._handle)

    def set_array(self, name: str, layer: int, values: NDArray[Any]) -> None:
        """Give the encoder one of ARRAYS.

        Raises:
            ValueError: It has another size, or numbers that are not finite.
        """
        kept = np.ascontiguousarray(values, dtype=np.float32)
        if name != "embeddings.tokens.weight":  # large, and read as tokens need it; what is wrong there is seen in them
            _check_finite(kept, name, layer)
        self._kept.append(kept)
        self._call("likewise_set_array", ARRAYS[name], layer, kept.ctypes.data, kept.size)

    def set_product(
        self,
        name: str,
        layer: int,
        dtype: str,
        weight: NDArray[Any],
        bias: NDArray[Any] | None = None,
        input_scales: NDArray[np.float32] | None = None,
    ) -> None:
        """Give the encoder one of PRODUCTS: weight (outputs, inputs), bias (outputs,), and input_scales (inputs,).

        Inputs are multiplied by ``input_scales`` before they are rounded to int8, and the weights divided by them.

        Raises:
            ValueError: It has another shape, numbers that are not finite, or scales in another dtype than int8.
        """
        kept = np.ascontiguousarray(weight, dtype=np.float32)
        _check_finite(kept, f"{name}.weight", layer)
        added = None if bias is None else np.ascontiguousarray(bias, dtype=np.float32)
        if added is not None:
            _check_finite(added, f"{name}.bias", layer)
        arrays = kept.ctypes.data, _address(added), _address(input_scales)
        self._call("likewise_set_product", PRODUCTS[name], layer, DTYPES[dtype], *arrays, *kept.shape)

    def set_packed(self, name: str, layer: int, dtype: str, packed: NDArray[np.uint8], shape: tuple[int, int]) -> None:
        """Give the encoder one of PRODUCTS as ``packed`` gave it, read where it lies; its weight has this ``shape``.

        Raises:
            ValueError: It has another size or lies where it cannot be read.
        """
        self._kept.append(packed)
        place = PRODUCTS[name], layer, DTYPES[dtype]
        self._call("likewise_set_packed", *place, packed.ctypes.data, packed.size, *shape)

    def packed(self, name: str, layer: int) -> NDArray[np.uint8]:
        """One of PRODUCTS, which was set, as this instruction set packs it: a copy, (bytes,).

        Raises:
            ValueError: It was not set.
        """
        size = ctypes.c_int64()
        address = library().likewise_packed(self._handle, PRODUCTS[name], layer, size)
        if not address:
            raise ValueError(f"the encoder has no product {name} in layer {layer}")
        return np.frombuffer(ctypes.string_at(address, size.value), dtype=np.uint8)

    def set_window(self, layer: int, window: int) -> None:
        """Let the tokens of a layer see ``window`` tokens to either side, and no others."""
        self._call("likewise_set_window", layer, window)

    def encode(
        self, batch: TokenBatch, modes: Sequence[str], largest: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(texts, modes * hidden); with the mode "tokens" (tokens, hidden).

        ``largest`` (layers, 4, widest) becomes the largest of itself and of what each product of each layer is given.

        Raises:
            ValueError: The batch is not one, or not of this encoder.
        """
        tokens, texts, hidden = len(batch.ids), len(batch), self.settings.hidden
        rows, width = (tokens, hidden) if list(modes) == ["tokens"] else (texts, hidden * len(modes))
        vectors = np.empty((rows, width), dtype=np.float32)
        numbers = np.array([MODES[mode] for mode in modes], dtype=np.int32)
        parts = [
            None if part is None else np.ascontiguousarray(part, dtype=np.int32)
            for part in (batch.ids, batch.offsets, batch.prompt_lengths, batch.segments)
        ]
        ids, offsets, skipped, segments = parts
        self._call(
            "likewise_encode",
            *(_address(ids), tokens, _address(offsets), texts),
            *(_address(skipped), _address(segments), _address(numbers), len(modes)),
            *(vectors.ctypes.data, vectors.size, _address(largest), 0 if largest is None else largest.size),
        )
        return vectors

    def multiply(self, head: int, rows: NDArray[np.float32], outputs: int) -> NDArray[np.float32]:
        """(count, inputs) by the product "head" of this number: (count, outputs).

        Raises:
            ValueError: There is none, or the rows do not fit it.
        """
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        found = np.empty((len(rows), outputs), dtype=np.float32)
        self._call("likewise_multiply", head, rows.ctypes.data, len(rows), found.ctypes.data, found.size)
        return found

    def _call(self, function: str, *arguments: Any) -> None:
        error = ctypes.create_string_buffer(ERROR_SIZE)  # of this call: others may run at once
        if getattr(library(), function)(self._handle, *arguments, error):
            raise ValueError(error.value.decode())


def _check_finite(values: NDArray[np.float32], name: str, layer: int) -> None:
    check_finite(values, name if layer < 0 else f"{name} of layer {layer}")


def _address(array: NDArray[Any] | None) -> int | None:
    return None if array is None else array.ctypes.data
