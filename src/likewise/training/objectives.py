"""The data sets of a run, each with its loss, and the batches that an epoch draws from them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.losses.columns import AnyColumn
from likewise.losses.loss import Loss
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.data import TrainingData, training_data
from likewise.training.samplers import BatchSamplers, batches, interleaved
from likewise.training.tokenized import TokenizedData, tokenized_data

if TYPE_CHECKING:
    from likewise.model import Model

LossOf = Loss | Callable[[Any], Loss]  # a loss, or what makes one for a model


@dataclass(frozen=True)
class Objective:
    """A data set, tokenised, and the loss that it is trained with."""

    name: str  # of the data set; "" where it is the only one
    data: TrainingData
    tokens: TokenizedData
    loss: Loss

    def batch(self, rows: NDArray[np.int64]) -> tuple[list[AnyColumn], Tensor | list[NDArray[np.float32]] | None]:
        """The columns and the labels of these rows; of lists of texts, a list of labels for each row."""
        labels = None if self.data.labels is None else self.data.labels[rows]
        if labels is None or labels.dtype == object:
            return self.tokens.columns_of(rows), None if labels is None else list(labels)
        return self.tokens.columns_of(rows), torch.from_numpy(labels)


class Losses(nn.Module):
    """The losses of a run as one module, so that several processes share all gradients at once."""

    def __init__(self, losses: Sequence[Loss]):
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, place: int, columns: Sequence[AnyColumn], labels: Any) -> Tensor:
        """The loss of one batch of the objective at ``place``: a scalar."""
        value: Tensor = self.losses[place](columns, labels)
        return value


@dataclass(frozen=True)
class Batch:
    """Rows of one objective that a loss sees together."""

    place: int  # of the objective
    rows: NDArray[np.int64]


def objectives_of(
    model: Model,
    source: object,
    losses: Loss | Mapping[str, Loss],
    args: SentenceTransformerTrainingArguments,
    classes: Mapping[str, Sequence[str]] | None = None,
) -> list[Objective]:
    """One objective for each data set of ``source``, which is one or a mapping of several by name.

    ``classes`` fixes, by data set, which class is which number.

    Raises:
        ValueError: A data set has no loss, or not the columns that its loss needs.
    """
    found = []
    for name, one in named_data_sets(source).items():
        loss = _loss_of(losses, name)
        title = f"the data set {name!r}" if name else "the training data"
        known = (classes or {}).get(name, ())
        data = training_data(one, missing=args.missing_rows, classes=known, name=title, takes_lists=loss.takes_lists)
        if data.skipped:
            warnings.warn(f"{title}: {data.skipped:,} rows without a text or a label are left out", stacklevel=3)
        loss.check_columns(len(data.columns), data.labels is not None, list(data.columns))
        prompts, tasks = _of_data_set(args.prompts, name, data), _of_data_set(args.router_mapping, name, data)
        tokens = tokenized_data(model, data, prompts, None if isinstance(tasks, str) else tasks, args.tokens_cache)
        found.append(Objective(name, data, tokens, loss))
    return found


def named_data_sets(source: object) -> dict[str, Any]:
    """The data sets of ``source`` by name; one by itself is called ""."""
    if isinstance(source, Mapping) and source and not _is_column(next(iter(source.values()))):
        return dict(source)
    return {"": source}


def epoch_plan(
    objectives: Sequence[Objective],
    args: SentenceTransformerTrainingArguments,
    epoch: int,
    processes: int = 1,
    process: int = 0,
) -> list[Batch]:
    """The batches that one process computes in an epoch, in order: a pure function of the seed and the epoch.

    With several processes each takes every so many-th batch, and what is left over is not seen in this epoch, for they
    must take the same number of equally large batches.
    """
    seed = args.seed if args.data_seed is None else args.data_seed
    drop_last = args.dataloader_drop_last or processes > 1
    own: list[list[NDArray[np.int64]]] = []
    for objective in objectives:
        sampler = BatchSamplers(args.batch_sampler)
        if sampler == BatchSamplers.GROUP_BY_LENGTH and objective.loss.draws_negatives_from_batch:
            sampler = BatchSamplers.BATCH_SAMPLER  # texts of one length are easy to tell from all others
        found = batches(
            sampler, objective.data, args.per_device_train_batch_size, seed, epoch, drop_last, objective.tokens.lengths
        )
        own.append(found[process : len(found) // processes * processes : processes])
    if len(own) == 1:
        return [Batch(0, rows) for rows in own[0]]
    turns = [iter(found) for found in own]
    order = interleaved([len(found) for found in own], args.multi_dataset_batch_sampler, seed, epoch)
    return [Batch(int(place), next(turns[place])) for place in order]


def updates_of_epochs(args: SentenceTransformerTrainingArguments, batches_of: Callable[[int], int]) -> list[int]:
    """The optimiser steps of each epoch, the last one cut where max_steps or a part of an epoch ends it.

    ``batches_of`` tells how many batches an epoch has.
    """

    def updates(epoch: int) -> int:
        return -(-batches_of(epoch) // args.gradient_accumulation_steps)

    found: list[int] = []
    if args.max_steps > 0:
        while sum(found) < args.max_steps:
            found.append(min(updates(len(found)), args.max_steps - sum(found)))
        return found
    whole, part = divmod(args.num_train_epochs, 1)
    found = [updates(epoch) for epoch in range(int(whole))]
    return found + ([math.ceil(updates(int(whole)) * part)] if part else [])


def _loss_of(losses: Loss | Mapping[str, Loss], name: str) -> Loss:
    """The loss of one data set."""
    if not isinstance(losses, Mapping):
        return losses
    if name not in losses:
        there = ", ".join(map(repr, losses))
        raise ValueError(f"there is no loss for the data set {name!r}; there are some for {there}")
    return losses[name]


def _of_data_set(given: Any, name: str, data: TrainingData) -> Any:
    """What ``given`` holds for one data set: for all, by data set, by column, or by data set and column."""
    if isinstance(given, Mapping) and name and (name in given or not set(given) & set(data.columns)):
        return given.get(name)
    return given


def _is_column(value: object) -> bool:
    """Whether a value of a mapping is a column of one data set rather than a whole data set."""
    if hasattr(value, "column_names") or hasattr(value, "columns") or isinstance(value, Mapping | str | PathLike):
        return False
    first = next(iter(value), "") if isinstance(value, Sequence) else ""
    return not isinstance(first, Mapping | tuple | list) and not hasattr(first, "texts")  # rows: of a list of them
