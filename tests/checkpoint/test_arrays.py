"""Weights survive the way to the disk and back; what is no weights file is one clear error and runs nothing."""

import json
import mmap
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likewise.checkpoint.arrays import NamedArrays, read_arrays, write_arrays

Arrays = dict[str, NDArray[Any]]
SHAPES = arrays_st.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
DTYPES = st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<i4"])
NAMED_ARRAYS = st.dictionaries(st.text(min_size=1, max_size=8), arrays_st.arrays(DTYPES, SHAPES), max_size=5)


def assert_equal(actual: NamedArrays, expected: Arrays) -> None:
    assert set(actual) == expected.keys()
    assert len(actual) == len(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array, strict=True)
        assert actual.dtype(name) == str(array.dtype)
        assert actual.size(name) == array.size


def safetensors_bytes(header: dict[str, Any], data: bytes, padding: int = 0) -> bytes:
    """The file as the format describes it: the header's length, the header, the data."""
    text = json.dumps(header).encode() + b" " * padding
    return len(text).to_bytes(8, "little") + text + data


@settings(max_examples=50)
@given(arrays=NAMED_ARRAYS.filter(lambda arrays: "__metadata__" not in arrays))
def test_arrays_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, arrays: Arrays) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    write_arrays(folder / "model.safetensors", arrays)
    assert_equal(read_arrays(folder), arrays)


def test_others_read_what_is_written(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    transposed = np.asfortranarray(array)
    arrays: Arrays = {"a": array, "b": transposed, "half": array.astype(np.float16), "empty": array[:0]}
    write_arrays(tmp_path / "model.safetensors", arrays)
    read = load_file(tmp_path / "model.safetensors")
    assert read.keys() == arrays.keys()
    for name, tensor in read.items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name], strict=True)


def test_the_file_says_that_its_arrays_are_pytorchs(tmp_path: Path) -> None:
    write_arrays(tmp_path / "model.safetensors", {"a": np.zeros(3, dtype=np.float32)})
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}  # Transformers 4 refuses a file without it


@given(arrays=NAMED_ARRAYS.filter(lambda arrays: "__metadata__" not in arrays))
def test_each_array_is_written_where_its_type_may_lie(tmp_path_factory: pytest.TempPathFactory, arrays: Arrays) -> None:
    file = tmp_path_factory.mktemp("arrays") / "model.safetensors"
    write_arrays(file, arrays)
    content = file.read_bytes()
    data_start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:data_start])
    for name, array in arrays.items():
        assert (data_start + header[name]["data_offsets"][0]) % array.itemsize == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8])
def test_what_others_write_is_read(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {"a": torch.arange(6).reshape(2, 3).to(dtype), "none": torch.empty(0, 3, dtype=dtype)}
    save_file(tensors, tmp_path / "model.safetensors")
    expected = {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays = read_arrays(tmp_path)
    assert set(arrays) == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@given(bits=arrays_st.arrays(np.uint16, SHAPES))
def test_bfloat16_is_widened_without_loss(tmp_path_factory: pytest.TempPathFactory, bits: NDArray[np.uint16]) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    tensor = torch.from_numpy(bits.astype(np.int16)).view(torch.bfloat16)
    save_file({"a": tensor}, folder / "model.safetensors")
    arrays = read_arrays(folder)
    assert arrays.dtype("a") == "bfloat16"
    np.testing.assert_array_equal(arrays["a"], tensor.float().numpy(), strict=True)
    write_arrays(folder / "again.safetensors", arrays)  # not over the file that is mapped
    written = load_file(folder / "again.safetensors")["a"]
    assert torch.equal(written.view(torch.int16), tensor.view(torch.int16))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@given(values=arrays_st.arrays(np.float32, SHAPES, elements=st.floats(width=32)))
def test_floats_are_rounded_as_torch_rounds_them(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, values: NDArray[np.float32]
) -> None:
    file = tmp_path_factory.mktemp("arrays") / "model.safetensors"
    arrays = NamedArrays.of({"a": values, "rows": np.arange(3)}).stored_in(dtype)
    assert (arrays.dtype("a"), arrays.dtype("rows")) == (dtype, "int64")
    write_arrays(file, arrays)
    expected = torch.from_numpy(values).to(getattr(torch, dtype))
    torch.testing.assert_close(load_file(file)["a"], expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("first", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("second", ["float32", "float16", "bfloat16"])
def test_what_is_stored_in_one_type_can_be_stored_in_another(first: str, second: str) -> None:
    values = np.array([1.0, -2.5, 0.1, 3e-5], dtype=np.float32)
    twice = NamedArrays.of({"a": values}).stored_in(first).stored_in(second)
    expected = torch.from_numpy(values).to(getattr(torch, first)).to(getattr(torch, second)).float()
    np.testing.assert_array_equal(twice["a"].astype(np.float32), expected)


@pytest.mark.parametrize("padding", range(8))
@pytest.mark.parametrize("before", range(4))
def test_arrays_may_lie_at_odd_addresses(tmp_path: Path, padding: int, before: int) -> None:
    values = np.arange(5, dtype="<f8")
    header = {
        "bytes": {"dtype": "U8", "shape": [before], "data_offsets": [0, before]},
        "values": {"dtype": "F64", "shape": [5], "data_offsets": [before, before + 40]},
    }
    data = bytes(before) + values.tobytes()
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header, data, padding))
    array = read_arrays(tmp_path)["values"]
    assert array.flags.aligned
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("size", [200, mmap.ALLOCATIONGRANULARITY])
def test_a_file_may_hold_empty_arrays_only(tmp_path: Path, size: int) -> None:
    header = {"none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [0, 0]}}
    content = safetensors_bytes(header, b"")
    content = safetensors_bytes(header, b"", padding=size - len(content))
    assert len(content) == size
    (tmp_path / "model.safetensors").write_bytes(content)
    assert_equal(read_arrays(tmp_path), {"none": np.empty((0, 4), dtype=np.float32)})


def test_changing_an_array_leaves_the_file_alone(tmp_path: Path) -> None:
    write_arrays(tmp_path / "model.safetensors", {"a": np.zeros(3, dtype=np.float32)})
    read_arrays(tmp_path)["a"][:] = 1
    np.testing.assert_array_equal(read_arrays(tmp_path)["a"], np.zeros(3))


def test_arrays_can_be_renamed_and_left_out(tmp_path: Path) -> None:
    write_arrays(tmp_path / "model.safetensors", {name: np.full(2, i, np.int32) for i, name in enumerate("abc")})
    renamed = read_arrays(tmp_path).renamed({"a": "x", "c": "z"})
    assert_equal(renamed, {"x": np.full(2, 0, np.int32), "z": np.full(2, 2, np.int32)})


@given(st.data())
def test_a_truncated_file_is_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    file = folder / "model.safetensors"
    write_arrays(file, {"a": np.zeros((3, 4), dtype=np.float32), "b": np.zeros(5, dtype=np.float16)})
    whole = file.read_bytes()
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=re.escape(f"{file} is not a whole safetensors file")):
        read_arrays(folder)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_header_is_named_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    file = folder / "model.safetensors"
    write_arrays(file, {"a": np.zeros((3, 4), dtype=np.float32), "b": np.zeros(5, dtype=np.float16)})
    damaged = bytearray(file.read_bytes())
    header_end = 8 + int.from_bytes(damaged[:8], "little")
    damaged[data.draw(st.integers(0, header_end - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(damaged)
    try:
        arrays = dict(read_arrays(folder))
    except ValueError as error:
        assert str(file) in str(error)  # noqa: PT017
    else:
        assert sum(array.nbytes for array in arrays.values()) == 3 * 4 * 4 + 5 * 2


def test_a_type_that_is_no_number_of_ours_is_named(tmp_path: Path) -> None:
    save_file({"counts": torch.tensor([1], dtype=torch.int16)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors: the array 'counts' is stored as I16"):
        read_arrays(tmp_path)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path} holds no weights")):
        read_arrays(tmp_path)


def test_safetensors_goes_before_pytorch(tmp_path: Path) -> None:
    write_arrays(tmp_path / "model.safetensors", {"a": np.zeros(3, dtype=np.float32)})
    torch.save({"a": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    assert_equal(read_arrays(tmp_path), {"a": np.zeros(3, dtype=np.float32)})


# pytorch_model.bin


class Intruder:
    """Unpickled by a careless reader, it makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        import os

        return os.mkdir, (str(self.folder),)


def save_as_plain_pickle(value: object, file: Path) -> None:
    file.write_bytes(pickle.dumps(value, protocol=2))


@pytest.mark.parametrize("write", [torch.save, save_as_plain_pickle])
@pytest.mark.parametrize("beside_weights", [False, True])
def test_code_in_a_pickle_does_not_run(
    tmp_path: Path, write: Callable[[object, Path], None], beside_weights: bool
) -> None:
    made = tmp_path / "made by the intruder"
    intruder = Intruder(made)
    write({"a": torch.ones(3), "b": intruder} if beside_weights else intruder, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "pytorch_model.bin")) + r".*nothing in it was run"):
        read_arrays(tmp_path)
    assert not made.exists()
    with suppress(RuntimeError):
        torch.load(tmp_path / "pytorch_model.bin", weights_only=False)
    assert made.exists()  # the intruder works where it is let in


@pytest.mark.parametrize("content", [b"", b"PK", b"no weights at all", pickle.dumps([1, 2], protocol=2)])
def test_a_damaged_pytorch_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "pytorch_model.bin"))):
        read_arrays(tmp_path)


def test_a_truncated_pytorch_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(100)}, file)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ValueError, match=re.escape(str(file))):
        read_arrays(tmp_path)


def test_a_pytorch_file_without_names_is_refused(tmp_path: Path) -> None:
    torch.save([torch.ones(3)], tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin must hold named tensors, but holds a list"):
        read_arrays(tmp_path)


def test_what_is_no_weight_in_a_pytorch_file_is_left_out(tmp_path: Path) -> None:
    kept = {"a": torch.ones(2, 3), "half": torch.ones(2).half(), "rounded": torch.ones(2).bfloat16()}
    torch.save(kept | {"position_ids": torch.arange(3), "version": 2, 7: torch.ones(1)}, tmp_path / "pytorch_model.bin")
    arrays = read_arrays(tmp_path)
    assert set(arrays) == kept.keys()
    assert [arrays.dtype(name) for name in kept] == ["float32", "float16", "bfloat16"]
    np.testing.assert_array_equal(arrays["rounded"], np.ones(2, dtype=np.float32), strict=True)


# Shards

INDEX_FILES = ["model.safetensors.index.json", "pytorch_model.bin.index.json"]


def write_shard(file: Path, arrays: dict[str, torch.Tensor]) -> None:
    if file.suffix == ".safetensors":
        save_file(arrays, file)
    else:
        torch.save(arrays, file)


@pytest.mark.parametrize("index", INDEX_FILES)
def test_shards_are_put_together(tmp_path: Path, index: str) -> None:
    suffix = index.split(".")[1]
    write_shard(tmp_path / f"one.{suffix}", {"a": torch.ones(2), "b": torch.zeros(3)})
    write_shard(tmp_path / f"two.{suffix}", {"c": torch.ones(1).bfloat16()})
    weight_map = {"a": f"one.{suffix}", "b": f"one.{suffix}", "c": f"two.{suffix}"}
    (tmp_path / index).write_text(json.dumps({"weight_map": weight_map}))
    ones, zeros = np.ones, np.zeros
    arrays = read_arrays(tmp_path)
    assert arrays.dtype("c") == "bfloat16"
    for name, expected in {"a": ones(2), "b": zeros(3), "c": ones(1)}.items():
        np.testing.assert_array_equal(arrays[name], expected.astype(np.float32), strict=True)


@pytest.mark.parametrize("index", INDEX_FILES)
@pytest.mark.parametrize("name", ["../outside", "/outside", "inner/../../outside", "inner/shard", "./outside"])
def test_a_shard_outside_the_folder_is_refused(tmp_path: Path, index: str, name: str) -> None:
    suffix = index.split(".")[1]
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    for file in (tmp_path / f"outside.{suffix}", folder / f"outside.{suffix}", folder / f"inner/shard.{suffix}"):
        write_shard(file, {"a": torch.ones(2)})
    (folder / index).write_text(json.dumps({"weight_map": {"a": f"{name}.{suffix}"}}))
    with pytest.raises(ValueError, match=re.escape(f"{folder / index}: '{name}.{suffix}' is no name of a file")):
        read_arrays(folder)


@pytest.mark.parametrize("index", INDEX_FILES)
def test_a_missing_shard_is_named(tmp_path: Path, index: str) -> None:
    (tmp_path / index).write_text(json.dumps({"weight_map": {"a": "missing.bin"}}))
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'missing.bin'} is missing, but {index} lists")):
        read_arrays(tmp_path)


@pytest.mark.parametrize("index", INDEX_FILES)
@pytest.mark.parametrize("name", ["..", "", "a\0b", "\ud800", "x" * 300])
def test_a_shard_that_no_file_can_be_is_refused(tmp_path: Path, index: str, name: str) -> None:
    (tmp_path / index).write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / index}: {name!r:.70}")):
        read_arrays(tmp_path)


@pytest.mark.parametrize("index", INDEX_FILES)
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', '{"weight_map'])
def test_a_damaged_index_is_named(tmp_path: Path, index: str, content: str) -> None:
    (tmp_path / index).write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / index))):
        read_arrays(tmp_path)
