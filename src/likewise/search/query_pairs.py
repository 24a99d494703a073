"""Queries with their positives, and the passages among which negatives are sought: texts, each once, by number."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.search.negatives import Rows
from likewise.tables import Table, table_of
from likewise.tokens import texts_of


@dataclass(frozen=True)
class QueryPairs:
    """Texts, each once, and which belong together."""

    anchor: str  # the column of the queries
    positive: str  # the column of their positives
    queries: list[str]
    corpus: list[str]  # every positive is in it
    positives: Rows  # (pairs, 2): numbers of query and passage, sorted by the query, each pair once
    most_positives: int  # rows with the same query, at most


def read_pairs(dataset: Any, anchor: str | None, positive: str | None, corpus: Iterable[str] | None) -> QueryPairs:
    """The texts of two columns, by default the first two, and of a ``corpus``.

    Raises:
        OSError: A file cannot be read.
        TypeError: ``dataset`` is of no known kind, or ``corpus`` holds what is no text.
        ValueError: A column is not there, or a row or an entry of the corpus has no text.
    """
    if hasattr(dataset, "select_columns") and hasattr(dataset, "__len__"):  # a datasets.Dataset: read no more of it
        names = _chosen(dataset.column_names, anchor, positive)
        table = table_of(dataset.select_columns(list(names)), "the dataset")
    else:
        table = table_of(dataset, "the dataset")
        names = _chosen(list(table.columns), anchor, positive)
    anchors, positives = (_texts(table, name) for name in names)
    if not anchors:
        raise ValueError("the dataset has no rows")
    more = [] if corpus is None else texts_of(corpus)
    for place, text in enumerate(more):
        if not text or text.isspace():
            raise ValueError(f"the corpus holds no text at position {place}; leave it out")
    query_number = {text: number for number, text in enumerate(dict.fromkeys(anchors))}
    passage_number = {text: number for number, text in enumerate(dict.fromkeys([*more, *positives]))}
    of_query = np.fromiter(map(query_number.__getitem__, anchors), np.int64, len(anchors))
    of_corpus = np.fromiter(map(passage_number.__getitem__, positives), np.int64, len(positives))
    _, first = np.unique(of_query * len(passage_number) + of_corpus, return_index=True)
    once = np.stack([of_query, of_corpus], axis=1)[np.sort(first)]
    return QueryPairs(
        *names,
        queries=list(query_number),
        corpus=list(passage_number),
        positives=once[np.argsort(once[:, 0], kind="stable")],
        most_positives=int(np.bincount(of_query).max()),
    )


def _chosen(there: Sequence[str], anchor: str | None, positive: str | None) -> tuple[str, str]:
    for name in (anchor, positive):
        if name is not None and name not in there:
            raise ValueError(f"the dataset has no column {name!r}; its columns: {', '.join(map(repr, there))}")
    if len(there) < 2:
        has = f"only {there[0]!r}" if there else "none"
        raise ValueError(f"the dataset needs a column of queries and one of their positives, but has {has}")
    chosen = (anchor or there[0], positive or there[1])
    if chosen[0] == chosen[1]:
        raise ValueError(f"queries and positives would both be {chosen[0]!r}; name both columns")
    return chosen


def _texts(table: Table, name: str) -> Sequence[str]:
    """A column, checked."""
    for row, value in enumerate(table.columns[name]):
        if not isinstance(value, str) or not value or value.isspace():
            raise ValueError(
                f"the dataset, {table.place(row)}: the column {name!r} holds {reprlib.repr(value)}, which is no text; "
                "mend the row, or leave it out"
            )
    return table.columns[name]
