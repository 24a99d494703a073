"""Which rows of a data set stand together in a batch, and in which order: a pure function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.training.data import TrainingData

Rows = NDArray[np.int64]

SORTED_TOGETHER = 100  # batches: of so many, the rows are sorted by length; fewer mix better, more fit better


class _Choice(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{value!r} is none of {', '.join(cls)}")


class BatchSamplers(_Choice):
    """How rows come into batches."""

    BATCH_SAMPLER = "batch_sampler"  # as they are shuffled
    NO_DUPLICATES = "no_duplicates"  # no text occurs in two rows of a batch: for losses with negatives from the batch
    NO_DUPLICATES_HASHED = "no_duplicates_hashed"  # the same
    GROUP_BY_LABEL = "group_by_label"  # at least two rows of each label of a batch: for triplets found in the batch
    GROUP_BY_LENGTH = "group_by_length"  # texts of similar length: not for losses with negatives from the batch


class MultiDatasetBatchSamplers(_Choice):
    """In which order the batches of several data sets come."""

    PROPORTIONAL = "proportional"  # all batches of all data sets, shuffled
    ROUND_ROBIN = "round_robin"  # one of each in turn, until one data set has no more


def batches(
    sampler: BatchSamplers | str,
    data: TrainingData,
    batch_size: int,
    seed: int,
    epoch: int,
    drop_last: bool = False,
    lengths: NDArray[np.int32] | None = None,
) -> list[Rows]:
    """The rows of each batch of an epoch, in order.

    ``drop_last`` leaves out batches of fewer than ``batch_size`` rows. ``lengths`` (rows,), in tokens, is what
    GROUP_BY_LENGTH goes by. GROUP_BY_LABEL leaves out what it finds no partner for, as the incumbent does: the odd row
    of a label, and what is left of the most frequent label when all others are used.

    Raises:
        ValueError: The sampler is not known, or the data has not what it goes by.
    """
    sampler = BatchSamplers(sampler)
    generator = torch.Generator().manual_seed(order_seed(seed, epoch))
    if sampler == BatchSamplers.GROUP_BY_LABEL:
        return _by_label(data, batch_size, drop_last, generator)
    order: Rows = torch.randperm(len(data), generator=generator).numpy()
    if sampler in (BatchSamplers.NO_DUPLICATES, BatchSamplers.NO_DUPLICATES_HASHED):
        found = _without_duplicates(data.text_ids, order, batch_size)
    elif sampler == BatchSamplers.GROUP_BY_LENGTH:
        if lengths is None:
            raise ValueError("batch_sampler='group_by_length' needs the length of each row in tokens")
        found = _by_length(order, lengths, batch_size, generator)
    else:
        found = _cut(order, batch_size)
    return [rows for rows in found if len(rows) == batch_size] if drop_last else found


def interleaved(counts: Sequence[int], strategy: MultiDatasetBatchSamplers | str, seed: int, epoch: int) -> Rows:
    """Which data set each step of an epoch draws its next batch from, where each has ``counts`` batches: (steps,)."""
    if MultiDatasetBatchSamplers(strategy) == MultiDatasetBatchSamplers.ROUND_ROBIN:
        return np.tile(np.arange(len(counts)), min(counts))
    each = np.repeat(np.arange(len(counts)), counts)
    generator = torch.Generator().manual_seed(order_seed(seed, epoch))
    shuffled: Rows = each[torch.randperm(len(each), generator=generator).numpy()]
    return shuffled


def order_seed(seed: int, epoch: int) -> int:
    """What the order of an epoch is drawn from: as sentence-transformers', so that its runs can be compared."""
    return seed + epoch


def _cut(order: Rows, batch_size: int) -> list[Rows]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _without_duplicates(text_ids: NDArray[np.int64], order: Rows, batch_size: int) -> list[Rows]:
    """First fit: each row in turn comes into the first batch that has room and none of its texts.

    ``text_ids`` (columns, rows) holds a number for each different text. Two things keep this near to linear: batches
    that are full are skipped by a union-find forest, and for each text it is kept up to which batch all are full or
    hold it, for that only grows.
    """
    is_repeated = np.bincount(text_ids.ravel())[text_ids] > 1  # (columns, rows)
    can_conflict = np.logical_or.reduce(is_repeated[:, order])  # (rows,)
    repeated = np.where(is_repeated, text_ids, -1)[:, order].T.tolist()  # the texts that can conflict, by row
    sizes = [0] * len(order)  # rows in each batch
    following = list(range(len(order) + 1))  # the batch itself while it has room, else one after it
    held: set[int] = set()  # which text is in which batch, as text * rows + batch
    tried = [0] * (int(text_ids.max()) + 1)  # for each text: no batch before this one takes it any more

    def with_room(batch: int) -> int:
        while following[batch] != batch:
            following[batch] = following[following[batch]]
            batch = following[batch]
        return batch

    first, chosen = 0, []
    for texts, is_shared in zip(repeated, can_conflict.tolist(), strict=True):
        if not is_shared:
            first = batch = with_room(first)
        else:
            keys = []
            batch = 0
            for text in texts:
                if text >= 0:
                    key = text * len(order)
                    candidate = with_room(tried[text])
                    while key + candidate in held:
                        candidate = with_room(candidate + 1)
                    tried[text] = candidate
                    batch = max(batch, candidate)
                    keys.append(key)
            while any(key + batch in held for key in keys):
                batch = with_room(batch + 1)
            held.update(key + batch for key in keys)
        chosen.append(batch)
        sizes[batch] += 1
        if sizes[batch] == batch_size:
            following[batch] = batch + 1
    ends = np.cumsum(np.bincount(chosen)).tolist()
    rows = order[np.argsort(chosen, kind="stable")]
    return [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _by_label(data: TrainingData, batch_size: int, drop_last: bool, generator: torch.Generator) -> list[Rows]:
    """Labels take turns with two rows each, in a new order each round, while two labels or more have rows left."""
    labels = data.labels
    if labels is None or labels.ndim != 1:
        raise ValueError("batch_sampler='group_by_label' needs one label for each row")
    if batch_size < 4 or batch_size % 2:
        raise ValueError(f"batch_sampler='group_by_label' needs an even batch size of 4 or more, not {batch_size}")
    order = torch.randperm(len(labels), generator=generator).numpy()
    order = order[np.argsort(labels[order], kind="stable")]  # shuffled within each label
    _, counts = np.unique(labels, return_counts=True)
    pairs = counts // 2  # of each label
    if (pairs > 0).sum() < 2:
        raise ValueError(
            f"batch_sampler='group_by_label' needs two labels or more with two rows each, not {(pairs > 0).sum()}"
        )
    rounds = np.concatenate([np.arange(count) for count in pairs])  # (pairs,)
    label = np.repeat(np.arange(len(pairs)), pairs)
    first_rows = np.repeat(np.cumsum(counts) - counts, pairs) + 2 * rounds
    turn = np.lexsort((torch.randperm(len(rounds), generator=generator).numpy(), rounds))
    turn = turn[rounds[turn] < np.sort(pairs)[-2]]  # then one label is left alone
    starts = np.flatnonzero(np.diff(rounds[turn])) + 1  # of every round but the first
    turn, label_of = turn.tolist(), label.tolist()
    for start in starts.tolist():
        if label_of[turn[start]] == label_of[turn[start - 1]]:  # a batch of these two pairs would have one label
            turn[start], turn[start + 1] = turn[start + 1], turn[start]
    places = first_rows[turn]
    rows = order[np.stack([places, places + 1], axis=1).ravel()]
    smallest = batch_size if drop_last else 4
    return [batch for batch in _cut(rows, batch_size) if len(batch) >= smallest]


def _by_length(order: Rows, lengths: NDArray[np.int32], batch_size: int, generator: torch.Generator) -> list[Rows]:
    """Rows of similar length together, these batches shuffled; the rows left over come last."""
    whole = len(order) // batch_size * batch_size
    found: list[Rows] = []
    for part in _cut(order[:whole], SORTED_TOGETHER * batch_size):
        found += _cut(part[np.argsort(lengths[part], kind="stable")], batch_size)
    shuffled = [found[place] for place in torch.randperm(len(found), generator=generator).tolist()]
    return shuffled + ([order[whole:]] if whole < len(order) else [])
