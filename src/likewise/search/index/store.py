"""An index on disk: a folder of LanceDB tables, and the small record that says which of them counts.

Every change of a table is one transaction of LanceDB: a new version that is there whole or not at all. The record is
written to a temporary name and renamed. So whatever is killed at any moment leaves an earlier or a later state, and
whoever reads goes on with the version that it has opened. One process writes at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.extras import extra
from likewise.files import alone, whole_file
from likewise.search.index.rows import (
    PLACE,
    IndexRow,
    arrow_field,
    arrow_table,
    base_schema,
    details,
    metadata_columns,
)

FORMAT = 1
RECORD = "index.json"
TABLES = "passages_"  # how the names of its tables begin
WIDE, NARROW = "_wide", "_narrow"  # columns while whole numbers become numbers; no metadata begin with _
LOCK = "writing.lock"
KEPT = timedelta(hours=1)  # old versions stay that long for those who still read them
MANY_FRAGMENTS = 16  # parts of a table; from here on they are joined after a change


@dataclass(frozen=True, slots=True)
class Approximation:
    """How an approximate index was built, and how much of the exact answer it finds."""

    rows: int  # in the table when it was built
    probes: int  # partitions that a search looks into
    recall: float  # of the 10 nearest by exact search
    sample: int  # searches that this was measured with


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A table that is being filled with the vectors of another model."""

    table: str
    of_version: int  # of the table that it takes the texts from: what has changed since is begun anew


@dataclass(frozen=True, slots=True)
class Record:
    """What an index is, beside its rows."""

    table: str
    model: str
    fingerprint: str
    similarity: str
    dimension: int
    paths: tuple[str, ...] = ()  # what the command line reads again for an update
    column: str | None = None  # of tables, that holds the texts; for the command line too
    tables: str | None = None  # where they are, if not in the folder of the index
    approximation: Approximation | None = None
    unfinished: Unfinished | None = None


def read_record(path: Path) -> Record:
    """The record of the index ``path``.

    Raises FileNotFoundError where there is no index, and ValueError where it is of a newer version, or damaged.
    """
    try:
        values = json.loads((path / RECORD).read_text(encoding="utf-8"))
        made_by = values.pop("format")
        if made_by == FORMAT:
            values["paths"] = tuple(values["paths"])
            for name, kind in (("approximation", Approximation), ("unfinished", Unfinished)):
                values[name] = values[name] and kind(**values[name])
            return Record(**values)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"there is no index in {path}; make one with: likewise index build PATH… -o {path}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path / RECORD} is damaged ({error!r}); build the index anew") from error
    raise ValueError(f"the index {path} was made by another version of likewise; use that one, or build it anew")


class IndexStore:
    """The tables of an index and its record; the tables may be elsewhere, by any URI that LanceDB knows."""

    def __init__(self, path: Path, tables: str | None = None):
        with extra("search", "An index on disk"):
            import lancedb
        self.path = path.absolute()  # wherever the process goes
        self._elsewhere = tables is not None
        self._connection = lancedb.connect(tables or str(self.path))

    def exists(self) -> bool:
        """Whether there is an index, whole, in the folder."""
        return (self.path / RECORD).is_file()

    def record(self) -> Record:
        """The record as it is now."""
        return read_record(self.path)

    def write_record(self, record: Record) -> None:
        """Put ``record`` in the place of the one before it, in one step."""
        with self.told(), whole_file(self.path / RECORD) as part:
            part.write_text(json.dumps({"format": FORMAT, **asdict(record)}, indent=1), encoding="utf-8")

    def table(self, name: str) -> Any:
        """The newest version of a table; it stays what it is while others write."""
        return self._connection.open_table(name)

    def create(self, record: Record) -> None:
        """Make an empty table and the record, which comes last; the lock, first, tells whose table it is.

        Raises FileExistsError where there are tables that are not of an index, or elsewhere, where there are any.
        """
        with self.told():
            there = self._connection.list_tables().tables
        if not self._elsewhere and (self.path / LOCK).exists():  # of a creation that was interrupted
            there = [name for name in there if not name.startswith(TABLES)]
        if there:
            place = record.tables if self._elsewhere else self.path
            raise FileExistsError(f"{place} holds the table {there[0]}; give the index a place of its own")
        with self._alone():
            self.create_table(record.table, base_schema(record.dimension))
            self.write_record(record)

    def create_table(self, name: str, schema: Any) -> Any:
        """An empty table; one that has this name goes."""
        with self.told():
            if name in self._connection.list_tables().tables:
                self._connection.drop_table(name)
            return self._connection.create_table(name, schema=schema)

    def drop_other_tables(self, kept: Collection[str]) -> None:
        """Remove all tables of an index but these."""
        for name in self._connection.list_tables().tables:
            if name.startswith(TABLES) and name not in kept:
                self._connection.drop_table(name)

    @contextmanager
    def writing(self) -> Iterator[Record]:
        """Keep other processes from writing; the lock of a process that was killed ends with it.

        Raises OSError where another process, or another thread, is writing.
        """
        with self._alone():
            yield self.record()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        busy = f"another process is writing to the index {self.path}; wait until it has ended, or stop it"
        with ExitStack() as stack:
            with self.told():
                stack.enter_context(alone(self.path / LOCK, busy))
            yield

    def details(self, table: Any, ids: Collection[str]) -> dict[str, tuple[object, ...]]:
        """What can change of a row, of those of ``ids`` that the table has."""
        names = ["passage_id", *PLACE, *metadata_columns(table.schema)]
        found = self._where(table, in_list("passage_id", ids), names)
        return {values["passage_id"]: details(values) for values in found.to_pylist()}

    def ids_of_sources(self, table: Any, sources: Collection[str]) -> set[str]:
        """The ids of all rows of these sources."""
        return set(self._where(table, in_list("source", sources), ["passage_id"])["passage_id"].to_pylist())

    def vectors(self, table: Any, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the rows ``ids``, in their order: (ids, dim)."""
        found = self._where(table, in_list("passage_id", ids), ["passage_id", "vector"])
        place = {own: place for place, own in enumerate(found["passage_id"].to_pylist())}
        return matrix(found["vector"])[[place[own] for own in ids]]

    def sources(self, table: Any) -> list[str]:
        """The sources that have passages, in alphabetical order."""
        return sorted(table.search(None).select(["source"]).to_arrow()["source"].unique().to_pylist())

    def change(self, table: Any, rows: Sequence[IndexRow], vectors: NDArray[np.float32], gone: Sequence[str]) -> None:
        """Put ``rows`` in, with their vectors (rows, dim), in the place of those with the same ids; take ``gone`` out.

        All in one transaction.
        """
        with self.told():
            merge = table.merge_insert("passage_id").when_matched_update_all().when_not_matched_insert_all()
            if gone:
                merge = merge.when_not_matched_by_source_delete(in_list("passage_id", gone))
            merge.execute(arrow_table(rows, vectors, table.schema))

    def append(self, table: Any, rows: Sequence[IndexRow], vectors: NDArray[np.float32]) -> None:
        """Add rows whose ids the table does not have, in one transaction."""
        with self.told():
            table.add(arrow_table(rows, vectors, table.schema))

    def fit_columns(self, table: Any, kinds: Mapping[str, str]) -> None:
        """Give the table the metadata columns ``kinds``: those that are new, empty, and numbers for whole numbers."""
        known = metadata_columns(table.schema)
        added = [arrow_field(name, kind) for name, kind in kinds.items() if name not in known]
        with self.told():
            if left_behind := [name for name in table.schema.names if name in (WIDE, NARROW)]:
                table.drop_columns(left_behind)
            for name in known:
                if kinds[name] != known[name]:
                    _widen(table, name)
            if added:
                import pyarrow as pa

                table.add_columns(pa.schema(added))

    def remove(self, table: Any, where: str) -> int:
        """Take out what the filter ``where`` is true of, in one transaction; how many rows that were."""
        with self.told():
            number: int = table.count_rows(where)
            if number:
                table.delete(where)
        return number

    def tidy(self, table: Any) -> None:
        """Join small parts, bring the full-text index up to date, and remove versions that nobody reads any more."""
        from lancedb.index import FTS

        with self.told():
            if not any(index.columns == ["passage_text"] for index in table.list_indices()):
                table.create_index("passage_text", config=FTS())
            if table.stats()["fragment_stats"]["num_fragments"] >= MANY_FRAGMENTS or _unindexed(table):
                table.optimize(cleanup_older_than=KEPT)

    def size(self) -> int:
        """The bytes of all files of the index; of tables that are elsewhere, those that count now."""
        sizes = [self.table(self.record().table).stats()["total_bytes"]] if self._elsewhere else []
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):  # another process may be tidying up
                    sizes.append((Path(folder) / name).stat().st_size)
        return sum(sizes)

    def _where(self, table: Any, where: str, names: list[str]) -> Any:
        return table.search(None).where(where).select(names).to_arrow()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Make one error, for people, of what LanceDB and the system say when they cannot write."""
        try:
            yield
        except BlockingIOError:
            raise
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"the index {self.path} could not be written: {_reason(error)}; it holds what was written before. "
                "Make room, or see to its permissions, and update it"
            ) from error


def _widen(table: Any, column: str) -> None:
    """Make whole numbers into numbers. LanceDB 0.40 does not cast them, but exchanges names in one transaction."""
    table.add_columns({WIDE: f"cast(`{column}` as double)"})
    table.alter_columns({"path": column, "rename": NARROW}, {"path": WIDE, "rename": column})
    table.drop_columns([NARROW])


def in_list(column: str, values: Collection[str]) -> str:
    """The filter that is true where ``column`` is one of ``values``."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})" if values else "false"


def whole_condition(where: str) -> str:
    """``where`` in brackets: LanceDB takes the first condition that it can read, and ignores what follows it."""
    return f"(\n{where}\n)"  # its last line may be a comment


def why_not(table: Any, where: str) -> str | None:
    """What LanceDB says of ``where`` if it is no condition on the columns of ``table``."""
    try:
        table.search(None).where(where).select(["passage_id"]).limit(1).to_arrow()
    except (ValueError, RuntimeError) as error:
        return _reason(error)
    return None


def matrix(column: Any) -> NDArray[np.float32]:
    """A column of vectors as one array (rows, dim), copied once."""
    result = np.empty((len(column), column.type.list_size), np.float32)
    start = 0
    for chunk in column.chunks:
        result[start : start + len(chunk)] = chunk.flatten().to_numpy().reshape(-1, result.shape[1])
        start += len(chunk)
    return result


def _unindexed(table: Any) -> bool:
    return any(index.num_unindexed_rows for index in table.list_indices())


def _reason(error: Exception) -> str:
    # The first line, and a condition in brackets as one; without the place in LanceDB's source.
    told = (str(error) or type(error).__name__).replace("(\n", "(").replace("\n)", ")")
    return told.split(", /")[0].splitlines()[0]
