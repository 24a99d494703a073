"""Columns of values in a file: CSV, TSV, JSONL or Parquet, which appears whole or not at all."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from likewise.extras import extra
from likewise.files import FilePath, whole_file

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def check_column_suffix(path: FilePath) -> None:
    """Refuse a file name that write_columns cannot write, before hours of work.

    Raises ValueError for another suffix than .csv, .tsv, .jsonl or .parquet; ImportError where pyarrow is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"cannot write a table to {str(path)!r}; give a name that ends in {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        with extra("data", "Writing Parquet"):
            import pyarrow  # noqa: F401


def write_columns(path: FilePath, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write ``columns``, equally long, as likewise.files.read_rows reads them; the suffix says how.

    Raises ValueError for a suffix that check_column_suffix refuses.
    """
    check_column_suffix(path)
    suffix = Path(path).suffix.lower()
    with whole_file(path) as temporary:
        if suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.table(dict(columns)), temporary)
            return
        rows = zip(*columns.values(), strict=True)
        with temporary.open("w", newline="", encoding="utf-8") as file:
            if suffix == ".jsonl":
                for row in rows:
                    record = dict(zip(columns, row, strict=True))
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
            else:
                writer = csv.writer(file, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(rows)
