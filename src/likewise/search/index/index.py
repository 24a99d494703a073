"""An index that a person keeps: passages, their vectors and words in a folder, searched without embedding them again.

What it holds is in LanceDB; store.py says how it stays whole, nearest.py how it is searched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from likewise.documents import Problem
from likewise.search.hybrid import reciprocal_rank_fusion
from likewise.search.index.migration import embed_again
from likewise.search.index.model import (
    EmbeddingModel,
    Rerank,
    Scorer,
    check_model,
    checked_vectors,
    dimension_of,
    embedded,
    lasting_name,
    reranked,
    table_name,
)
from likewise.search.index.nearest import Snapshot, approximated
from likewise.search.index.rows import IndexRow, PassageLike, Value, metadata_columns, row_of
from likewise.search.index.store import (
    Approximation,
    IndexStore,
    Record,
    in_list,
    matrix,
    read_record,
    whole_condition,
    why_not,
)
from likewise.search.index.writing import changes, progress_bar

AT_ONCE = 4096  # passages of one transaction: 6 MB of vectors of 384 dimensions, some seconds of embedding
CANDIDATES = 50  # passages that a re-ranker reads
RANKED = 100  # passages of each of the two rankings of hybrid search


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. ``score`` is the similarity, or that of the fusion or of the re-ranker."""

    text: str
    source: str
    line: int | None
    page: int | None
    heading: str
    score: float
    metadata: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did to how many passages."""

    added: int = 0  # embedded, so also those whose text is another one now
    moved: int = 0  # same text, but another line, page or metadata
    removed: int = 0
    unchanged: int = 0
    problems: tuple[Problem, ...] = ()  # what could not be read, of what it was given


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index is."""

    path: str
    tables: str | None  # where they are, if not there
    passages: int
    sources: int
    model: str
    fingerprint: str
    similarity: str
    dimension: int
    metadata: Mapping[str, str]  # column → "text", "whole numbers" or "numbers"
    size: int  # bytes on the disk
    approximation: Approximation | None  # None: a search is exact
    unfinished: bool  # whether the vectors of another model are being made


class Index:
    """An index in a folder; made by ``Index.create`` and ``Index.open``. Several threads may search it.

    >>> with Index.create("my.index", model) as index:
    ...     index.add(passages)
    ...     index.search("who may use the boat?", top_k=3)
    """

    def __init__(self, store: IndexStore, model: EmbeddingModel | None):
        self._store = store
        self._given = model
        self._loaded: EmbeddingModel | None = None  # by its name, where none was given
        self._lock = Lock()
        self._snapshot: Snapshot | None = None
        self._probe: Any = None  # the table, followed to its newest version

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        model: EmbeddingModel,
        paths: Sequence[str] = (),
        tables: str | None = None,
        column: str | None = None,
    ) -> Index:
        """Make an empty index in the folder ``path``. ``paths`` and ``column`` are kept for whoever reads them again.

        ``tables`` is where its tables shall be, if not in the folder: object storage, as LanceDB names it, such as
        ``s3://bucket/my.index``, with what the environment says of it. Then the folder is a few hundred bytes.

        Raises:
            ImportError: The package lancedb is missing.
            FileExistsError: There is an index, or something else.
            OSError: It cannot be written.
        """
        folder = Path(path)
        if (folder.exists() and not folder.is_dir()) or _is_foreign(folder):
            raise FileExistsError(f"{folder} is there already, and is no index; give the name of a new folder")
        store = IndexStore(folder, tables)
        if store.exists():
            raise FileExistsError(f"there is an index in {folder} already; add to it, update it, or give another name")
        folder.mkdir(parents=True, exist_ok=True)
        dimension = dimension_of(model)
        record = Record(
            table_name(model, dimension),
            lasting_name(model),
            model.fingerprint,
            str(model.similarity_fn_name),
            dimension,
            tuple(paths),
            column,
            tables,
        )
        store.create(record)
        return cls(store, model)

    @classmethod
    def open(cls, path: str | os.PathLike[str], model: EmbeddingModel | None = None) -> Index:
        """Open the index in the folder ``path``; without ``model``, its own is loaded by its name.

        Raises:
            ImportError: The package lancedb is missing.
            FileNotFoundError: There is no index.
            ValueError: It was made with another model, or by another version of likewise.
        """
        folder = Path(path)
        record = read_record(folder)
        if model is not None:
            check_model(folder, record, model)
        return cls(IndexStore(folder, record.tables), model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what it keeps in memory; it can be used again."""
        with self._lock:
            self._snapshot = self._probe = None

    # Searching

    def search(
        self,
        query: str,
        top_k: int = 10,
        where: str | None = None,
        hybrid: bool = False,
        rerank: Rerank | Scorer | None = None,
    ) -> list[Hit]:
        """The ``top_k`` passages that answer ``query`` best, best first, of those that ``where`` is true of.

        ``where`` is a condition of SQL on the columns source, line, page, heading and those of the metadata, such as
        ``year >= 2020 AND source LIKE 'notes/%'``.

        ``hybrid`` also ranks by words (BM25), and joins both rankings by reciprocal rank fusion, whose scores the hits
        then have. ``rerank`` reads the CANDIDATES best and puts them in order by its own scores: a CrossEncoder, or a
        function of the query and a list of texts.

        The result is exact up to some size of the index, and approximate from there on: ``info`` says which.

        Raises ValueError where ``where`` is no condition, ``top_k`` is less than 1, or the model is another one.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        if not isinstance(query, str):
            raise ValueError(f"the query must be one text, not {type(query).__name__}")
        depth = max(top_k, CANDIDATES) if rerank is not None else top_k
        with self._checked_condition(where):
            found = self._found(query, depth, None if where is None else whole_condition(where), hybrid)
        if rerank is not None:
            found = reranked(query, found, rerank)
        return [
            Hit(row.text, row.source, row.line, row.page, row.heading, score, row.metadata)
            for row, score in found[:top_k]
        ]

    def info(self) -> IndexInfo:
        """What the index is, as it is now."""
        record = self._store.record()
        table = self._store.table(record.table)
        return IndexInfo(
            str(self._store.path),
            record.tables,
            table.count_rows(),
            len(self._store.sources(table)),
            record.model,
            record.fingerprint,
            record.similarity,
            record.dimension,
            metadata_columns(table.schema),
            self._store.size(),
            record.approximation,
            record.unfinished is not None,
        )

    @property
    def model(self) -> EmbeddingModel:
        """What embeds its passages and questions; loaded when first used, where ``open`` was given none."""
        if self._given is not None:
            return self._given
        record = self._store.record()
        if self._loaded is None or self._loaded.fingerprint != record.fingerprint:  # embedded again meanwhile
            from likewise import SentenceTransformer  # here, for whoever hands in a model needs none

            self._loaded = SentenceTransformer(record.model)
        return self._loaded

    @property
    def paths(self) -> tuple[str, ...]:
        """What ``create`` was given to keep."""
        return self._store.record().paths

    @property
    def column(self) -> str | None:
        """What ``create`` was given to keep."""
        return self._store.record().column

    def set_paths(self, paths: Iterable[str]) -> None:
        """Keep ``paths`` instead of what was kept; OSError as in ``add``."""
        with self._store.writing() as record:
            self._store.write_record(replace(record, paths=tuple(dict.fromkeys(paths))))

    def sources(self) -> list[str]:
        """The sources that have passages, in alphabetical order."""
        return self._store.sources(self._store.table(self._store.record().table))

    def contents(self, *sources: str) -> tuple[list[IndexRow], NDArray[np.float32]]:
        """The passages of ``sources``, or all, and their vectors (passages, dim), as they are now."""
        asked = self._store.table(self._store.record().table).search(None)
        found = (asked.where(in_list("source", sources)) if sources else asked).to_arrow()
        rows = found.drop_columns(["vector"]).to_pylist()
        return [row_of(values) for values in rows], matrix(found["vector"])

    # Changing

    def add(self, passages: Iterable[PassageLike | Problem], show_progress_bar: bool = False) -> Changed:
        """Add passages. Those that are there, the same text of the same source, are not embedded again.

        AT_ONCE passages are one transaction. Whatever interrupts it leaves whole batches; adding the same again goes
        on. One process writes at a time; others may search meanwhile. A Problem among the passages, as
        ``read_documents`` gives it, is handed back.

        Raises:
            OSError: It cannot be written, as on a full disk, or another process is writing.
            ValueError: The model is another one, or metadata do not fit.
        """
        return self._change(passages, False, show_progress_bar)

    def update(
        self,
        passages: Iterable[PassageLike | Problem] | None = None,
        model: EmbeddingModel | None = None,
        show_progress_bar: bool = False,
    ) -> Changed:
        """Bring sources up to date, embedding only what changed; or embed the whole index by another ``model``.

        ``passages`` are all that their sources hold now, those of one source next to each other. Texts that are new to
        a source are embedded and added; those that it has no more are removed. Sources that no passage is from stay as
        they are, and nothing of a source with a Problem, as ``read_documents`` gives it, is removed. A source of up to
        AT_ONCE passages changes in one transaction.

        With ``model``, every passage is embedded again from the text that the index holds. The old vectors answer until
        the new ones are whole; then both change places in one step. Where this was interrupted, the same call goes on.

        Raises what ``add`` does.
        """
        if model is not None:
            embed_again(self._store, model, AT_ONCE, show_progress_bar)
            self._given = model
        if passages is None:
            return Changed()
        return self._change(passages, True, show_progress_bar)

    def remove(self, *sources: str, where: str | None = None) -> int:
        """Take out all passages of ``sources``, and those that the condition ``where`` is true of; how many they were.

        Raises ValueError where ``where`` is no condition, and what ``add`` raises.
        """
        with self._store.writing() as record, self._checked_condition(where):
            table = self._store.table(record.table)
            conditions = [in_list("source", sources)] if sources else []
            if where is not None:
                conditions.append(whole_condition(where))
            removed = self._store.remove(table, " OR ".join(conditions)) if conditions else 0
            if removed:
                self._store.tidy(table)
        return removed

    # Inside

    def _latest(self) -> Snapshot:
        with self._lock:
            record = self._store.record()
            if self._probe is None or self._probe.name != record.table:
                self._probe = self._store.table(record.table)
            self._probe.checkout_latest()
            seen = self._snapshot
            if seen is None or (seen.record, seen.version) != (record, self._probe.version):
                self._snapshot = Snapshot(self._store.table(record.table), record)
            assert self._snapshot is not None
            return self._snapshot

    def _found(self, query: str, depth: int, where: str | None, hybrid: bool) -> list[tuple[IndexRow, float]]:
        before = self._store.record().table
        try:
            return self._found_now(query, depth, where, hybrid)
        except (OSError, RuntimeError, ValueError):
            if self._store.record().table == before:
                raise
        return self._found_now(query, depth, where, hybrid)  # the table was replaced while it was searched

    def _found_now(self, query: str, depth: int, where: str | None, hybrid: bool) -> list[tuple[IndexRow, float]]:
        snapshot = self._latest()
        record = snapshot.record
        model = self.model
        check_model(self._store.path, record, model)
        vector = checked_vectors(self._store.path, record, model.encode_query([query]), ["the query"])[0]
        scored = snapshot.nearest(vector, max(depth, RANKED) if hybrid else depth, where)
        if hybrid:
            words = snapshot.with_words(query, max(depth, RANKED), where)
            scored = reciprocal_rank_fusion([[own for own, _ in scored], words])[:depth]
        rows = snapshot.rows([own for own, _ in scored])
        return [(row, score) for row, (_, score) in zip(rows, scored, strict=True)]

    @contextmanager
    def _checked_condition(self, where: str | None) -> Iterator[None]:
        """Say what is wrong with ``where`` if it was that which failed."""
        try:
            yield
        except (ValueError, OSError, RuntimeError) as error:
            table = self._store.table(self._store.record().table)
            reason = None if where is None else why_not(table, whole_condition(where))
            if reason is None:
                raise
            columns = ", ".join(["source", "line", "page", "heading", *metadata_columns(table.schema)])
            raise ValueError(f"where={where!r} is no condition on the columns {columns}: {reason}") from error

    def _change(self, passages: Iterable[PassageLike | Problem], replaces: bool, shows_progress: bool) -> Changed:
        counts, problems = Changed(), list[Problem]()
        with self._store.writing() as record, progress_bar(shows_progress, "Indexing") as bar:
            model = self.model
            check_model(self._store.path, record, model)
            table = self._store.table(record.table)
            for change in changes(self._store, table, passages, AT_ONCE, replaces, problems):
                new = embedded(self._store.path, record, change.new, model)
                old = self._store.vectors(table, [row.passage_id for row in change.moved])
                if change.moved or change.gone:
                    vectors = np.concatenate([new, old])
                    self._store.change(table, [*change.new, *change.moved], vectors, change.gone)
                elif change.new:
                    self._store.append(table, change.new, new)
                counts = Changed(
                    counts.added + len(change.new),
                    counts.moved + len(change.moved),
                    counts.removed + len(change.gone),
                    counts.unchanged + change.unchanged,
                )
                bar.update(len(change.new) + len(change.moved) + change.unchanged)
            self._finish(table, record)
        return replace(counts, problems=tuple(problems))

    def _finish(self, table: Any, record: Record) -> None:
        """What a change leaves to do: the indexes of words and vectors, and whatever an interruption left behind."""
        self._store.tidy(table)
        approximation = approximated(table, record)
        if approximation != record.approximation:
            self._store.write_record(replace(record, approximation=approximation))
        unfinished = [record.unfinished.table] if record.unfinished else []
        self._store.drop_other_tables([record.table, *unfinished])


def _is_foreign(folder: Path) -> bool:
    """Whether a folder holds anything but tables and what an interrupted ``create`` left there."""
    return folder.is_dir() and any(
        not (entry.name.endswith(".lance") or entry.name.startswith((".", "index.json", "writing.lock")))
        for entry in folder.iterdir()
    )
