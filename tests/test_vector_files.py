"""Files of vectors: what comes back, and what many joined into one hold."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from likewise import vector_files
from likewise.vector_files import check_vector_suffix, join_vectors, write_vectors


def read_table(path: Path) -> pyarrow.Table:
    """The table in a Parquet or Arrow file."""
    if path.suffix.lower() == ".parquet":
        return parquet.read_table(path)
    return pyarrow.ipc.open_file(path).read_all()


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (0,)])
@pytest.mark.parametrize("name", ["vectors.npy", "vectors.NPY", "vectors.parquet", "vectors.arrow"])
def test_vectors_come_back_from_their_files(tmp_path: Path, shape: tuple[int, ...], name: str) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    columns: dict[str, list[object]] = {"text": [f"text {n}" for n in range(shape[0])], "line": [*range(shape[0])]}
    write_vectors(tmp_path / name, vectors, columns)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.lower().endswith("npy"):
        np.testing.assert_array_equal(np.load(tmp_path / name), vectors)
        return
    table = read_table(tmp_path / name)
    assert table.schema.names == ["text", "line", "vector"]
    lists = table.schema.field("vector").type
    assert (lists.list_size, lists.value_type) == (shape[-1] or 1, pyarrow.float32())
    assert table["text"].to_pylist() == columns["text"]
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32).reshape(shape), vectors)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int8", "uint8"])
def test_parquet_vectors_are_float32_or_bytes_in_row_groups(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_files, "VECTORS_PER_ROW_GROUP", 2)
    vectors = np.arange(20).reshape(4, 5).astype(dtype).T  # not contiguous
    write_vectors(tmp_path / "vectors.parquet", vectors)
    file = parquet.ParquetFile(tmp_path / "vectors.parquet")
    assert file.num_row_groups == 3
    assert file.schema_arrow.field("vector").type.value_type == (dtype if dtype in ("int8", "uint8") else "float")
    assert file.read()["vector"].to_pylist() == vectors.astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("name", "shape", "columns", "words"),
    [
        ("vectors.txt", (2, 3), None, "vectors.txt.*npy, .parquet or .arrow"),
        ("vectors", (2, 3), None, "npy, .parquet or .arrow"),
        ("vectors.npy", (3,), None, r"shape \(n, dim\), not \(3,\)"),
        ("vectors.parquet", (2, 3), {"text": ["a"]}, "'text' has 1 values for 2 vectors"),
        ("vectors.parquet", (2, 3), {"vector": ["a", "b"]}, "'vector'"),
        ("vectors.parquet", (2, 3), {"mixed": ["a", 1]}, "'mixed' cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, shape: tuple[int, ...], columns: dict[str, list[object]] | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write_vectors(tmp_path / name, np.zeros(shape, np.float32), columns)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_is_refused_before_the_work() -> None:
    for name in ("a.npy", "a.arrow", Path("b.PARQUET")):
        check_vector_suffix(name)
    for name in ("a.csv", "a", "npy", ".npy"):
        with pytest.raises(ValueError, match=r"ends in \.npy, \.parquet or \.arrow"):
            check_vector_suffix(name)


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".arrow"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_joined_parts_hold_what_they_held(tmp_path: Path, suffix: str, dtype: str) -> None:
    vectors = np.random.default_rng(0).normal(0, 9, (10, 3)).astype(dtype)
    parts = []
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        parts.append(tmp_path / f"{start}{suffix}")
        write_vectors(parts[-1], vectors[start:stop], {"line": list(range(start, stop))})
    whole = tmp_path / f"whole{suffix}"
    join_vectors(parts, whole)
    if suffix == ".npy":
        np.save(tmp_path / "once.npy", vectors)
        assert whole.read_bytes() == (tmp_path / "once.npy").read_bytes()
        mapped = np.load(whole, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        np.testing.assert_array_equal(mapped, vectors)
    else:
        table = read_table(whole)
        assert table["line"].to_pylist() == list(range(10))
        assert table["vector"].to_pylist() == vectors.tolist()


def test_parts_of_two_kinds_are_not_joined(tmp_path: Path) -> None:
    for name, vectors in (("a", np.zeros((1, 3))), ("b", np.zeros((1, 4))), ("c", np.zeros((1, 3), np.int8))):
        write_vectors(tmp_path / f"{name}.npy", vectors)
    for other in ("b", "c"):
        with pytest.raises(ValueError, match=rf"{other}\.npy holds vectors of another kind than .*a\.npy"):
            join_vectors([tmp_path / "a.npy", tmp_path / f"{other}.npy"], tmp_path / "whole.npy")
    assert not (tmp_path / "whole.npy").exists()
