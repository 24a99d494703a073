"""A configuration → the trainer, with its model, data, losses and evaluators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from likewise.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    SentenceEvaluator,
    TripletEvaluator,
)
from likewise.extras import extra
from likewise.sentence_transformer import SentenceTransformer
from likewise.training.configuration import Configuration, DataSource, TrainingSource
from likewise.training.data import TrainingData, training_data
from likewise.training.named_losses import named_loss
from likewise.training.trainer import SentenceTransformerTrainer

Missing = Literal["error", "skip"]


def trainer_of(configuration: Configuration, callbacks: Sequence[Any] = ()) -> SentenceTransformerTrainer:
    """The trainer that ``configuration`` describes; the data are read first, for a mistake in them is told soonest.

    Raises:
        OSError: A file, a data set or the model is not there.
        ValueError: Data, losses or arguments do not fit each other.
        ImportError: The extra "train" is not installed.
    """
    missing = configuration.training_arguments().missing_rows
    data = {source.title: rows_of(source, missing) for source in configuration.data}
    held_out = [(source, rows_of(source, missing, "validation")) for source in configuration.evaluation]
    model = SentenceTransformer(configuration.model)
    evaluators = [evaluator_of(source, rows, model) for source, rows in held_out]
    losses = {
        source.title: named_loss(model, source.loss, source.loss_arguments, data[source.title])
        for source in configuration.data
    }
    return SentenceTransformerTrainer(
        model,
        configuration.training_arguments(evaluators[0].primary_metric if evaluators else None),
        data,
        loss=losses,
        evaluator=evaluators[0] if len(evaluators) == 1 else evaluators or None,
        callbacks=callbacks,
    )


def rows_of(source: DataSource, missing: Missing, split: str = "train") -> TrainingData:
    """The rows of a file, or of a data set on the Hub, of which ``split`` is read unless the source names one."""
    found: Any = source.path
    if not source.is_file:
        with extra("train", "Reading a data set from the Hub"):
            import datasets
        found = datasets.load_dataset(source.path, source.subset, split=source.split or split)
    data = training_data(found, columns=source.columns, label=source.label, missing=missing, name=source.path)
    if isinstance(source, TrainingSource) and source.label_scale is not None:
        if data.labels is None or data.classes:
            raise ValueError(
                f"{source.path} has {'classes' if data.classes else 'no labels'}, but label_scale is given"
            )
        data = replace(data, labels=(data.labels / source.label_scale).astype(np.float32))
    return data


def evaluator_of(source: DataSource, data: TrainingData, model: SentenceTransformer) -> SentenceEvaluator:
    """What measures ``model`` on the rows of a source: on pairs with scores, on pairs with 0 or 1, or on triplets.

    Raises:
        ValueError: The columns are none of these.
    """
    texts, labels = list(data.columns.values()), data.labels
    settings: dict[str, Any] = {"name": source.title, "similarity_fn_names": [model.similarity_fn_name]}
    if len(texts) == 3 and labels is None:
        return TripletEvaluator(texts[0], texts[1], texts[2], **settings)
    if len(texts) == 2 and labels is not None and labels.ndim == 1 and not data.classes:
        if labels.dtype == np.int64 and set(np.unique(labels)) == {0, 1}:
            return BinaryClassificationEvaluator(texts[0], texts[1], labels, **settings)
        return EmbeddingSimilarityEvaluator(texts[0], texts[1], labels, **settings)
    label = "no label" if data.label_name is None else f"the label {data.label_name}"
    raise ValueError(
        f"{source.path} cannot be evaluated with the columns {', '.join(data.columns)} and {label}; choose two columns "
        "of text and a label that is a number, or three columns (anchor, positive, negative) without a label"
    )
