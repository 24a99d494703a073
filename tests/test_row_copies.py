"""Rows are copied byte for byte, whatever the kind of file."""

import io
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from likewise.files import read_rows
from likewise.row_copies import RowsOfFile, copy_rows


def rows_of(path: Path, *wanted: int) -> RowsOfFile:
    lines = [row.line for row in read_rows(path)]
    return RowsOfFile(str(path), lines, np.isin(np.arange(len(lines)), wanted))


def test_lines_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbftea\r\n\nrain\r\nlast")
    (tmp_path / "b").write_bytes(b"train\n")
    copy_rows([rows_of(tmp_path / "a.txt", 0, 1, 3), rows_of(tmp_path / "b", 0)], tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == b"\xef\xbb\xbftea\r\n\nlast\ntrain\n"


def test_csv_keeps_its_quoting_and_has_one_first_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'text,"n"\n"one\nof two, lines",1.50\n\n"plain",2\n"a ""quote""",3')
    (tmp_path / "b.csv").write_bytes(b'text,"n"\r\nother,4\r\n')
    (tmp_path / "c.csv").write_bytes(b'text,"n"\n')
    files = [rows_of(tmp_path / "c.csv"), rows_of(tmp_path / "a.csv", 0, 2), rows_of(tmp_path / "b.csv", 0)]
    copy_rows(files, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == (
        b'text,"n"\n"one\nof two, lines",1.50\n\n"a ""quote""",3\nother,4\r\n'
    )


def test_jsonl_keeps_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\n{"n": 1.10, "text": "tea"}\n{"text": "rain"}\n{"text":"\\u00e9", "n":1e3}')
    copy_rows([rows_of(tmp_path / "a.jsonl", 0, 2)], tmp_path / "out.ndjson")
    assert (tmp_path / "out.ndjson").read_bytes() == b'{"n": 1.10, "text": "tea"}\n{"text":"\\u00e9", "n":1e3}\n'


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    columns = {"text": ["a", "b", None], "day": [date(2024, 1, day) for day in (1, 2, 3)]}
    table = pyarrow.table(columns | {"n": pyarrow.array([1, 2, 3], pyarrow.int16())})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    copy_rows([rows_of(tmp_path / "a.parquet", 1, 2), rows_of(tmp_path / "a.parquet", 0)], tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").equals(table.take([1, 2, 0]))


def test_a_file_can_be_written_over_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("tea\nrain\n")
    copy_rows([rows_of(tmp_path / "a.txt", 1)], tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "rain\n"


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"tea\nrain\n")))
    copy_rows([RowsOfFile("-", [1, 2], np.array([False, True]))], tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "rain\n"


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ntea\n")
    (tmp_path / "b.csv").write_text("sentence\ntea\n")
    with pytest.raises(ValueError, match=r"a\.csv holds CSV and .*out\.jsonl would hold JSONL; give the output the"):
        copy_rows([rows_of(tmp_path / "a.csv", 0)], tmp_path / "out.jsonl")
    with pytest.raises(ValueError, match=r"standard input holds lines of text and out\.csv would hold CSV"):
        copy_rows([RowsOfFile("-", [], np.array([], bool))], "out.csv")
    with pytest.raises(ValueError, match=r"b\.csv names other columns than .*a\.csv"):
        copy_rows([rows_of(tmp_path / "a.csv", 0), rows_of(tmp_path / "b.csv", 0)], tmp_path / "out.csv")
    parquet.write_table(pyarrow.table({"text": ["tea"]}), tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table({"n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has other columns than"):
        copy_rows([rows_of(tmp_path / f"{name}.parquet", 0) for name in "ab"], tmp_path / "out.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "a.parquet", "b.parquet"}
