"""Passages → the rows of an index: who they are, what was embedded, and their metadata as columns."""

from __future__ import annotations

import hashlib
import logging
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Value = str | int | float

PLACE = ("line", "page")  # these may change while a passage stays the same
OWN = ("passage_id", "source", *PLACE, "heading", "passage_text", "vector")  # the columns that every index has
KINDS = {"string": "text", "int64": "whole numbers", "double": "numbers"}  # Arrow's name → what a person calls it
LARGEST_WHOLE = 2**63 - 1  # of 64 bits


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

    passage_id: str  # of a text within its source: it stays while other passages of the source change
    source: str
    line: int | None
    page: int | None
    heading: str
    passage_text: str  # what the models and the full-text index read: the headings, and below them the text
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The passage's text, without the headings above it."""
        return self.passage_text[len(self.heading) + 1 :] if self.heading else self.passage_text

    @property
    def details(self) -> tuple[object, ...]:
        """All that can change without the passage becoming another one."""
        return details({"line": self.line, "page": self.page, **self.metadata})


def index_rows(passages: Iterable[PassageLike]) -> Iterator[IndexRow]:
    """Each passage as a row. A text that is twice in a source makes two rows.

    Raises ValueError where metadata are neither texts nor numbers.
    """
    source, counts = None, dict[str, int]()
    for passage in passages:
        if passage.source != source:
            source, counts = passage.source, {}
        content = f"{passage.heading}\n{passage.text}" if passage.heading else passage.text
        given = getattr(passage, "metadata", None) or {}
        metadata = {column_name(name): _plain(name, value, passage.source) for name, value in given.items()}
        count = counts[content] = counts.get(content, 0) + 1
        own = hashlib.blake2b(digest_size=16)  # 2^64 passages before two of them are likely to be taken for one
        for part in (passage.source, passage.heading, content, str(count)):
            encoded = part.encode("utf-8", "surrogatepass")
            own.update(len(encoded).to_bytes(8, "little") + encoded)
        page = getattr(passage, "page", None)
        yield IndexRow(own.hexdigest(), passage.source, passage.line, page, passage.heading, content, metadata)


def column_name(name: str) -> str:
    """The column in which the metadata ``name`` is kept: itself where LanceDB can spell it and nothing else has it."""
    spelled = re.sub(r"[^\w -]", "_", name).lstrip("_") or "unnamed"  # those that begin with _ are LanceDB's own
    return f"{spelled}_" if spelled in OWN else spelled


def metadata_name(column: str) -> str:
    """What is kept in a ``column``, by the name that it would have if the index had no column so called itself."""
    return column[:-1] if column.endswith("_") and column[:-1] in OWN else column


def _plain(name: str, value: object, source: str) -> Value:
    if isinstance(value, Integral | np.bool_) and abs(int(value)) <= LARGEST_WHOLE:  # a truth value too
        return int(value)
    if isinstance(value, Real):
        with suppress(OverflowError):  # of a whole number of over 300 digits
            return float(value)
    if isinstance(value, str):
        return str(value)  # of numpy's kind too
    raise ValueError(f"{source}: the metadata {name!r} are {reprlib.repr(value)}; make them a text or a number")


def base_schema(dimension: int) -> Any:
    """The Arrow schema of an index without metadata, whose vectors have ``dimension`` numbers."""
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.int32(), pa.int32(), pa.string(), pa.string())
    return pa.schema([*zip(OWN, (*types, pa.list_(pa.float32(), dimension)), strict=True)])


def metadata_columns(schema: Any) -> dict[str, str]:
    """The metadata columns of a table, each with what it holds: "text", "whole numbers" or "numbers"."""
    columns = [column for column in schema if column.name not in OWN and not column.name.startswith("_")]
    return {column.name: KINDS[str(column.type)] for column in columns}


def fitted(rows: Sequence[IndexRow], kinds: dict[str, str]) -> list[IndexRow]:
    """``rows`` with metadata that fit the columns of these ``kinds``; what is new there is added to ``kinds``.

    A number among texts becomes a text. A text among numbers is left out, with a warning. Whole numbers become numbers
    where one is not whole.
    """
    names = {str: "text", int: "whole numbers", float: "numbers"}
    left_out: dict[str, str] = {}
    result = []
    for row in rows:
        metadata: dict[str, Value] = {}
        for name, value in row.metadata.items():
            kind = kinds.setdefault(name, names[type(value)])
            if kind == "text":
                metadata[name] = str(value)
            elif isinstance(value, str):
                left_out[name] = f"{row.source}, line {row.line}: {reprlib.repr(value)}"
            else:
                metadata[name] = value
                kinds[name] = "numbers" if isinstance(value, float) else kind
        result.append(replace(row, metadata=metadata))
    for name, place in left_out.items():
        logger.warning("metadata %r hold numbers, so texts there were left out, such as in %s", name, place)
    return result


def arrow_field(name: str, kind: str) -> Any:
    """The Arrow field of a metadata column."""
    import pyarrow as pa

    return pa.field(name, next(arrow for arrow, own in KINDS.items() if own == kind))


def arrow_table(rows: Sequence[IndexRow], vectors: NDArray[np.float32], schema: Any) -> Any:
    """The rows and their vectors (rows, dim) as an Arrow table of ``schema``, which has all their columns."""
    import pyarrow as pa

    columns: list[Any] = [pa.array([getattr(row, name) for row in rows], schema.field(name).type) for name in OWN[:-1]]
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    columns.append(pa.FixedSizeListArray.from_arrays(flat, schema.field("vector").type.list_size))
    known = dict(zip(OWN, columns, strict=True))
    for name, kind in metadata_columns(schema).items():
        values = [row.metadata.get(name) for row in rows]
        if kind == "numbers":
            values = [None if value is None else float(value) for value in values]
        known[name] = pa.array(values, schema.field(name).type)
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
