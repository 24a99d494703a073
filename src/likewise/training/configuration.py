"""What ``likewise train`` is told, by a TOML file or by flags: checked key by key before anything is loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from likewise.checkpoint.values import about, shortened
from likewise.files import FilePath
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.named_losses import check_loss
from likewise.training.plain_values import check_kind, check_names

FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")
TELLING: Mapping[str, Any] = {"logging_steps": 0.02, "save_steps": 0.1, "save_total_limit": 2}
EVALUATING: Mapping[str, Any] = {"eval_strategy": "steps", "eval_steps": 0.1, "eval_on_start": True}
Table = TypeVar("Table")


@dataclass(frozen=True)
class DataSource:
    """An ``[evaluation]`` table: rows in a file, or in a data set on the Hub."""

    path: str  # of a file, or the name of a data set
    columns: Sequence[str] | None = None  # of text, in the order in which they are taken; by default all
    label: str | None = None  # its column; by default one called label, labels, score or scores
    name: str | None = None  # by default that of the file, without its suffix
    subset: str | None = None  # of a data set on the Hub
    split: str | None = None  # of a data set on the Hub

    @property
    def is_file(self) -> bool:
        """Whether ``path`` is one, rather than a name on the Hub."""
        return Path(self.path).suffix.lower() in FILE_SUFFIXES or Path(self.path).is_file()

    @property
    def title(self) -> str:
        """What messages, scores and the model card call it."""
        return self.name or Path(self.path).stem


@dataclass(frozen=True, kw_only=True)
class TrainingSource(DataSource):
    """A ``[[data]]`` table: what is trained on, and the loss."""

    loss: str
    loss_arguments: Mapping[str, Any] = field(default_factory=dict)
    label_scale: float | None = None  # labels are divided by it


@dataclass(frozen=True)
class Configuration:
    """A run: all that the file, or the flags, say."""

    model: str
    output: str
    data: Sequence[TrainingSource]
    evaluation: Sequence[DataSource] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of SentenceTransformerTrainingArguments

    def training_arguments(self, best: str | None = None) -> SentenceTransformerTrainingArguments:
        """The settings of the trainer: those given, and for what is told and kept, the command's own defaults.

        The command logs each fiftieth of the run, and keeps the two newest checkpoints of each tenth. With something
        to evaluate, it does so before the first step and at each checkpoint, and the best model by ``best`` stays.
        """
        settings: dict[str, Any] = {**TELLING, **(EVALUATING if self.evaluation else {}), **self.arguments}
        if self.evaluation and not {"save_strategy", "save_steps"} & set(self.arguments):
            strategy = settings["eval_strategy"]
            settings |= {"save_strategy": strategy, "save_steps": settings["eval_steps"]} if strategy != "no" else {}
            settings.setdefault("load_best_model_at_end", strategy != "no")
        if settings.get("load_best_model_at_end") and best is not None:
            settings.setdefault("metric_for_best_model", best)
        try:
            return SentenceTransformerTrainingArguments(output_dir=self.output, **settings)
        except TypeError as error:
            raise ValueError(f"[arguments]: {error}") from error


def read_configuration(path: FilePath, others: Mapping[str, Any] | None = None) -> Configuration:
    """The run that the TOML file ``path`` describes; ``others``, laid out in the same way, go before its values.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no TOML, or a key is unknown, missing or of the wrong kind; the message names file and key.
    """
    with about(path):
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        others = dict(others or {})
        if isinstance(given := values.get("arguments", {}), Mapping):
            others["arguments"] = {**given, **others.get("arguments", {})}
        return configuration_of({**values, **others})


def configuration_of(values: Mapping[str, Any]) -> Configuration:
    """The run that ``values`` describe, laid out as the file is.

    Raises:
        ValueError: A key is unknown, missing or of the wrong kind.
    """
    top = _checked(Configuration, values, "the file", ("data", "evaluation"))
    tables = top.pop("data", [])
    if not isinstance(tables, list) or not tables:
        raise ValueError("there is nothing to train on; write a table [[data]], with the keys path and loss")
    data = [TrainingSource(**_checked(TrainingSource, table, "[[data]]")) for table in tables]
    for source in data:
        check_loss(source.loss, source.loss_arguments)
    tables = top.pop("evaluation", [])
    tables = tables if isinstance(tables, list) else [tables]
    evaluation = [DataSource(**_checked(DataSource, table, "[evaluation]")) for table in tables]
    for sources in (data, evaluation):
        _check_sources(sources)
    _check_arguments(top.get("arguments", {}))
    made = Configuration(**top, data=data, evaluation=evaluation)
    made.training_arguments()
    return made


def _checked(kind: type[Any], table: Any, place: str, unchecked: Sequence[str] = ()) -> dict[str, Any]:
    """The entries of a table, each of which is a field of ``kind``."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{place} must be a table, not {shortened(table)}")
    known = {one.name: one for one in fields(kind)}
    check_names(table, known, place)
    for name, value in table.items():
        if name not in unchecked:
            check_kind(f"{name} in {place}", value, str(known[name].type))
    for one in known.values():
        needed = one.default is MISSING and one.default_factory is MISSING and one.name not in unchecked
        if needed and one.name not in table:
            raise ValueError(f"{place} lacks the key {one.name!r}; the keys: {', '.join(known)}")
    return dict(table)


def _check_sources(sources: Sequence[DataSource]) -> None:
    titles = [source.title for source in sources]
    for source in sources:
        if titles.count(source.title) > 1:
            raise ValueError(f"two tables are called {source.title!r}; give each a name of its own")
        if source.is_file and (source.subset or source.split):
            raise ValueError(f"{source.path} is a file; subset and split are of data sets on the Hub")
        if isinstance(source, TrainingSource) and source.label_scale is not None and source.label_scale <= 0:
            raise ValueError(f"label_scale must be above 0, not {source.label_scale}: labels are divided by it")


def _check_arguments(given: Mapping[str, Any]) -> None:
    """Refuse values of another kind; the names are checked where the arguments are made."""
    if "output_dir" in given:
        raise ValueError("[arguments] has output_dir; write output, at the top, instead")
    known = {one.name: one for one in fields(SentenceTransformerTrainingArguments)}
    for name, value in given.items():
        if name in known:
            check_kind(f"{name} in [arguments]", value, str(known[name].type))
