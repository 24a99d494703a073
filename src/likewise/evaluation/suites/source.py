"""Where a task's rows come from: a file in a local folder, or data sets on the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likewise.extras import extra
from likewise.files import FilePath, read_rows

SUFFIXES = (".parquet", ".jsonl", ".csv", ".tsv")


@dataclass(frozen=True)
class HubPart:
    """A split of a data set on the Hub."""

    name: str
    split: str
    columns: Mapping[str, str]  # the name here → the name there
    config: str | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)  # columns with one value in all rows


@dataclass(frozen=True)
class Source:
    """The rows of a task."""

    file: str  # without its suffix, in the local folder: "sts/sts12_test"
    hub: Sequence[HubPart]


def read(source: Source, folder: FilePath | None, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a task, with these columns: from ``folder``, or without one from the Hub.

    Raises:
        FileNotFoundError: The folder has no such file.
        ValueError: A column is missing, or the file is broken.
        ImportError: Parquet needs the extra "data", the Hub's data sets need "train".
    """
    if folder is not None:
        return [row.values for row in read_rows(file_in(folder, source.file), columns)]
    return [row for part in source.hub for row in _hub_rows(part, columns)]


def file_in(folder: FilePath, name: str) -> Path:
    """The file that is called so in ``folder``, with one of SUFFIXES; a folder within may be named instead.

    Raises:
        FileNotFoundError: There is none.
    """
    for stem in (Path(folder, name), Path(folder, Path(name).name)):
        for suffix in SUFFIXES:
            if (path := stem.with_name(stem.name + suffix)).is_file():
                return path
    raise FileNotFoundError(f"{folder} has no {name}{SUFFIXES[0]} (nor {', '.join(SUFFIXES[1:])}); name another folder")


def hub_rows(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
    """All rows of a split of a data set on the Hub."""
    with extra("train", "Reading a data set from the Hub"):
        import datasets
    return list(datasets.load_dataset(name, config, split=split))


def _hub_rows(part: HubPart, columns: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for row in hub_rows(part.name, part.config, part.split):
        values = {ours: row[theirs] for ours, theirs in part.columns.items()} | dict(part.constants)
        rows.append({column: values[column] for column in columns})
    return rows
