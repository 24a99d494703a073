"""A run that cannot learn says so, early: one warning with the cause."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from likewise.training.objectives import Batch, Objective

FIRST_STEPS = 10  # a loss of 0 in all of these is no luck
LOOKS = (10, 50, 200, 1000)  # the steps after which embeddings are looked at
TEXTS = 32
COLLAPSED = 0.9999  # mean cosine of different texts; an untrained encoder's is below 0.99


class TrainingWarning(UserWarning):
    """A run that goes on, but will hardly learn what was meant."""


def check_data(objectives: Sequence[Objective], plan: Sequence[Batch]) -> None:
    """Warn of data that a loss cannot learn from: a wrong scale, one class only, no negatives, nobody alike."""
    for place, objective in enumerate(objectives):
        first = [batch.rows for batch in plan if batch.place == place][:50]
        cause = _wrong_labels(objective) or _wrong_batches(objective, first)
        if cause:
            name = f" on {objective.name!r}" if objective.name else ""
            _warn(f"{type(objective.loss).__name__}{name} {cause}")


class Watch:
    """Looks at the first losses of a run, and now and then at its embeddings."""

    def __init__(self) -> None:
        self.zeros = 0
        self.has_collapsed = False

    def see(self, step: int, loss: float) -> None:
        """The loss of an optimiser step; 0 in all of the first ones is told once."""
        self.zeros += loss == 0.0
        if step == FIRST_STEPS and self.zeros == FIRST_STEPS:
            _warn(
                f"the loss was 0 in all of the first {FIRST_STEPS} steps, so nothing is learnt: the task is solved "
                "already (a margin that all triplets keep, columns that are equal) or labels are missing"
            )

    def look(self, step: int, model: Any, objectives: Sequence[Objective]) -> None:
        """After some of the steps, the embeddings of a few texts; where they have become one point is told once."""
        if step not in LOOKS or self.has_collapsed:
            return
        texts = _different_texts(objectives)
        vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        others = (vectors @ vectors.T)[~np.eye(len(texts), dtype=bool)]  # cosines
        self.has_collapsed = bool(len(others)) and bool(others.mean() > COLLAPSED)
        if self.has_collapsed:
            _warn(
                f"after step {step}, the embeddings of {len(texts)} different texts are one point (mean cosine "
                f"{others.mean():.5f}): lower learning_rate, use a larger batch, or a loss with negatives"
            )


def _different_texts(objectives: Sequence[Objective]) -> list[str]:
    """A few different texts from the data of a run."""
    columns = [column for objective in objectives for column in objective.data.columns.values()]
    found = [text for column in columns for text in column[:TEXTS]]
    return list(dict.fromkeys(found))[:TEXTS]


def check_warmup(warmup: float, steps: int) -> None:
    """Warn of a learning rate that never gets up."""
    if warmup >= max(1, steps):
        _warn(f"warm-up takes {int(warmup)} steps, but the run has only {steps}: the learning rate never gets up")


def _wrong_labels(objective: Objective) -> str | None:
    labels, kind = objective.data.labels, objective.loss.needs.labels
    if labels is None or kind is None or not len(labels) or labels.dtype == object:
        return None
    low, high = float(labels.min()), float(labels.max())
    if kind == "unit" and (high > 1 or low < -1):
        by = f"divide them by {high:g}" if low >= 0 else "bring them to that scale"
        return f"is meant for similarities from 0 to 1 (or -1 to 1), but the labels go from {low:g} to {high:g}: {by}"
    if kind == "binary" and not set(np.unique(labels).tolist()) <= {0, 1}:
        return f"is meant for labels 1 (alike) and 0 (not), but the labels go from {low:g} to {high:g}"
    if low == high:
        what = "class" if kind in ("class", "binary") else "value"
        return f"finds one {what} only: all {len(labels):,} labels are {low:g}"
    return None


def _wrong_batches(objective: Objective, batches: Sequence[np.ndarray]) -> str | None:
    loss, data = objective.loss, objective.data
    if not batches:
        return None
    if loss.draws_negatives_from_batch and len(data.columns) < 3:
        columns = list(data.columns.values())
        if max(map(len, batches)) == 1:
            return "takes its negatives from the batch, but each batch has one row: raise per_device_train_batch_size"
        if all(len({columns[-1][row] for row in rows}) == 1 for rows in batches):
            return "takes its negatives from the batch, but all texts of a batch's second column are the same"
    if loss.needs.most == 1 and data.labels is not None and data.labels.ndim == 1:
        labels = data.labels
        if all(len(np.unique(labels[rows])) == len(rows) for rows in batches):
            return 'finds no two rows of one class in a batch: give batch_sampler="group_by_label"'
    return None


def _warn(message: str) -> None:
    warnings.warn(message, TrainingWarning, stacklevel=2)
