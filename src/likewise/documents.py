"""Files and folders → passages, and a word on each file that could not be read."""

import datetime
import os
import re
import reprlib
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from likewise import html_text, markdown, pdf_text
from likewise.files import HALF_SURROGATE, FilePath, Row, only_text_column, read_lines, read_rows
from likewise.passages import Passage, cut, paragraphs

PLAIN_TEXT = (".txt", ".text", ".rst")
MARKDOWN = (".md", ".markdown")
HTML = (".html", ".htm", ".xhtml")
PDF = (".pdf",)
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
READ = PLAIN_TEXT + MARKDOWN + HTML + PDF + TABLES  # the suffixes of what is read in a folder

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?")  # not 007, which is a name; in 64 bits

LONGEST_LINE = 50_000_000  # bytes; no line of text or JSON is so long
LARGEST = dict.fromkeys(MARKDOWN, 10_000_000) | dict.fromkeys(HTML, 50_000_000)  # bytes; these are read whole


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or folder that could not be read, or not to its end, and what to do about it."""

    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


def read_documents(
    paths: FilePath | Iterable[FilePath], column: str | None = None, max_characters: int = 800
) -> Iterator[Passage | Problem]:
    """Read files, and all files with a suffix of READ in folders and the folders below them, as passages.

    The suffix says how. Of Markdown and HTML the prose is read, with its headings; of PDF the text of each page. Of
    CSV, TSV, JSONL and Parquet each row is a document: its text in ``column``, which may be left out where there is
    only one or one called "text" or "sentence"; its heading in the column "title", where there is one; the other
    columns, if they hold strings, numbers, truth values or dates, in ``metadata``; a column of CSV and TSV that holds
    nothing but numbers becomes numbers. A named file with any other suffix is plain text. ``passages`` says how texts
    are cut.

    The same files give the same passages in the same order: as the paths are named, each file once; in a folder
    sorted by name, without hidden files and folders, and without following links to folders.

    What cannot be read becomes a Problem, and the rest is read. A text with a byte that is not UTF-8, or with a line
    of over LONGEST_LINE bytes, gives no passage; what is broken in the middle (a table, a PDF, a file that is changed
    meanwhile) may have given some before. Plain text and tables are streamed, and no pipe or device is opened.

    Raises ValueError where ``max_characters`` is not positive.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters must be 1 or more, not {max_characters}")
    named = [paths] if isinstance(paths, str | os.PathLike) else paths
    return _documents(named, column, max_characters)


def _documents(paths: Iterable[FilePath], column: str | None, max_characters: int) -> Iterator[Passage | Problem]:
    done = set()
    for path in paths:
        for file in _files(Path(path)):
            if isinstance(file, Problem):
                yield file
                continue
            source = str(file)
            try:
                same = os.path.realpath(source)
                if same in done:
                    continue
                done.add(same)
                _check(source)
                if file.stat().st_size:
                    yield from _passages(source, column, max_characters)
            except (OSError, ValueError, ImportError, OverflowError) as error:  # the last of a date after 9999
                yield _problem(source, error)


def _files(path: Path) -> Iterator[Path | Problem]:
    """The file itself, or the files of a folder that can be read, told by their suffixes."""
    try:
        is_folder = path.is_dir()
    except OSError:  # which reading it will tell
        is_folder = False
    if not is_folder:
        yield path
        return
    errors: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=errors.append):
        yield from _taken(errors)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in READ and not name.startswith("."):
                yield Path(folder) / name
    yield from _taken(errors)


def _taken(errors: list[OSError]) -> Iterator[Problem]:
    while errors:
        error = errors.pop()
        yield _problem(os.fspath(error.filename), error)


def _problem(source: str, error: Exception) -> Problem:
    reason = str(error)
    if isinstance(error, OSError) and error.strerror is not None:
        reason = error.strerror
    return Problem(_printable(source), re.sub("^[ :,]+", "", reason.removeprefix(source)))


def _printable(path: str) -> str:
    """A name of bytes that are not UTF-8 is no Unicode text: these bytes are spelled out."""
    return os.fsencode(path).decode(errors="backslashreplace")


# ---- one file ------------------------------------------------------------------------------------------------------


def _check(source: str) -> None:
    """Raise OSError or ValueError where ``source`` is not what its suffix says, before anything of it is read."""
    if _printable(source) != source:
        raise ValueError("the name of the file is not UTF-8; rename it")
    if source == "-":  # which elsewhere is standard input
        raise ValueError("standard input is not read here; put the text into a file, and name that")
    found = Path(source).stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("this is not a file but a pipe, a socket or a device")
    suffix = Path(source).suffix.lower()
    if (size := found.st_size) > LARGEST.get(suffix, size):
        raise ValueError(f"{size:,} bytes are more than a {suffix} file may have, {LARGEST[suffix]:,}; split it")
    if suffix not in HTML + PDF + (".parquet",):
        for number, line in enumerate(read_lines(source, LONGEST_LINE), start=1):
            if "\0" in line:
                raise ValueError(f"line {number}: a zero byte, which is in no text; this is another kind of file")


def _passages(source: str, column: str | None, max_characters: int) -> Iterator[Passage]:
    suffix = Path(source).suffix.lower()
    if suffix in TABLES:
        yield from _row_passages(source, column, max_characters)
    elif suffix in PDF:
        for number, page in enumerate(pdf_text.pages(source), start=1):
            yield from cut([("", paragraphs(page.split("\n")))], source, max_characters, number)
    elif suffix in HTML:
        html = html_text.decoded(Path(source).read_bytes())
        if "\0" in html:
            raise ValueError("a zero byte, which is in no text; this is another kind of file")
        yield from cut(html_text.sections(html), source, max_characters)
    elif suffix in MARKDOWN:
        text = "\n".join(read_lines(source, LONGEST_LINE))
        yield from cut(markdown.sections(text), source, max_characters)
    else:
        yield from cut([("", paragraphs(read_lines(source, LONGEST_LINE)))], source, max_characters)


def _row_passages(source: str, column: str | None, max_characters: int) -> Iterator[Passage]:
    first = True
    numbers = _number_columns(source) if source.lower().endswith((".csv", ".tsv")) else set()
    for row in read_rows(source):
        if column is None:
            column = only_text_column(list(row.values), source)
        if first and column not in row.values:
            raise ValueError(f"there is no column {column!r}; the columns: {', '.join(map(repr, row.values))}")
        first = False
        text = row.values.get(column)
        if text is None:  # as rows without a text often have it
            continue
        if not isinstance(text, str) or HALF_SURROGATE.search(text):
            place = "row" if source.lower().endswith(".parquet") else "line"
            raise ValueError(f"{place} {row.line}: the column {column!r} holds {reprlib.repr(text)}, which is not text")
        metadata = _metadata(row, column, numbers)
        title = metadata.get("title")
        heading = " ".join(title.split()) if isinstance(title, str) else ""
        for passage in cut([(heading, paragraphs(text.split("\n")))], source, max_characters, metadata=metadata):
            yield replace(passage, line=row.line)


def _number_columns(source: str) -> set[str]:
    """The columns of a CSV or TSV file, but for "title", in which each value that is there is a number."""
    possible: set[str] | None = None
    filled: set[str] = set()
    for row in read_rows(source):
        if possible is None:
            possible = set(row.values) - {"title"}
        filled.update(name for name in possible if row.values.get(name))
        possible = {name for name in possible if NUMBER.fullmatch(str(row.values.get(name) or "0"))}
        if not possible:
            break
    return (possible or set()) & filled


def _metadata(row: Row, column: str, numbers: Collection[str]) -> dict[str, str | int | float | bool]:
    """The columns beside the text whose values a filter can compare; those of ``numbers`` are spelled out."""
    found: dict[str, str | int | float | bool] = {}
    for name, value in row.values.items():
        if name in numbers and isinstance(value, str):
            value = (float(value) if "." in value else int(value)) if value else None
        if isinstance(value, datetime.date | datetime.time):
            value = value.isoformat()
        if name == column or not isinstance(value, str | int | float) or value != value:  # not a number: missing
            continue
        if isinstance(value, int) and abs(value) > sys.float_info.max:  # no column holds it
            continue
        found[_unicode(name)] = _unicode(value) if isinstance(value, str) else value
    return found


def _unicode(text: str) -> str:
    return HALF_SURROGATE.sub("\ufffd", text)
