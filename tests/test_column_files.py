"""Columns that are written are read again as they were."""

from pathlib import Path
from typing import Any

import pytest

from likewise.column_files import write_columns
from likewise.files import read_rows

COLUMNS: dict[str, list[Any]] = {"text": ['a "quote", and\nlines', "tab\tand é", ""], "n": [1, 2, -1]}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_come_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{suffix}"
    write_columns(path, COLUMNS)
    rows = [row.values for row in read_rows(path)]
    assert [row["text"] for row in rows] == COLUMNS["text"]
    assert [int(str(row["n"])) for row in rows] == COLUMNS["n"]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give a name that ends in .csv, .tsv, .jsonl, .parquet"):
        write_columns(tmp_path / "out.txt", COLUMNS)
