"""What a model is trained on: columns of text, and labels, read from whatever holds them and checked row by row."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likewise.tables import Table, table_of
from likewise.training.labels import Labels, is_missing, labels_of

LABEL_NAMES = ("label", "labels", "score", "scores")  # the first of these that there is
USUAL_ORDERS = (
    ("anchor", "positive", "negative"),
    ("query", "positive", "negative"),
    ("question", "answer"),
    ("query", "answer"),
    ("query", "response"),
)
TOLD = 5  # rows that a message names


@dataclass(frozen=True)
class TrainingData:
    """Columns of text, and labels, one entry a row."""

    columns: Mapping[str, Sequence[Any]]  # in order: what the loss sees as its columns; a text a row, or a list of them
    labels: NDArray[Any] | None  # (rows,) int64 or float32, (rows, numbers) float32, or (rows,) of float32 arrays
    label_name: str | None
    classes: tuple[str, ...] = ()  # names of the classes where labels were text: their index is the label
    skipped: int = 0  # rows left out

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @cached_property
    def texts(self) -> dict[str, int]:
        """Every different text of all columns, with its number."""
        found: dict[str, int] = {}
        for column in self.columns:
            for text in self.flat(column):
                found.setdefault(text, len(found))
        return found

    def flat(self, column: str) -> Sequence[str]:
        """The texts of a column; of one with lists, one row's behind the other's."""
        values = self.columns[column]
        return list(chain.from_iterable(values)) if column in self.lists else values

    @property
    def lists(self) -> set[str]:
        """The columns that hold a list of texts in each row."""
        return {name for name, values in self.columns.items() if len(values) and not isinstance(values[0], str)}

    @cached_property
    def text_ids(self) -> NDArray[np.int64]:
        """The number of each text, (columns, rows), of those columns that hold one text a row."""
        return np.array([self.ids_of(values) for name, values in self.columns.items() if name not in self.lists])

    def ids_of(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The number of each text, (texts,)."""
        return np.fromiter(map(self.texts.__getitem__, texts), np.int64, len(texts))


def training_data(
    source: object,
    *,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    missing: Literal["error", "skip"] = "error",
    classes: Sequence[str] = (),
    name: str = "the training data",
    takes_lists: bool = False,
) -> TrainingData:
    """Read and check the rows of ``source``.

    It is a datasets.Dataset, a data frame of pandas or polars, an Arrow table, a mapping of columns, a list of
    mappings, of InputExamples or of tuples (texts, then a label if the last is a number), or the path of a file (CSV,
    TSV, JSONL, Parquet). A column called label, labels, score or scores holds the labels, all others, in order, are
    texts, unless ``columns`` and ``label`` say which. Labels are numbers, also written as text, or the names of
    classes, numbered in the order of ``classes``, by default the alphabet's: give those of the training data for
    evaluation data.

    Where ``takes_lists`` is set, for a loss that ranks lists, the second column may hold a list of texts in each row,
    and the label is then as many numbers.

    A row without a text (None, NaN, blank) or a label (also infinite ones, "-", -1 among classes) is an error, or is
    left out and counted where ``missing`` is "skip". TrainingData is passed on, its classes numbered anew if needed.

    Raises:
        OSError: The file cannot be read.
        ValueError: Rows are missing, a column is not there or holds no text, a class is not known, or nothing is left.
        TypeError: The source is of no known kind.
    """
    before = 0
    if isinstance(source, TrainingData):
        if columns is None and label is None and (not classes or tuple(classes) == source.classes):
            return source
        before, label = source.skipped, label or source.label_name
        table = _table_again(source)
    else:
        table = table_of(source, name)
    columns, label = _chosen(table, columns, label, name)
    wrong: dict[int, str] = {}  # row → the first of its columns that has no value
    for column in columns:
        for row in _rows_without_text(table, column, name, takes_lists and [column] == columns[1:2]):
            wrong.setdefault(row, column)
    has_lists = takes_lists and any(isinstance(value, list | tuple) for value in table.columns[columns[-1]])
    read = None if label is None else _labels(table, label, classes, name, has_lists)
    if read is not None and label is not None:
        for row in np.flatnonzero(read.is_missing).tolist():
            wrong.setdefault(row, label)
    if wrong and missing == "error":
        raise ValueError(f"{name}: {_told(table, wrong)}")
    if len(wrong) == len(table):
        raise ValueError(f"{name} has no rows" + (f": {_told(table, wrong)}" if wrong else ""))
    texts, labels = {column: table.columns[column] for column in columns}, None if read is None else read.values
    if has_lists and labels is not None:
        _check_counts(table, columns[1], texts[columns[1]], labels, wrong, name)
    if wrong:
        kept = np.array([row for row in range(len(table)) if row not in wrong])
        texts = {column: [values[row] for row in kept.tolist()] for column, values in texts.items()}
        labels = None if labels is None else labels[kept]
    _warn_of_columns(columns, name)
    return TrainingData(texts, labels, label, read.classes if read else (), before + len(wrong))


def _table_again(data: TrainingData) -> Table:
    if data.labels is None or data.label_name is None:
        return Table(dict(data.columns))
    named = {data.label_name: data.classes} if data.classes else {}
    return Table({**data.columns, data.label_name: data.labels.tolist()}, named)


def _chosen(table: Table, columns: Sequence[str] | None, label: str | None, name: str) -> tuple[list[str], str | None]:
    """The columns of text and that of labels."""
    if isinstance(columns, str):
        raise ValueError(f"columns must be a list, such as [{columns!r}], not a text")
    for column in [*(columns or ()), *([] if label is None else [label])]:
        if column not in table.columns:
            there = ", ".join(map(repr, table.columns)) or "none"
            raise ValueError(f"{name} has no column {column!r}; its columns: {there}")
    if label is None:
        label = next((one for one in LABEL_NAMES if one in table.columns and one not in (columns or ())), None)
    chosen = [column for column in table.columns if column != label] if columns is None else list(columns)
    if label in chosen:
        raise ValueError(f"{name}: the column {label!r} cannot be the label and a text")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{name}: columns must be different, not {', '.join(map(repr, chosen))}")
    if not chosen:
        there = ", ".join(map(repr, table.columns))
        raise ValueError(f"{name} has no column of text" + (f"; its columns: {there}" if there else ", and no rows"))
    return chosen, label


def _rows_without_text(table: Table, column: str, name: str, takes_lists: bool) -> list[int]:
    found = []
    for row, value in enumerate(table.columns[column]):
        if isinstance(value, str):
            if not value or value.isspace():
                found.append(row)
        elif takes_lists and isinstance(value, list | tuple) and all(isinstance(t, str | None) for t in value):
            if not value or any(is_missing(text) for text in value):
                found.append(row)
        elif is_missing(value):
            found.append(row)
        else:
            if isinstance(value, list | tuple):
                advice = "give each of several texts a column of its own, such as 'negative_1', 'negative_2'"
            elif isinstance(value, bytes):
                advice = "decode it first, for example with .decode('utf-8')"
            else:
                advice = "choose the columns of text with training_data(…, columns=[…])"
            what = f"{reprlib.repr(value)} ({type(value).__name__})"
            raise ValueError(
                f"{name}, {table.place(row)}: the column {column!r} holds {what}, which is not text; {advice}"
            )
    return found


def _labels(table: Table, label: str, classes: Sequence[str], name: str, are_lists: bool) -> Labels:
    values = table.columns[label]
    own = table.class_names.get(label, ())
    if own:
        values = [own[v] if isinstance(v, int) and 0 <= v < len(own) else None for v in values]
    try:
        return labels_of(values, classes or own, is_score=label.startswith("score"), are_lists=are_lists)
    except ValueError as error:
        raise ValueError(f"{name}, column {label!r}: {error}") from None


def _check_counts(
    table: Table, column: str, lists: Sequence[Sequence[str]], labels: NDArray[Any], wrong: Mapping[int, str], name: str
) -> None:
    for row, (texts, numbers) in enumerate(zip(lists, labels, strict=True)):
        if row not in wrong and (isinstance(texts, str) or len(texts) != len(numbers)):
            found = "one text" if isinstance(texts, str) else f"{len(texts)} texts"
            raise ValueError(
                f"{name}, {table.place(row)}: the column {column!r} holds {found}, but there are {len(numbers)} labels"
            )


def _told(table: Table, wrong: Mapping[int, str]) -> str:
    """How many rows have no text or no label, the first of them, and what to do."""
    values = {row: table.columns[wrong[row]][row] for row in sorted(wrong)[:TOLD]}
    first = ", ".join(f"{table.place(row)} ({wrong[row]!r} is {value!r})" for row, value in values.items())
    more = ", …" if len(wrong) > TOLD else ""
    have = "rows have" if len(wrong) > 1 else "rows has"
    advice = 'mend them, or leave them out with missing="skip", in the training arguments missing_rows="skip"'
    if any(value in (-1, "-1") for value in values.values()):
        advice += "; where -1 is a number and no missing class, give the labels as floats"
    return f"{len(wrong):,} of {len(table):,} {have} no text or no label: {first}{more}; {advice}"


def _warn_of_columns(columns: Sequence[str], name: str) -> None:
    """A loss goes by the order of the columns, not by their names, and takes any text for one."""
    for usual in USUAL_ORDERS:
        found = [column for column in columns if column in usual]
        expected = [column for column in usual if column in columns]
        if found != expected:
            warnings.warn(
                f"{name} has the columns {', '.join(map(repr, found))} in this order, and a loss takes them so, "
                f"whatever their names; if the other order is meant, give columns={expected!r}",
                stacklevel=3,
            )
            break
    identifiers = [column for column in columns if column == "id" or column.endswith(("_id", "_ids", "_idx"))]
    if identifiers:
        warnings.warn(
            f"{name}: {', '.join(map(repr, identifiers))} looks like no text, but is trained on as one; choose the "
            "columns of text with training_data(…, columns=[…])",
            stacklevel=3,
        )
