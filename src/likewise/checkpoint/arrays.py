"""Named arrays: the weights of a model, from safetensors or an old pytorch_model.bin, and back to safetensors."""

import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import is_plain_name, reason, shortened
from likewise.extras import extra

NUMPY_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
NUMPY_DTYPES |= {"I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
SAFETENSORS_DTYPES = {"<f8": "F64", "<f4": "F32", "<f2": "F16"}
SAFETENSORS_DTYPES |= {"<i8": "I64", "<i4": "I32", "|u1": "U8", "|b1": "BOOL"}
FLOATS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}  # what weights can be saved in


class NamedArrays(Mapping[str, NDArray[Any]]):
    """The arrays of a model by name, read from disk when asked for; bfloat16 comes as float32, which loses nothing.

    Arrays from safetensors are copy-on-write views of the file: they cost no memory until they are used.
    """

    def __init__(self, stored: dict[str, tuple[NDArray[Any], str]], origin: Path):
        self.origin = origin  # the file or folder, for error messages
        self._stored = stored  # name → (array, its safetensors dtype)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], origin: Path = Path()) -> "NamedArrays":
        """Arrays that are in memory; those that have been read already stay as they are stored."""
        if isinstance(arrays, NamedArrays):
            return arrays
        return cls({name: (array, SAFETENSORS_DTYPES[array.dtype.str]) for name, array in arrays.items()}, origin)

    def __getitem__(self, name: str) -> NDArray[Any]:
        array, dtype = self._stored[name]
        return widened(array) if dtype == "BF16" else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def dtype(self, name: str) -> str:
        """How the array is stored: "float32", "bfloat16", …"""
        stored = self._stored[name][1]
        return "bfloat16" if stored == "BF16" else np.dtype(NUMPY_DTYPES[stored]).name

    def size(self, name: str) -> int:
        """The number of values in the array, without reading it."""
        return int(self._stored[name][0].size)

    def renamed(self, names: Mapping[str, str]) -> "NamedArrays":
        """The arrays under ``names``' keys, each called by its value."""
        return NamedArrays({new: self._stored[old] for old, new in names.items()}, self.origin)

    def with_changed(self, arrays: Mapping[str, NDArray[Any]]) -> "NamedArrays":
        """The same arrays, but for those in ``arrays``."""
        return NamedArrays(self._stored | NamedArrays.of(arrays)._stored, self.origin)

    def stored_in(self, dtype: str) -> "NamedArrays":
        """The same arrays, those of floats stored in ``dtype``: "float32", "float16" or "bfloat16"."""
        kept = FLOATS[dtype]
        return NamedArrays({name: _stored_in(kept, *self._stored[name]) for name in self}, self.origin)

    def stored(self, name: str) -> tuple[NDArray[Any], str]:
        """The array as it lies in a safetensors file, and the name of its type there; bfloat16 as uint16."""
        return self._stored[name]


def read_arrays(folder: Path, names: tuple[str, str] = ("model", "pytorch_model")) -> NamedArrays:
    """The weights in ``folder``: model.safetensors, in one file or sharded, else pytorch_model.bin, likewise.

    ``names`` are those of the two forms of the file, without their endings.

    Raises:
        FileNotFoundError: The folder holds no weights.
        ValueError: A file is damaged, or holds something other than weights.
    """
    first, second = f"{names[0]}.safetensors", f"{names[1]}.bin"
    for single, read in ((first, _read_safetensors), (second, _read_pytorch)):
        index = f"{single}.index.json"
        if (folder / single).is_file():
            return NamedArrays(read(folder / single), folder / single)
        if (folder / index).is_file():
            stored: dict[str, tuple[NDArray[Any], str]] = {}
            for shard in _shards(folder / index):
                stored |= read(shard)
            return NamedArrays(stored, folder / index)
    raise FileNotFoundError(f"{folder} holds no weights: neither {first} nor {second} is in it")


def read_array_file(path: Path) -> NamedArrays:
    """The arrays of one safetensors file.

    Raises:
        ValueError: The file is damaged.
    """
    return NamedArrays(_read_safetensors(path), path)


def check_shapes(
    arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]], origin: str | Path
) -> None:
    """Compare the shapes of the arrays that ``origin`` holds with the ``expected`` ones that a model needs.

    Raises:
        ValueError: One is missing or has another shape.
    """
    if missing := expected.keys() - arrays.keys():
        raise ValueError(f"{origin} lacks {len(missing)} of the arrays the model needs, such as {min(missing)}")
    for name, shape in expected.items():
        if (found := arrays[name].shape) != shape:
            raise ValueError(f"{origin}: the array {name} has the shape {found}, but config.json means {shape}")


def origin_of(module: object) -> str:
    """Where the arrays of a module come from, for error messages: their file, or the module itself."""
    file = getattr(getattr(module, "arrays", None), "origin", Path())
    return f"the weights of {module}" if file == Path() else str(file)


def check_finite(values: NDArray[Any], name: str) -> None:
    """Refuse damaged weights: rounded to int8, or as scores of attention, they would give vectors that look right.

    Raises:
        ValueError: A number is infinite or none at all.
    """
    if not (finite := np.isfinite(values)).all():
        raise ValueError(
            f"{name}: {np.count_nonzero(~finite):,} of {values.size:,} numbers are infinite or NaN, so the file is "
            "damaged, or the training that made it diverged"
        )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays`` as safetensors, each as it is stored: see ``NamedArrays.stored_in``."""
    # Written here: the safetensors package takes bfloat16 from numpy only as raw bytes, each version in its own way.
    arrays = NamedArrays.of(arrays)
    stored = {name: arrays.stored(name) for name in arrays}
    # The widest first: each lies where its type may.
    names = sorted(stored, key=lambda name: (-stored[name][0].itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # Transformers refuses a file without this mark
    start = 0
    for name in names:
        array, dtype = stored[name]
        stop = start + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % 64)  # so that what is as wide as a vector of the processor lies as it may
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(stored[name][0].tobytes())


def widened(bfloat16: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 bits → float32: a bfloat16 is the upper half of a float32."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


def narrowed(array: NDArray[np.float32]) -> NDArray[np.uint16]:
    """float32 → bfloat16 bits, rounded to the nearest, ties to even; what is no number stays none."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(array), 0x7FC0, rounded).astype(np.uint16).reshape(array.shape)


def _stored_in(kept: str, array: NDArray[Any], dtype: str) -> tuple[NDArray[Any], str]:
    if dtype == kept or dtype not in ("F64", *FLOATS.values()):
        return array, dtype
    values = (widened(array) if dtype == "BF16" else array).astype(np.float32, copy=False)
    if kept == "BF16":
        return narrowed(values), kept
    with np.errstate(over="ignore"):  # beyond float16's range is infinite, in torch too
        return values.astype(NUMPY_DTYPES[kept]), kept


def _read_safetensors(path: Path) -> dict[str, tuple[NDArray[Any], str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass  # its header check: sizes, bounds, overlaps
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {reason(error)}; fetch it again") from error
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    if path.stat().st_size == 8 + header_bytes:
        data = np.empty(0, dtype=np.uint8)  # an empty file cannot be mapped
    else:
        data = np.memmap(path, dtype=np.uint8, mode="c", offset=8 + header_bytes)
    stored = {}
    for name, record in header.items():
        if record["dtype"] not in NUMPY_DTYPES:
            known = ", ".join(NUMPY_DTYPES)
            raise ValueError(f"{path}: the array {shortened(name)} is stored as {record['dtype']}; known are {known}")
        start, stop = record["data_offsets"]
        array = data[start:stop].view(np.ndarray)
        dtype = np.dtype(NUMPY_DTYPES[record["dtype"]])
        if (8 + header_bytes + start) % dtype.itemsize:
            array = array.copy()  # old files place arrays at addresses that their types do not allow
        stored[name] = (array.view(dtype).reshape(record["shape"]), record["dtype"])
    return stored


def _read_pytorch(path: Path) -> dict[str, tuple[NDArray[Any], str]]:
    with extra("torch", f"Reading {path.name}"):
        import torch

    try:
        _check_container(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and whatever it was, the file is of no use
        raise ValueError(f"{path} holds no plain weights ({type(error).__name__}); nothing in it was run") from error
    if not isinstance(tensors, dict):
        raise ValueError(f"{path} must hold named tensors, but holds a {type(tensors).__name__}")
    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    stored = {}
    for name, tensor in tensors.items():
        if isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.dtype in names:
            if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.nbytes > path.stat().st_size:
                raise ValueError(f"{path}: the array {shortened(name)} is no plain one: its values are not all there")
            tensor = tensor.detach().contiguous()
            bits = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
            stored[name] = (bits.numpy(), names[tensor.dtype])
    return stored


def _check_container(path: Path) -> None:
    """Refuse what torch would unpack at length: tar archives, and zip archives that are compressed."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("it is compressed, as torch never writes it")
        return
    with path.open("rb") as file:
        if file.read(1) != pickle.PROTO:
            raise ValueError("it is neither a zip archive nor a pickle")


def _shards(index: Path) -> list[Path]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise ValueError(f"{index} must hold a 'weight_map' from array names to file names")
    names = sorted(set(weight_map.values()))
    for name in names:
        if not is_plain_name(name):
            raise ValueError(f"{index}: {shortened(name)} is no name of a file beside it")
        if not (index.parent / name).is_file():
            raise FileNotFoundError(f"{index.parent / name} is missing, but {index.name} lists it; fetch it again")
    return [index.parent / name for name in names]
