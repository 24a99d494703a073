"""What passages change in an index: compared with the rows that it has, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from likewise.documents import Problem
from likewise.search.index.rows import IndexRow, PassageLike, fitted, index_rows, metadata_columns
from likewise.search.index.store import IndexStore

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass(frozen=True, slots=True)
class Change:
    """What is one transaction."""

    new: Sequence[IndexRow]  # to embed
    moved: Sequence[IndexRow]  # their texts are there, with another line, page or metadata
    gone: Sequence[str]  # ids
    unchanged: int


def changes(
    store: IndexStore,
    table: Any,
    passages: Iterable[PassageLike | Problem],
    at_once: int,
    replaces: bool,
    problems: list[Problem],
) -> Iterator[Change]:
    """The changes that bring ``passages`` into ``table``, each of up to ``at_once`` of them.

    Where it ``replaces``, what else a source has is gone with the batch that holds the last passage of the source,
    unless there is a problem with it: what was not read may still be there. ``problems`` are gathered as they come.

    Raises ValueError where the passages of a source are then not next to each other.
    """
    rows = index_rows(_without_problems(passages, problems))
    batch = list(islice(rows, at_once))
    finished: set[str] = set()  # sources whose last passage was in an earlier batch
    earlier: set[str] = set()  # ids that earlier batches had of the source that goes on in this one
    kinds = metadata_columns(table.schema)
    while batch:
        following = list(islice(rows, at_once))
        unique = {row.passage_id: row for row in fitted(batch, kinds)}
        store.fit_columns(table, kinds)
        known = store.details(table, list(unique))
        gone: list[str] = []
        if replaces:
            ended = _ended(batch, following[0].source if following else None, finished)
            whole = ended - {problem.source for problem in problems}
            gone = sorted(store.ids_of_sources(table, whole) - unique.keys() - earlier)
            goes_on = {row.passage_id for row in batch if row.source not in ended}
            earlier = goes_on | (earlier if batch[0].source not in ended else set())
            finished |= ended
        there = [row for own, row in unique.items() if own in known]
        moved = [row for row in there if known[row.passage_id] != row.details]
        yield Change([row for own, row in unique.items() if own not in known], moved, gone, len(there) - len(moved))
        batch = following


def _without_problems(passages: Iterable[PassageLike | Problem], problems: list[Problem]) -> Iterator[PassageLike]:
    for found in passages:
        if isinstance(found, Problem):
            problems.append(found)
        else:
            yield found


def _ended(batch: Sequence[IndexRow], following: str | None, finished: set[str]) -> set[str]:
    """The sources whose last passage is in ``batch``; ``following`` is the source of the passage after it."""
    ended: set[str] = set()
    before: str | None = None
    for source in [*(row.source for row in batch), following]:
        if source == before:
            continue
        if before is not None:
            ended.add(before)
        if source in ended or source in finished:
            raise ValueError(f"the passages of {source} do not stand together; give those of one source in a row")
        before = source
    return ended


@contextmanager
def progress_bar(shows: bool, description: str) -> Iterator[tqdm[Any]]:
    """A bar that counts passages, on standard error."""
    from tqdm import tqdm

    with tqdm(desc=description, unit=" passages", unit_scale=True, disable=not shows) as bar:
        yield bar
