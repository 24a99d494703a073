"""Rows and texts from files, streamed with their place; and output that appears whole or not at all."""

import csv
import json
import os
import re
import reprlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

from likewise.extras import extra

FilePath: TypeAlias = str | os.PathLike[str]
Choose: TypeAlias = Callable[[list[str]], Sequence[str]]  # the columns that there are → those to read

LARGEST_CSV_FIELD = 100_000_000  # characters; what is longer is no text but a quotation mark that nobody closed
WEIGHT_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*", "adapter_config.json"),
    *("model.onnx", "model.onnx.data"),
)
HALF_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell what no Unicode text holds and no tokenizer takes
FIELD_LIMIT_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file, with its place."""

    values: dict[str, object]
    source: str  # the file, as it was given
    line: int  # where the record starts, from 1; for Parquet the number of the row


def read_rows(path: FilePath, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Read a file row by row: one row, or one row group of Parquet, is in memory at a time.

    The suffix says how: .csv, .tsv (a first line of names, quoted as RFC 4180 says), .jsonl, .ndjson, .parquet.
    Any other file, and standard input (``-``), is lines of text under the column ``text``, as in read_lines.
    Blank lines of CSV, TSV and JSONL hold no row. ``columns`` leaves the others out.

    Raises OSError where the file cannot be read, and ValueError, with file, line and value, where a column is
    missing or the content is broken.
    """
    return _rows(str(path), lambda available: available if columns is None else columns)


def read_texts(path: FilePath, column: str | None = None) -> Iterator[str]:
    """Read one column of a file, which must hold texts; of a plain text, its lines. Streamed as in read_rows.

    ``column`` may be left out where there is only one, or one called "text" or "sentence".

    Raises what read_rows does, and ValueError, with file, line and value, for None, a number or another value that
    is not text.
    """
    return (text for text, _ in read_texts_and_lines(path, column))


def read_texts_and_lines(path: FilePath, column: str | None = None) -> Iterator[tuple[str, int]]:
    """Read the texts that read_texts gives, each with the line on which its row starts."""

    def choose(available: list[str]) -> Sequence[str]:
        nonlocal column  # the first row of JSONL decides for the rest
        if column is None:
            column = only_text_column(available, str(path))
        return [column]

    for row in _rows(str(path), choose):
        ((name, value),) = row.values.items()
        if not isinstance(value, str) or HALF_SURROGATE.search(value):
            raise ValueError(
                f"{_place(row.source, row.line)}: the column {name!r} holds {reprlib.repr(value)}, which is not text; "
                'leave the row out, or make it Unicode text ("" is a valid text)'
            )
        yield value, row.line


def only_text_column(available: Sequence[str], source: str) -> str:
    """Which column of ``source`` holds the texts, where nobody says it: the only one, or "text" or "sentence".

    Raises ValueError where that is not clear.
    """
    named = [name for name in available if len(available) == 1 or name in ("text", "sentence")]
    if len(named) != 1:
        raise ValueError(f"{source}: say which column holds the texts; the columns: {_listed(available)}")
    return named[0]


def read_lines(path: FilePath, longest: int | None = None) -> Iterator[str]:
    r"""Read the lines of a UTF-8 file, or of standard input (``-``), without their ends.

    A line ends with ``\n`` or ``\r\n`` and nothing else. A blank line is a line; a line end at the very end of the
    file adds none. A byte order mark is left out.

    Raises OSError where the file cannot be read, and ValueError, with file, line and byte, where it is not UTF-8, or
    where a line has more than ``longest`` bytes, which are then the most that is in memory.
    """
    for line in _lines_with_ends(str(path), longest):
        yield line.removesuffix("\r\n") if line.endswith("\r\n") else line.removesuffix("\n")


@contextmanager
def whole_file(path: FilePath) -> Iterator[Path]:
    """Give a temporary name in the folder of ``path``; what is written there becomes ``path``, whole or not at all.

    The name keeps the suffix. Missing folders are made. On any error, an interrupt too, the temporary file is
    removed and ``path`` stays what it was. A symbolic link is followed.

    Raises OSError where ``path`` is something else than a file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{path} is not a file and cannot be overwritten; give another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem[:40]}-{os.urandom(4).hex()}.part{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def alone(lock: FilePath, busy: str) -> Iterator[None]:
    """Keep other processes out that ask for the same ``lock``, a file; that of a killed process ends with it.

    Raises BlockingIOError, an OSError, with the message ``busy``, where another process or thread is in.
    """
    with Path(lock).open("w") as file:
        with suppress(ImportError):  # there is none on Windows
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(busy) from None
        yield


@contextmanager
def whole_folder(path: FilePath, dropped: Sequence[str] = ()) -> Iterator[Path]:
    """Give a new folder beside ``path``; it takes the place of ``path``, whole or not at all.

    Entries of an existing ``path`` that the new folder lacks are kept, except weight files (WEIGHT_FILES), which
    would no longer fit, and those ``dropped``. On any error, an interrupt too, ``path`` stays what it was. A symbolic
    link is followed.

    The swap is two renames, ``NAME`` to ``NAME.old-xxxxxxxx`` and ``.NAME-xxxxxxxx.part`` to ``NAME``, after which
    the old folder is deleted. A process killed between the two leaves both whole, under these names: rename one of
    them to ``NAME``.

    Raises OSError where ``path`` is a file, or a folder that cannot be renamed: a mount point, or a folder that the
    process works in.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{path} is not a folder; give another name, or remove it first")
    if os.path.ismount(target) or Path.cwd().is_relative_to(target):
        raise OSError(f"{path} is a mount point or holds the working folder, and cannot be renamed; give one inside it")
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = os.urandom(4).hex()
    temporary = target.with_name(f".{target.name}-{mark}.part")
    old = target.with_name(f"{target.name}.old-{mark}")
    try:
        temporary.mkdir()
        yield temporary
        if target.exists():
            _keep_other_entries(target, temporary, dropped)
            target.rename(old)
        temporary.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _rows(source: str, choose: Choose) -> Iterator[Row]:
    suffix = "" if source == "-" else Path(source).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _csv_rows(source, choose, delimiter="," if suffix == ".csv" else "\t")
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(source, choose)
    return _parquet_rows(source, choose) if suffix == ".parquet" else _text_rows(source, choose)


def _text_rows(source: str, choose: Choose) -> Iterator[Row]:
    _check_columns(choose(["text"]), ["text"], _name(source))
    for number, line in enumerate(read_lines(source), start=1):
        yield Row({"text": line}, source, number)


def _csv_rows(source: str, choose: Choose, delimiter: str) -> Iterator[Row]:
    records = ((line, fields) for line, fields in _csv_records(source, delimiter) if fields)  # blank lines have none
    _, header = next(records, (1, []))
    wanted = choose(header)
    _check_columns(wanted, header, f"{source}, whose first line must name the columns")
    for line, fields in records:
        if len(fields) != len(header):
            raise ValueError(
                f"{_place(source, line)}: {len(fields)} fields where the first line names {len(header)} columns: "
                f"{reprlib.repr(fields)}; put a field that contains the separator {delimiter!r} in double quotes"
            )
        values = dict(zip(header, fields, strict=True))
        yield Row({name: values[name] for name in wanted}, source, line)


def _csv_records(source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each record, with the line on which it starts."""
    last = ""

    def remember(line: str) -> str:
        nonlocal last
        last = line
        return line

    reader = csv.reader(map(remember, _lines_with_ends(source)), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        with FIELD_LIMIT_LOCK:  # the limit belongs to the whole process: raised for one record, then put back
            before = csv.field_size_limit(LARGEST_CSV_FIELD)
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise ValueError(
                    f"{_place(source, start)}: {error}, found on line {reader.line_num}: {reprlib.repr(last)}; "
                    "close each quoted field, and double the quotation marks inside it"
                ) from error
            finally:
                csv.field_size_limit(before)
        if fields is None:
            return
        yield start, fields


def _json_rows(source: str, choose: Choose) -> Iterator[Row]:
    for number, line in enumerate(_lines_with_ends(source), start=1):
        if not line.strip():
            continue
        values, reason = None, "no object"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", str(error))
        if not isinstance(values, dict):
            raise ValueError(
                f"{_place(source, number)}: {reprlib.repr(line)} is not a JSON object ({reason}); "
                'write each row whole, on a line of its own, as {"column": value}'
            )
        wanted = choose(list(values))
        _check_columns(wanted, list(values), _place(source, number))
        yield Row({name: values[name] for name in wanted}, source, number)


def _parquet_rows(source: str, choose: Choose) -> Iterator[Row]:
    with extra("data", "Reading Parquet"):
        import pyarrow
        from pyarrow import parquet
    number = 0
    with _opened(source) as file:
        try:
            table = parquet.ParquetFile(file)
            wanted = choose(table.schema_arrow.names)
            _check_columns(wanted, table.schema_arrow.names, source)
            for batch in table.iter_batches(batch_size=1024, columns=wanted):
                for values in batch.to_pylist():
                    number += 1
                    yield Row({name: values[name] for name in wanted}, source, number)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{source} is no whole Parquet file after row {number}: {error}; make it anew") from error


def _lines_with_ends(source: str, longest: int | None = None) -> Iterator[str]:
    with _opened(source) as file:
        lines = file if longest is None else iter(partial(file.readline, longest + 1), b"")
        for number, line in enumerate(lines, start=1):
            if longest is not None and len(line) > longest:
                raise ValueError(
                    f"{_place(source, number)}: the line is longer than {longest:,} bytes; break it into several"
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")  # the first line may start with a mark
            except UnicodeDecodeError as error:
                encoding = "UTF-16" if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
                raise ValueError(
                    f"{_place(source, number)}: {reprlib.repr(error.object[error.start :])} is not UTF-8; "
                    f"convert the file first, perhaps with: iconv -f {encoding} -t UTF-8"
                ) from error
            if text:  # not where a byte order mark is all there is
                yield text


def _opened(source: str) -> AbstractContextManager[BinaryIO]:
    if source == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(source).open("rb")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise type(error)(f"cannot read {source!r}: {error.strerror}; name a file that exists") from error


def _name(source: str) -> str:
    return "standard input" if source == "-" else source


def _place(source: str, line: int) -> str:
    return f"{_name(source)}, {'row' if source.lower().endswith('.parquet') else 'line'} {line}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns)) or "none"


def _check_columns(wanted: Sequence[str], available: list[str], place: str) -> None:
    if len(set(available)) < len(available):
        raise ValueError(f"{place}: two columns have the same name; rename one of: {_listed(available)}")
    for name in wanted:
        if name not in available:
            raise ValueError(f"{place}: there is no column {name!r}; the columns: {_listed(available)}")


def _keep_other_entries(old: Path, new: Path, dropped: Sequence[str]) -> None:
    """Give the new folder what only the old one has, weights and ``dropped`` excepted; the old one stays whole."""
    made = {*dropped, *(entry.name for entry in new.iterdir())}

    def left_out(folder: str, names: list[str]) -> list[str]:
        if folder != str(old):  # checkpoints in folders below keep their weights
            return []
        return [name for name in names if name in made or any(fnmatchcase(name, weight) for weight in WEIGHT_FILES)]

    def link(source: str, destination: str) -> None:
        try:
            os.link(source, destination)  # no second copy of gigabytes of checkpoints
        except OSError:
            shutil.copy2(source, destination)

    shutil.copytree(old, new, symlinks=True, ignore=left_out, copy_function=link, dirs_exist_ok=True)
