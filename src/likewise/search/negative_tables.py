"""Mined negatives as Arrow tables of texts, in the forms that losses take; pyarrow is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likewise.search.negatives import Negatives, Rows

if TYPE_CHECKING:
    import pyarrow as pa

Columns: TypeAlias = dict[str, Any]  # name → Arrow array


class NegativeTexts:
    """The texts behind the row numbers, and what the columns of queries and passages are called."""

    def __init__(self, queries: Sequence[str], corpus: Sequence[str], anchor: str, positive: str):
        import pyarrow as pa

        self.anchor, self.positive = anchor, positive
        self._queries, self._corpus = pa.array(queries, pa.large_string()), pa.array(corpus, pa.large_string())

    def queries(self, rows: Rows) -> pa.StringArray:
        """The texts of these queries."""
        return self._queries.take(rows).cast("string")  # which datasets takes for text everywhere

    def passages(self, rows: Rows) -> pa.StringArray:
        """The texts of these rows of the corpus."""
        return self._corpus.take(rows).cast("string")


@dataclass(frozen=True)
class NegativeFormat:
    """A form of the rows."""

    columns: Callable[[Negatives, NegativeTexts, bool], Columns]  # the bool: with scores
    added: Callable[[int, bool], list[str]]  # number of negatives, with scores → the columns beside the first two
    least: Callable[[int], int]  # number of negatives → how many a query needs for a row of its own


def table_of_negatives(
    negatives: Negatives, texts: NegativeTexts, output_format: NegativeFormat, output_scores: bool
) -> pa.Table:
    """The rows of a block of queries."""
    import pyarrow as pa

    return pa.table(output_format.columns(negatives, texts, output_scores))


def _triplets(found: Negatives, texts: NegativeTexts, output_scores: bool) -> Columns:
    """A row for each positive and negative of a query."""
    of_query = found.positives[:, 0] - found.first
    pair, place = np.nonzero(found.is_found[of_query])
    columns = _pair_columns(found, texts, pair)
    columns["negative"] = texts.passages(found.indices[of_query[pair], place])
    if output_scores:
        scores = [found.positive_scores[pair], found.scores[of_query[pair], place]]
        columns["scores"] = _lists(np.stack(scores, axis=1).ravel(), np.full(len(pair), 2))
    return columns


def _tuples(found: Negatives, texts: NegativeTexts, output_scores: bool) -> Columns:
    """A row for each positive of a query that has all its negatives."""
    of_query = found.positives[:, 0] - found.first
    pair = np.flatnonzero(np.all(found.is_found[of_query], axis=1))
    columns = _pair_columns(found, texts, pair)
    for number, indices in enumerate(found.indices[of_query[pair]].T, start=1):
        columns[f"negative_{number}"] = texts.passages(indices)
    if output_scores:
        scores = np.column_stack([found.positive_scores[pair], found.scores[of_query[pair]]])
        columns["scores"] = _lists(scores.ravel(), np.full(len(pair), scores.shape[1]))
    return columns


def _labelled_pairs(found: Negatives, texts: NegativeTexts, output_scores: bool) -> Columns:
    """A row for each passage of a query, its positives first."""
    rows, places = np.nonzero(found.is_found)
    of_query = np.concatenate([found.positives[:, 0], rows + found.first])
    passages = np.concatenate([found.positives[:, 1], found.indices[rows, places]])
    scores = np.concatenate([found.positive_scores, found.scores[rows, places]])
    labels = np.concatenate([np.ones(len(found.positives), np.int64), np.zeros(len(rows), np.int64)])
    order = np.argsort(of_query, kind="stable")
    columns = {texts.anchor: texts.queries(of_query[order]), texts.positive: texts.passages(passages[order])}
    return columns | ({"score": _numbers(scores[order])} if output_scores else {"label": _numbers(labels[order])})


def _labelled_lists(found: Negatives, texts: NegativeTexts, output_scores: bool) -> Columns:
    """A row for each positive of a query that has negatives: the positive and the negatives in one list."""
    of_query = found.positives[:, 0] - found.first
    pair = np.flatnonzero(np.any(found.is_found[of_query], axis=1))
    passages = np.column_stack([found.positives[pair, 1], found.indices[of_query[pair]]])
    scores = np.column_stack([found.positive_scores[pair], found.scores[of_query[pair]]])
    labels = np.zeros(passages.shape, np.int64)
    labels[:, 0] = 1
    is_there = passages >= 0
    lengths = is_there.sum(axis=1)
    columns = {
        texts.anchor: texts.queries(found.positives[pair, 0]),
        texts.positive: _lists(texts.passages(passages[is_there]), lengths),
    }
    if output_scores:
        return columns | {"scores": _lists(scores[is_there], lengths)}
    return columns | {"labels": _lists(labels[is_there], lengths)}


def _pair_columns(found: Negatives, texts: NegativeTexts, pair: Rows) -> Columns:
    of_query, of_corpus = found.positives[pair].T
    return {texts.anchor: texts.queries(of_query), texts.positive: texts.passages(of_corpus)}


def _numbers(values: NDArray[Any]) -> pa.Array:
    """Scores as float64, labels as int64, which is what datasets makes of numbers in Python."""
    import pyarrow as pa

    return pa.array(values.astype(np.float64) if values.dtype.kind == "f" else values)


def _lists(values: Any, lengths: Rows) -> pa.ListArray:
    """Values end to end, cut into lists of these lengths."""
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, _numbers(values) if isinstance(values, np.ndarray) else values)


def _numbered(negatives: int, output_scores: bool) -> list[str]:
    return [f"negative_{number}" for number in range(1, negatives + 1)] + ["scores"] * output_scores


FORMATS = {
    "triplet": NegativeFormat(_triplets, lambda _, scores: ["negative"] + ["scores"] * scores, lambda _: 1),
    "n-tuple": NegativeFormat(_tuples, _numbered, lambda negatives: negatives),
    "labeled-pair": NegativeFormat(_labelled_pairs, lambda _, scores: ["score" if scores else "label"], lambda _: 0),
    "labeled-list": NegativeFormat(_labelled_lists, lambda _, scores: ["scores" if scores else "labels"], lambda _: 1),
}
