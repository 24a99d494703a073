"""Passages → the rows of an index: who they are, what was embedded, and their metadata as columns."""

from __future__ import annotations

import hashlib
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Value = str | int | float

PLACE = ("line", "page")  # these may change while a passage stays the same
OWN = ("id", "source", *PLACE, "heading", "content", "vector")  # the columns that every index has
TAKEN = {*OWN, "text", "score", "metadata"}  # names that metadata cannot have
COLUMN_NAME = re.compile(r"[^\W\d][\w -]*")  # LanceDB refuses dots, and a filter cannot spell backticks


class PassageLike(Protocol):
    """What an index holds. It may also have a ``page`` and ``metadata``: a mapping of texts and numbers."""

    @property
    def text(self) -> str:
        """What is found."""

    @property
    def source(self) -> str:
        """The file it is from, or any other name."""

    @property
    def line(self) -> int | None:
        """Where it starts, from 1."""

    @property
    def heading(self) -> str:
        """The headings that it stands under, or ""."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A passage as the index holds it."""

    id: str  # of a text within its source: it stays while other passages of the source change
    source: str
    line: int | None
    page: int | None
    heading: str
    content: str  # what the models and the full-text index read: the headings, and below them the text
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @property
    def details(self) -> tuple[object, ...]:
        """All that can change without the passage becoming another one."""
        return details({"line": self.line, "page": self.page, **self.metadata})


def text_of(heading: str, content: str) -> str:
    """The passage's text, without the headings above it."""
    return content[len(heading) + 1 :] if heading else content


def index_rows(passages: Iterable[PassageLike]) -> Iterator[IndexRow]:
    """Each passage as a row. A text that is twice in a source makes two rows.

    Raises ValueError where metadata have a name or a value that no column can hold.
    """
    source, counts = None, dict[str, int]()
    for passage in passages:
        if passage.source != source:
            source, counts = passage.source, {}
        content = f"{passage.heading}\n{passage.text}" if passage.heading else passage.text
        metadata = dict(getattr(passage, "metadata", None) or {})
        for name, value in metadata.items():
            _check(name, value, passage.source)
        count = counts[content] = counts.get(content, 0) + 1
        own = hashlib.blake2b(digest_size=16)  # 2^64 passages before two of them are likely to be taken for one
        for part in (passage.source, passage.heading, content, str(count)):
            encoded = part.encode("utf-8", "surrogatepass")
            own.update(len(encoded).to_bytes(8, "little") + encoded)
        page = getattr(passage, "page", None)
        yield IndexRow(own.hexdigest(), passage.source, passage.line, page, passage.heading, content, metadata)


def _check(name: str, value: object, source: str) -> None:
    if name in TAKEN or not COLUMN_NAME.fullmatch(name):
        raise ValueError(
            f"{source}: metadata cannot be called {name!r}; use a name of letters, digits and _ "
            f"that is none of {', '.join(sorted(TAKEN))}"
        )
    if type(value) not in (str, int, float):
        raise ValueError(f"{source}: the metadata {name!r} is {reprlib.repr(value)}; make it a text or a number")


def base_schema(dimension: int) -> Any:
    """The Arrow schema of an index without metadata, whose vectors have ``dimension`` numbers."""
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.int32(), pa.int32(), pa.string(), pa.string())
    return pa.schema([*zip(OWN, (*types, pa.list_(pa.float32(), dimension)), strict=True)])


def metadata_columns(schema: Any) -> dict[str, str]:
    """The metadata columns of a table, each with what it holds: "text", "whole numbers" or "numbers"."""
    kinds = {"string": "text", "int64": "whole numbers", "double": "numbers"}
    return {column.name: kinds[str(column.type)] for column in schema if column.name not in OWN}


def changed_columns(rows: Iterable[IndexRow], schema: Any) -> tuple[dict[str, str], list[str]]:
    """The columns that ``rows`` need and ``schema`` lacks, with their kinds, and those of whole numbers to widen.

    Raises ValueError where a text stands among numbers, or a number among texts.
    """
    known = metadata_columns(schema)
    kinds = dict(known)
    names = {str: "text", int: "whole numbers", float: "numbers"}
    for row in rows:
        for name, value in row.metadata.items():
            kind = names[type(value)]
            before = kinds.setdefault(name, kind)
            if (kind == "text") != (before == "text"):
                raise ValueError(
                    f"{row.source}: the metadata {name!r} is {reprlib.repr(value)}, "
                    f"but the index has {before} under this name; use another name"
                )
            if kind == "numbers":
                kinds[name] = kind
    added = {name: kind for name, kind in kinds.items() if name not in known}
    return added, [name for name in known if kinds[name] != known[name]]


def arrow_field(name: str, kind: str) -> Any:
    """The Arrow field of a metadata column."""
    import pyarrow as pa

    return pa.field(name, {"text": pa.string(), "whole numbers": pa.int64(), "numbers": pa.float64()}[kind])


def arrow_table(rows: Sequence[IndexRow], vectors: NDArray[np.float32], schema: Any) -> Any:
    """The rows and their vectors (rows, dim) as an Arrow table of ``schema``, which has all their columns."""
    import pyarrow as pa

    columns: list[Any] = [pa.array([getattr(row, name) for row in rows], schema.field(name).type) for name in OWN[:-1]]
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    columns.append(pa.FixedSizeListArray.from_arrays(flat, schema.field("vector").type.list_size))
    known = dict(zip(OWN, columns, strict=True))
    for name in metadata_columns(schema):
        known[name] = pa.array([row.metadata.get(name) for row in rows], schema.field(name).type)
    return pa.table([known[name] for name in schema.names], schema=schema)


def row_of(values: Mapping[str, Any]) -> IndexRow:
    """A row as a table gives it, without its vector."""
    return IndexRow(**{name: values[name] for name in OWN[:-1]}, metadata=_metadata(values))


def details(values: Mapping[str, Any]) -> tuple[object, ...]:
    """As ``IndexRow.details``, of a row as a table gives it."""
    return (values["line"], values["page"], *sorted(_metadata(values).items()))


def _metadata(values: Mapping[str, Any]) -> dict[str, Value]:
    given = {name: value for name, value in values.items() if name not in OWN and value is not None}
    return {name: value for name, value in given.items() if not name.startswith("_")}  # those are LanceDB's own
