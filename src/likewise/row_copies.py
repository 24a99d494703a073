"""Some of the rows of files, copied as they stand: same quoting, same numbers, same columns."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from likewise.extras import extra
from likewise.files import FilePath, whole_file

PLAIN = "lines of text"
KINDS = {".csv": "CSV", ".tsv": "TSV", ".jsonl": "JSONL", ".ndjson": "JSONL", ".parquet": "Parquet"}
HEADED = ("CSV", "TSV")


@dataclass(frozen=True, slots=True)
class RowsOfFile:
    """All rows of a file, and which of them are wanted."""

    source: str  # - is standard input, which must allow to be read again
    lines: Sequence[int]  # where each row starts, as Row.line has it
    wanted: NDArray[np.bool_]  # (rows,)


def check_same_kind(sources: Sequence[str], output: FilePath) -> None:
    """Refuse a name that copy_rows cannot write to, before hours of work.

    Raises:
        ValueError: The files and the output are not all lines of text, all CSV, all TSV, all JSONL or all Parquet.
        ImportError: They are Parquet, and pyarrow is missing.
    """
    kind = _kind(output)
    for source in sources:
        if _kind(source) != kind:
            found = "standard input" if source == "-" else source
            raise ValueError(
                f"rows are written as they stand, but {found} holds {_kind(source)} and {output} would hold {kind}; "
                "give the output the ending of the input"
            )
    if kind == "Parquet":
        with extra("data", "Writing Parquet"):
            import pyarrow  # noqa: F401


def copy_rows(files: Sequence[RowsOfFile], output: FilePath) -> None:
    """Write the wanted rows of ``files`` to ``output``, which appears whole or not at all, and may be one of them.

    A line or a batch of rows is in memory at a time. Of several CSV files the first line is written once.

    Raises:
        ValueError: The files are not of one kind, or do not have the same columns.
        OSError: A file cannot be read or written.
    """
    check_same_kind([file.source for file in files], output)
    with whole_file(output) as temporary:
        if _kind(output) == "Parquet":
            _copy_parquet(files, temporary)
        else:
            with temporary.open("wb") as written:
                _copy_lines(files, written, _kind(output) in HEADED)


def _kind(path: FilePath) -> str:
    return KINDS.get(Path(path).suffix.lower(), PLAIN)


def _copy_lines(files: Sequence[RowsOfFile], output: BinaryIO, is_headed: bool) -> None:
    """Copy whole lines: a row is those from where it starts to where the next one does."""
    headers: dict[bytes, str] = {}
    for file in files:
        starts = dict(zip(file.lines, file.wanted.tolist(), strict=True))
        first_row = min(starts, default=sys.maxsize)
        header, is_wanted = b"", False
        with _opened(file.source) as lines:
            for number, line in enumerate(lines, start=1):
                if number < first_row:
                    header += line
                if is_headed and number == first_row:
                    _write_header(header, file.source, headers, output)
                is_wanted = starts.get(number, is_wanted)
                if is_wanted:
                    output.write(_ended(line))
        if is_headed and not starts:
            _write_header(header, file.source, headers, output)


def _write_header(header: bytes, source: str, headers: dict[bytes, str], output: BinaryIO) -> None:
    names = header.removeprefix(b"\xef\xbb\xbf").strip()
    if not headers:
        output.write(_ended(header))
    elif names not in headers:
        (other,) = headers.values()
        raise ValueError(f"{source} names other columns than {other}; give files with the same first line, or one only")
    headers.setdefault(names, source)


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def _opened(source: str) -> AbstractContextManager[BinaryIO]:
    if source != "-":
        return Path(source).open("rb")
    sys.stdin.buffer.seek(0)
    return nullcontext(sys.stdin.buffer)


def _copy_parquet(files: Sequence[RowsOfFile], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    schema = parquet.read_schema(files[0].source)
    with parquet.ParquetWriter(path, schema) as writer:
        for file in files:
            opened = parquet.ParquetFile(file.source)
            if not opened.schema_arrow.equals(schema):
                raise ValueError(
                    f"{file.source} has other columns than {files[0].source}; give files with the same ones"
                )
            done = 0
            for batch in opened.iter_batches():
                mask = pyarrow.array(file.wanted[done : done + len(batch)])
                writer.write_batch(batch.filter(mask))
                done += len(batch)
