"""Whatever holds rows, a file, a data frame, a list, as columns of values, with the place of each row."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from likewise.files import FilePath, read_rows


@dataclass(frozen=True)
class Table:
    """Columns of any values, equally long."""

    columns: dict[str, Sequence[Any]]
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of columns of class numbers, where known
    lines: Sequence[int] = ()  # of a file: where each row starts

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int) -> str:
        """What to call a row in a message."""
        return f"line {self.lines[row]}" if self.lines else f"row {row}"


def table_of(source: object, name: str) -> Table:
    """The rows of ``source`` as columns, in order.

    It is the path of a file, a datasets.Dataset, a data frame of pandas or polars, an Arrow table, a mapping of
    columns, or an iterable of rows: mappings, InputExamples, lists or tuples of texts that may end with a number, or
    texts.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds several data sets, rows of several kinds, or columns that are not equally long.
        TypeError: It is something else.
    """
    if isinstance(source, str | os.PathLike):
        return _of_file(source)
    if isinstance(source, Mapping):
        if any(_is_table(value) for value in source.values()):
            raise ValueError(f"{name} holds several data sets, {', '.join(map(repr, source))}; give one of them")
        return _checked({str(column): _listed(values) for column, values in source.items()}, name)
    if hasattr(source, "collect"):  # a LazyFrame
        raise TypeError(f"a {type(source).__name__} has no rows yet; call its method collect() first")
    if _is_table(source):
        return _of_frame(source)
    if isinstance(source, Iterable) and not hasattr(source, "with_format"):  # that of a Dataset which is a stream
        return _of_rows(list(source), name)
    raise TypeError(
        f"{name} is of type {type(source).__name__}; give a datasets.Dataset, a data frame, a list of rows or a file"
    )


def _of_file(path: FilePath) -> Table:
    rows = list(read_rows(path))
    return Table(_columns_of([row.values for row in rows]), lines=[row.line for row in rows])


def _is_table(value: object) -> bool:
    return hasattr(value, "columns") or (hasattr(value, "column_names") and hasattr(value, "__len__"))


def _of_frame(source: Any) -> Table:
    if hasattr(source, "features"):  # datasets.Dataset
        names = {name: feature.names for name, feature in source.features.items() if hasattr(feature, "names")}
        classes = {name: tuple(own) for name, own in names.items() if own}
        return Table(source.to_dict(), classes)
    if hasattr(source, "to_pydict"):  # pyarrow
        return Table(source.to_pydict())
    if hasattr(source, "get_columns"):  # polars
        return Table({series.name: series.to_list() for series in source.get_columns()})
    return Table({str(name): values.tolist() for name, values in source.items()})  # pandas


def _of_rows(rows: list[Any], name: str) -> Table:
    if not rows:
        return Table({})
    kind = _kind(rows[0])
    for place, row in enumerate(rows):
        if not kind or _kind(row) != kind:
            what = f"a {type(row).__name__}, {reprlib.repr(row)}"
            raise ValueError(f"{name}: row {place} is {what}; rows must all be mappings, InputExamples, lists or texts")
    if kind == "text":
        return Table({"text": rows})
    if kind == "mapping":
        return Table(_columns_of(rows))
    is_example = kind == "example"
    texts = [list(row.texts) if is_example else list(row) for row in rows]
    labels: list[Any] = [row.label for row in rows] if is_example else []
    width = len(texts[0])
    for place, row in enumerate(texts):
        if len(row) != width:
            raise ValueError(f"{name}: row {place} has {len(row)} entries, but row 0 has {width}")
    if not is_example and width and any(_is_label(row[-1]) for row in texts):
        labels = [row.pop() for row in texts]
    columns = {f"sentence_{place}": [row[place] for row in texts] for place in range(len(texts[0]))}
    has_labels = any(label is not None for label in labels)
    return Table(columns | ({"label": labels} if has_labels else {}))


def _kind(row: object) -> str:
    if isinstance(row, str):
        return "text"
    if isinstance(row, Mapping):
        return "mapping"
    if hasattr(row, "texts") and hasattr(row, "label"):
        return "example"
    return "list" if isinstance(row, list | tuple) else ""


def _is_label(value: object) -> bool:
    """Whether it is a number, or several, and not the mark of a missing text."""
    return isinstance(value, list | tuple | np.ndarray) or (
        isinstance(value, int | float | np.number | np.bool_) and bool(value == value)
    )


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """The rows' values by column, None where a row lacks one."""
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _listed(values: Any) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"a column must be a list of values, not {reprlib.repr(values)}")
    if hasattr(values, "to_pylist"):
        found: Sequence[Any] = values.to_pylist()
        return found
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return list(values)  # a teacher's vectors: as lists of numbers they would need ten times the memory
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _checked(columns: dict[str, Sequence[Any]], name: str) -> Table:
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{column!r} has {length}" for column, length in lengths.items())
        raise ValueError(f"{name}: all columns must be equally long, but {told}")
    return Table(columns)
