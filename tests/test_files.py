"""Readers and writers of files: nothing lost, the place always right, output whole or not at all."""

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from likewise import files
from likewise.files import (
    Row,
    check_vector_suffix,
    read_lines,
    read_rows,
    read_texts,
    whole_file,
    whole_folder,
    write_vectors,
)

UNICODE = st.characters(exclude_categories=["Cs"])
CELLS = st.text(st.one_of(st.sampled_from(',"\n\r\t\0 a\u2028'), UNICODE), max_size=8)
LINES = st.text(UNICODE.filter(lambda character: character != "\n"), max_size=8).map(lambda line: line.rstrip("\r"))


def test_blank_lines_are_texts_and_the_last_line_end_adds_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    for content, expected in [("", []), ("\n", [""]), ("a\n\nb\n", ["a", "", "b"]), ("a\n\nb", ["a", "", "b"])]:
        path.write_bytes(content.encode())
        assert list(read_texts(path)) == expected


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("one\u2028still one\x0b\x0c\x1c\x85\rand on\r\ntwo\r\n".encode())
    assert list(read_lines(path)) == ["one\u2028still one\x0b\x0c\x1c\x85\rand on", "two"]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_alone_is_an_empty_file(tmp_path: Path, content: bytes) -> None:
    for name in ("a.txt", "a.csv", "a.jsonl"):
        (tmp_path / name).write_bytes(content)
        assert list(read_rows(tmp_path / name)) == []


@given(lines=st.lists(LINES), mark=st.booleans(), end=st.sampled_from(["\n", "\r\n"]))
def test_every_line_comes_back_in_order_with_its_number(lines: list[str], mark: bool, end: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lines.log"
        content = "".join(line + end for line in lines).encode()
        path.write_bytes(b"\xef\xbb\xbf" + content if mark or content.startswith(b"\xef\xbb\xbf") else content)
        assert list(read_rows(path)) == [Row({"text": line}, str(path), n) for n, line in enumerate(lines, start=1)]


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2)), tabs=st.booleans(), mark=st.booleans())
def test_csv_comes_back_with_the_line_where_each_record_starts(rows: list[list[str]], tabs: bool, mark: bool) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if tabs else ",")
    writer.writerow(["first", "sec,\nond"])
    expected = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("rows.tsv" if tabs else "rows.CSV")
        for first, second in rows:
            text.write("\r\n")  # a blank line is no row
            line = text.getvalue().count("\n") + 1
            expected.append(Row({"first": first, "sec,\nond": second}, str(path), line))
            writer.writerow([first, second])
        path.write_bytes(("\ufeff" if mark else "").encode() + text.getvalue().encode())
        assert list(read_rows(path)) == expected
        assert [row.values for row in read_rows(path, ["sec,\nond"])] == [{"sec,\nond": second} for _, second in rows]


def test_a_csv_field_of_a_megabyte_is_read_and_the_limit_put_back(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("text\n" + "word " * 200_000 + '\n"' + "line\n" * 200_000 + '"\nlast\n')
    csv.field_size_limit(131_072)  # the default of the csv module
    rows = []
    for row in read_rows(path):
        rows.append(row)
        assert csv.field_size_limit() == 131_072
    assert [len(str(row.values["text"])) for row in rows] == [1_000_000, 1_000_000, 4]
    assert [row.line for row in rows] == [2, 3, 200_004]


@given(rows=st.lists(st.fixed_dictionaries({"a": st.text(UNICODE), "b": st.none() | st.integers() | st.booleans()})))
def test_json_lines_and_parquet_come_back(rows: list[dict[str, object]]) -> None:
    with TemporaryDirectory() as folder:
        lines, table = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        lines.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\r\n \n" for row in rows).encode())
        assert list(read_rows(lines)) == [Row(row, str(lines), 2 * n + 1) for n, row in enumerate(rows)]
        column = pyarrow.array([row["a"] for row in rows], pyarrow.string())
        parquet.write_table(pyarrow.table({"a": column}), table, row_group_size=2)
        assert list(read_rows(table)) == [Row({"a": row["a"]}, str(table), n) for n, row in enumerate(rows, start=1)]
        assert list(read_texts(table)) == list(read_texts(lines, "a")) == [row["a"] for row in rows]


def test_parquet_reads_the_wanted_columns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", "b"], "number": [1, 2], "text.more": [3, 4]}), path)
    assert [row.values for row in read_rows(path, ["number", "text"])] == [
        {"number": 1, "text": "a"},
        {"number": 2, "text": "b"},
    ]
    read = []
    original = parquet.ParquetFile.iter_batches

    def spy(self: object, **arguments: object) -> object:
        read.append(arguments["columns"])
        return original(self, **arguments)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", spy)
    assert list(read_texts(path)) == ["a", "b"]
    assert read == [["text"]]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_reading_holds_one_row_in_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"many{suffix}"
    line = "x" * 10_000
    with path.open("w") as file:
        file.write("text\n" if suffix == ".csv" else "")
        for _ in range(500):
            file.write((json.dumps({"text": line}) if suffix == ".jsonl" else line) + "\n")
    tracemalloc.start()
    try:
        assert sum(len(text) for text in read_texts(path)) == 5_000_000
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "column", "words"),
    [
        ("a.txt", b"good\nbad \xe9t\xe9\n", None, ["line 2", r"\xe9t", "UTF-8", "WINDOWS-1252"]),
        ("a.txt", b"\xef\xbb\xbfbad \xe9t\xe9\n", None, ["line 1", r"b'\xe9t"]),
        ("a.txt", "wide".encode("utf-16"), None, ["line 1", "iconv -f UTF-16"]),
        ("a.txt", b"good\n", "body", ["'body'", "'text'"]),
        ("a.csv", b"text,n\nfine,1\n\nhalf a,sentence,2\n", None, ["line 4", "3 fields", "2 columns", "'half a'"]),
        ("a.csv", b'text\n"a\n"b"\n', None, ["line 2", "line 3", "expected after", "double the quotation marks"]),
        ("a.csv", b'text\n\n"never closed\nb\n', None, ["line 3", "unexpected end of data"]),
        ("a.csv", b"text\na\rb\n", None, ["line 2", "a\\\\rb"]),
        ("a.csv", b"text\nfine\n\xff\n", None, ["line 3", "UTF-8"]),
        ("a.csv", b"text,n,n\n", None, ["same name", "'n'"]),
        ("a.csv", b"title,body\n", None, ["which column", "'title', 'body'"]),
        ("a.csv", b"text,sentence\n", None, ["which column", "'text', 'sentence'"]),
        ("a.csv", b"", None, ["which column", "none"]),
        ("a.tsv", b"text\tn\n", "body", ["'body'", "'text', 'n'"]),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": \n', None, ["line 3", "Expecting value", '\'{"text": ']),
        ("a.jsonl", b'["a"]\n', None, ["line 1", "JSON object", "a"]),
        ("a.jsonl", b"[" * 100_000, None, ["line 1", "recursion"]),
        ("a.jsonl", b'{"text": ' + b"9" * 5_000 + b"}", None, ["line 1", "digits"]),
        ("a.jsonl", b'{"text": "a"}\n{"sentence": "b"}\n', None, ["line 2", "'text'", "'sentence'"]),
        ("a.jsonl", b'{"text": null}\n', None, ["line 1", "'text'", "None"]),
        ("a.ndjson", b'{"text": "a"}\n{"text": 3.5}\n', None, ["line 2", "'text'", "3.5"]),
        ("a.jsonl", b'{"text": "\\ud83d"}\n', None, ["line 1", r"\\ud83d"]),
        ("a.jsonl", b"{}\n", None, ["which column", "none"]),
        ("a.parquet", b"PAR1 is not enough", None, ["Parquet file", "row 0"]),
    ],
)
def test_broken_content_is_named_with_its_place(
    tmp_path: Path, name: str, content: bytes, column: str | None, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=name) as caught:
        list(read_texts(path, column))
    for word in words:
        assert word.replace("\\\\", "\\") in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_no_text_in_parquet_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", None], "bytes": [b"a", b"b"]}), path)
    with pytest.raises(ValueError, match=r"rows\.parquet, row 2: the column 'text' holds None"):
        list(read_texts(path))
    with pytest.raises(ValueError, match=r"row 1: the column 'bytes' holds b'a'"):
        list(read_texts(path, "bytes"))
    with pytest.raises(ValueError, match=r"no column 'body'; the columns: 'text', 'bytes'"):
        list(read_rows(path, ["text", "body"]))


@pytest.mark.parametrize("name", ["missing.txt", "missing.csv", "missing.jsonl", "missing.parquet"])
def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}.*No such file"):
        list(read_texts(tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError, match=f"{name}.*directory"):
        list(read_texts(tmp_path / name))


def test_standard_input_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\ufeffone\r\n\nünf".encode()), "ascii"))
    assert list(read_texts("-")) == ["one", "", "ünf"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n\xff\n"), "ascii"))
    with pytest.raises(ValueError, match="standard input, line 2"):
        list(read_texts("-"))


def test_a_whole_file_appears_at_the_end_with_normal_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.npy"
    before = os.umask(0o027)
    try:
        with whole_file(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (path.parent, ".npy")
            temporary.write_text("content")
            assert not path.exists()
    finally:
        os.umask(before)
    assert path.read_text() == "content"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_file_follows_links_and_refuses_folders(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "disk" / "real.txt")
    with whole_file(link) as temporary:
        temporary.write_text("content")
    assert link.is_symlink()
    assert (tmp_path / "disk" / "real.txt").read_text() == "content"
    for name in (tmp_path / "disk", Path(os.devnull)):
        with pytest.raises(OSError, match="is not a file"), whole_file(name):
            pass
    assert not Path(os.devnull).is_file()


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write_tree(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


OLD = {
    "config.json": "old",
    "README.md": "old",
    "model.safetensors": "old",
    "model-00001-of-00002.safetensors": "old",
    "model.safetensors.index.json": "old",
    "pytorch_model-00001-of-00002.bin": "old",
    "pytorch_model.bin.index.json": "old",
    "1_Pooling/config.json": "old",
    "1_Pooling/stale.json": "old",
    "checkpoint-10/model.safetensors": "old",
}
NEW = {"config.json": "new", "model.safetensors": "new", "1_Pooling/config.json": "new"}
BOTH = NEW | {"README.md": "old", "checkpoint-10/model.safetensors": "old"}


def test_a_whole_folder_keeps_what_the_new_one_lacks_except_weights(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model"
    for before, after in [({}, NEW), (OLD, BOTH)]:
        write_tree(path, before)
        with whole_folder(path) as temporary:
            write_tree(temporary, NEW)
            assert tree(path) == (OLD if before else {})
        assert tree(path) == after
        assert list(path.parent.iterdir()) == [path]


def test_a_whole_folder_keeps_links_and_works_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, destination: str) -> None:
        raise OSError(f"no hard links here, for {source}")

    monkeypatch.setattr(os, "link", refuse)
    path, link = tmp_path / "model", tmp_path / "latest"
    write_tree(path, OLD)
    (path / "missing").symlink_to("nowhere")
    link.symlink_to(path)
    with whole_folder(link) as temporary:
        write_tree(temporary, NEW)
    assert tree(path) == BOTH
    assert (path / "missing").readlink() == Path("nowhere")
    assert link.is_symlink()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "model"
    write_tree(path, OLD)
    with pytest.raises(error), whole_folder(path) as temporary:  # noqa: PT012
        write_tree(temporary, NEW)
        raise error
    assert tree(path) == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failing_swap_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    path = tmp_path / "model"
    write_tree(path, OLD)
    rename: Callable[[Path, Path], Path] = Path.rename
    renames = 0

    def fail_once(self: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(KeyboardInterrupt), whole_folder(path) as temporary:
        write_tree(temporary, NEW)
    assert tree(path) == OLD
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, sys
from pathlib import Path
from likewise.files import whole_folder
rename, done = Path.rename, []
def killed(self, target):
    done.append(self)
    if len(done) == 2:
        os._exit(9)
    rename(self, target)
Path.rename = killed
with whole_folder(sys.argv[1]) as temporary:
    (temporary / "config.json").write_text("new")
"""


def test_a_killed_swap_leaves_old_and_new_whole_under_the_documented_names(tmp_path: Path) -> None:
    write_tree(tmp_path / "model", OLD)
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path / "model"], check=False).returncode == 9
    (old,), (new,) = tmp_path.glob("model.old-????????"), tmp_path.glob(".model-????????.part")
    assert tree(old) == OLD
    assert tree(new)["config.json"] == "new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_whole_folder_refuses_what_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(NotADirectoryError, match="file is not a folder"), whole_folder(tmp_path / "file"):
        pass
    (tmp_path / "work" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "here")
    mount = tmp_path / "mount"
    monkeypatch.setattr(os.path, "ismount", lambda path: path == mount)
    for name in (tmp_path / "work", ".", mount):
        with pytest.raises(OSError, match="cannot be renamed"), whole_folder(name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "work"]


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (0,)])
@pytest.mark.parametrize("name", ["vectors.npy", "vectors.NPY", "vectors.parquet"])
def test_vectors_come_back_from_numpy_and_parquet_files(tmp_path: Path, shape: tuple[int, ...], name: str) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    columns: dict[str, list[object]] = {"text": [f"text {n}" for n in range(shape[0])], "line": [*range(shape[0])]}
    write_vectors(tmp_path / name, vectors, columns)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith("parquet"):
        table = parquet.read_table(tmp_path / name)
        assert table.schema.names == ["text", "line", "vector"]
        lists = table.schema.field("vector").type
        assert (lists.list_size, lists.value_type) == (shape[-1] or 1, pyarrow.float32())
        assert [row.values["text"] for row in read_rows(tmp_path / name)] == columns["text"]
        np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32).reshape(shape), vectors)
    else:
        np.testing.assert_array_equal(np.load(tmp_path / name), vectors)


@pytest.mark.parametrize(
    ("dtype", "written"),
    [("float64", "float32"), ("float16", "float32"), ("int64", "float32"), ("int8", "int8"), ("uint8", "uint8")],
)
def test_parquet_vectors_are_float32_or_bytes_in_row_groups(
    tmp_path: Path, dtype: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "VECTORS_PER_ROW_GROUP", 2)
    vectors = np.arange(20).reshape(4, 5).astype(dtype).T  # not contiguous
    write_vectors(tmp_path / "vectors.parquet", vectors)
    file = parquet.ParquetFile(tmp_path / "vectors.parquet")
    assert file.num_row_groups == 3
    assert file.schema_arrow.field("vector").type.value_type == getattr(pyarrow, written)()
    assert file.read()["vector"].to_pylist() == vectors.astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("name", "shape", "columns", "words"),
    [
        ("vectors.txt", (2, 3), None, "vectors.txt.*npy or .parquet"),
        ("vectors", (2, 3), None, "npy or .parquet"),
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
    for name in ("a.npy", "a.parquet", Path("b.PARQUET")):
        check_vector_suffix(name)
    for name in ("a.csv", "a", "npy", ".npy"):
        with pytest.raises(ValueError, match=r"ends in \.npy or \.parquet"):
            check_vector_suffix(name)


def test_parquet_holds_one_row_group_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"text": [f"{n:01000}" for n in range(10_000)]}), path, row_group_size=500)
    before = pyarrow.total_allocated_bytes()
    for _ in read_texts(path):
        assert pyarrow.total_allocated_bytes() - before < 3_000_000
