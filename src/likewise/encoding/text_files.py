"""Texts in files as one long row, read twice: once to count and check them, once to encode them."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile

from likewise.files import read_texts_and_lines

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text, and where it stands."""

    text: str
    source: str  # the file, as it was given
    line: int  # where its row starts, from 1; for Parquet the number of the row


@dataclass(frozen=True, slots=True)
class Counted:
    """What one file holds."""

    source: str
    texts: int
    characters: int
    digest: str  # of all its texts and their lines: another text at any place gives another one


@contextmanager
def standard_input_kept(folder: Path) -> Iterator[None]:
    """Let standard input, which comes only once, be read twice: a nameless file in ``folder`` keeps it meanwhile."""
    given = sys.stdin
    with TemporaryFile(dir=folder) as kept:
        shutil.copyfileobj(given.buffer, kept)
        with TextIOWrapper(kept) as sys.stdin:
            try:
                yield
            finally:
                sys.stdin = given


def counted(source: str, column: str | None) -> Counted:
    """Read a whole file, one row at a time, as read_texts does it: a mistake in it shows before hours of work."""
    tally = _Tally()
    for text, line in _texts_and_lines(source, column):
        tally.add(text, line)
    return tally.result(source)


def placed_texts(files: Sequence[Counted], column: str | None) -> Iterator[PlacedText]:
    """The texts of all ``files``, which were counted before.

    Raises:
        ValueError: A file has changed since.
    """
    for file in files:
        tally = _Tally()
        for text, line in _texts_and_lines(file.source, column):
            tally.add(text, line)
            yield PlacedText(text, file.source, line)
        if tally.result(file.source) != file:
            raise ValueError(f"{file.source} was changed while it was read; leave it as it is, and begin anew")


def _texts_and_lines(source: str, column: str | None) -> Iterator[tuple[str, int]]:
    if source == STANDARD_INPUT:
        sys.stdin.buffer.seek(0)
    return read_texts_and_lines(source, column)


class _Tally:
    """Counts texts, and makes a digest of them."""

    def __init__(self) -> None:
        self.texts = self.characters = 0
        self.digest = blake2b(digest_size=16)

    def add(self, text: str, line: int) -> None:
        content = text.encode()
        self.texts += 1
        self.characters += len(text)
        self.digest.update(f"{line} {len(content)} ".encode() + content)

    def result(self, source: str) -> Counted:
        return Counted(source, self.texts, self.characters, self.digest.hexdigest())
