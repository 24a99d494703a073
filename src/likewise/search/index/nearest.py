"""The nearest rows of one version of an index: exact in memory or by a scan, approximate in a large one.

Which way is taken was measured on 2 cores with 384 dimensions. Of 100,000 vectors (AMD Zen 5) a scan by LanceDB takes
0.13 s, reading the vectors into memory 0.9 s, a search there 0.025 s: so who asks once scans, and who asks again reads
the vectors. With the passages, an exact search takes 10 ms among 100,000 and 67 ms among 1,000,000 (AMD Zen 3), an
approximate one 10 ms and 16 ms: so from APPROXIMATE_FROM on the index is approximate, which spares the memory too. (An
IVF_SQ index of 100,000 is built in 7 s; IVF_PQ took 107 s, IVF_HNSW_SQ 95 s.)
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.search.index.rows import IndexRow, row_of
from likewise.search.index.store import Approximation, Record, matrix
from likewise.search.semantic import rounding, top_k
from likewise.similarity import SimilarityFunction, lengths

logger = logging.getLogger(__name__)

APPROXIMATE_FROM = 200_000  # rows: 300 MB of vectors of 384 dimensions, 0.05 s for an exact search in memory
SCANS = 2  # searches of the same version without reading its vectors into memory
TIED = 10  # more rows than are asked for are scored again, because LanceDB rounds in another way
REFINED = 2  # times as many rows as are asked for are found by their quantised vectors, and scored again
PROBES = (20, 40, 80, 160)  # partitions that a search looks into: the first of these that finds ENOUGH
ENOUGH = 0.98
SAMPLE = 100  # searches by which an approximate index is compared with exact search
RECALL_AT = 10
METRICS = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}  # LanceDB knows no Manhattan distance
SCANNED = METRICS | {"cosine": "dot"}  # of unit vectors; by its cosine LanceDB would not find what has no direction
READ_ROWS = 16_384  # of vectors that are compared at once where they do not stay in memory

Found = list[tuple[int, float]]  # row id of LanceDB, score; best first


@dataclass(frozen=True, slots=True)
class InMemory:
    """All vectors of a version (rows, dim), the row ids that LanceDB gives them, and the largest length."""

    vectors: NDArray[np.float32]
    ids: NDArray[np.uint64]
    longest: float


class Snapshot:
    """One version of an index. Several threads may search it."""

    def __init__(self, table: Any, record: Record):
        self.table, self.record = table, record
        self.version: int = table.version
        self._columns = [name for name in table.schema.names if name != "vector"]
        self._score = SimilarityFunction.to_similarity_fn(record.similarity)
        self._searches = 0
        self._lock = Lock()
        self._in_memory: InMemory | None = None
        self.is_approximate = record.approximation is not None and has_vector_index(table)  # may miss a near row

    def nearest(self, query: NDArray[np.float32], k: int, where: str | None) -> Found:
        """The ``k`` rows nearest to ``query`` (dim,) of those that the filter ``where`` is true of.

        Raises ValueError where the filter is none.
        """
        with self._lock:
            self._searches += 1
            often = self._searches > SCANS and where is None and not self.is_approximate
            if (often or self.record.similarity not in METRICS) and self._in_memory is None:
                self._in_memory = self._read()
        if self._in_memory is not None and (where is None or self.record.similarity not in METRICS):
            return self._from_memory(self._in_memory, query, k, where)
        probes = self.record.approximation.probes if self.is_approximate and self.record.approximation else None
        found = self._near(query, k + TIED, where, probes)
        if probes is not None and len(found) < k + TIED:
            found = self._near(query, k + TIED, where, None)  # there were few rows where it looked
        scores, places = top_k(query, matrix(found["vector"]), k, score=self._score)
        ids = found["_rowid"].to_numpy()[places[0]]
        return list(zip(ids.tolist(), scores[0].tolist(), strict=True))

    def _near(self, query: NDArray[np.float32], limit: int, where: str | None, probes: int | None) -> Any:
        """Row ids and vectors of near rows, by the approximate index, or, without ``probes``, by a scan."""
        metric = (SCANNED if probes is None else METRICS)[self.record.similarity]
        builder = self.table.search(query, vector_column_name="vector").distance_type(metric)
        builder = builder.limit(limit).with_row_id(True).select(["vector", "_distance"])
        builder = builder.bypass_vector_index() if probes is None else probing(builder, probes)
        if where is not None:
            builder = builder.where(where, prefilter=True)
        return builder.to_arrow()

    def with_words(self, query: str, k: int, where: str | None) -> list[int]:
        """The row ids of the ``k`` best by BM25, as LanceDB's full-text index has it, best first."""
        from lancedb.query import MatchQuery

        builder = self.table.search(MatchQuery(query, "passage_text"), query_type="fts").limit(k)
        if where is not None:
            builder = builder.where(where, prefilter=True)
        ids: list[int] = builder.with_row_id(True).select(["_score"]).to_arrow()["_rowid"].to_pylist()
        return ids

    def rows(self, ids: list[int]) -> list[IndexRow]:
        """The rows with these row ids, in this order."""
        if not ids:
            return []
        found = self.table.take_row_ids(ids).select(self._columns).with_row_id().to_arrow().to_pylist()
        by_id = {values["_rowid"]: row_of(values) for values in found}
        return [by_id[own] for own in ids]

    def _read(self) -> InMemory:
        found = self.table.search(None).select(["vector"]).with_row_id(True).to_arrow()
        vectors = matrix(found["vector"])
        return InMemory(vectors, found["_rowid"].to_numpy(), float(lengths(vectors).max(initial=0)))

    def _from_memory(self, kept: InMemory, query: NDArray[np.float32], k: int, where: str | None) -> Found:
        if where is not None:
            found = self.table.search(None).where(where).with_row_id(True).select(["passage_id"]).to_arrow()
            chosen = np.flatnonzero(np.isin(kept.ids, found["_rowid"].to_numpy()))
        elif self.record.similarity in ("cosine", "dot"):
            chosen = contenders(query, kept.vectors, k, kept.longest)
        else:
            chosen = np.arange(len(kept.ids))
        scores, places = top_k(query, kept.vectors[chosen], k, score=self._score)
        return list(zip(kept.ids[chosen][places[0]].tolist(), scores[0].tolist(), strict=True))


def contenders(query: NDArray[np.float32], vectors: NDArray[np.float32], k: int, longest: float) -> NDArray[np.int64]:
    """The rows of ``vectors`` (n, dim), none longer than ``longest``, that can have one of the ``k`` largest products.

    For one query a plain product with ``query`` (dim,) is five times as fast as top_k, which measures each vector.
    Its rounding is allowed for, as top_k does it (Higham 2002, section 3.1), and top_k then scores what is left; where
    the cosine counts, the vectors of an index are unit vectors.
    """
    scores = vectors @ query
    if k >= len(scores):
        return np.arange(len(scores))
    margin = rounding(len(query) + 4, longest * lengths(query))  # 4 more: top_k makes them unit vectors once more
    return np.flatnonzero(scores >= np.partition(scores, -k)[-k] - margin)


def has_vector_index(table: Any) -> bool:
    """Whether LanceDB has an approximate index of the vectors."""
    return any(index.columns == ["vector"] for index in table.list_indices())


def probing(builder: Any, probes: int) -> Any:
    """A vector search by the approximate index that looks into ``probes`` partitions.

    Given a smaller minimum than maximum, LanceDB 0.40 looks into all of them.
    """
    return builder.nprobes(probes).refine_factor(REFINED)


def approximated(table: Any, record: Record) -> Approximation | None:
    """Build an approximate index where the table is large enough and has none that fits; how good it is.

    One that was built on less than half the rows is built anew.
    """
    rows = table.count_rows()
    before = record.approximation
    if rows < APPROXIMATE_FROM or record.similarity not in METRICS:
        return before if before and has_vector_index(table) else None
    if before is not None and has_vector_index(table) and rows < 2 * before.rows:
        return before
    from lancedb.index import IvfSq

    metric = METRICS[record.similarity]
    partitions = round(math.sqrt(rows))
    try:
        table.create_index("vector", config=IvfSq(distance_type=metric, num_partitions=partitions), replace=True)
    except (OSError, RuntimeError, ValueError) as error:  # such as of vectors that are all zero
        logger.warning("no approximate index could be built, so searches stay as they were: %s", error)
        return before if before and has_vector_index(table) else None
    return measured(table, record, rows)


def measured(table: Any, record: Record, rows: int) -> Approximation:
    """The recall of the approximate index of ``table``: the share of the nearest that it finds.

    The queries are a sample of the index's own vectors; what it finds of each beside itself counts.
    """
    chosen = np.sort(np.random.default_rng(0).choice(rows, min(SAMPLE, rows), replace=False))
    queries = matrix(table.take_offsets(chosen.tolist()).select(["vector"]).to_arrow()["vector"])
    exact = exact_nearest(table, queries, RECALL_AT + 1, record.similarity)
    metric = METRICS[record.similarity]
    for probes in PROBES:
        hits = total = 0
        for query, ids in zip(queries, exact, strict=True):
            builder = table.search(query, vector_column_name="vector").distance_type(metric).limit(RECALL_AT + 1)
            found = probing(builder, probes).with_row_id(True).select(["_distance"]).to_arrow()["_rowid"].to_pylist()
            hits += len(set(found) & set(ids[1:]))
            total += len(ids) - 1
        recall = hits / max(total, 1)
        if recall >= ENOUGH:
            break
    return Approximation(rows, probes, recall, len(queries))


def exact_nearest(table: Any, queries: NDArray[np.float32], k: int, similarity: str) -> list[list[int]]:
    """The row ids of the ``k`` rows nearest to each of the ``queries`` (n, dim), all vectors read once, in parts."""
    score = SimilarityFunction.to_similarity_fn(similarity)
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    for batch in table.search(None).select(["vector"]).with_row_id(True).to_batches(READ_ROWS):
        vectors = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
        ids = batch["_rowid"].to_numpy()
        scores, places = top_k(queries, vectors, k, score=score)
        for row, (own, place) in enumerate(zip(scores, places, strict=True)):
            found = zip((-own).tolist(), ids[place].tolist(), strict=True)
            best[row] = sorted([*best[row], *found])[:k]
    return [[own for _, own in row] for row in best]
