"""What the model card says of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from likewise.checkpoint.model_card import DataSet, Score, TrainingFacts
from likewise.losses.loss import Loss
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.objectives import Objective

# Settings that say where and how often something is told, not what is learnt.
LEFT_OUT = (
    "warmup_ratio",
    "output_dir",
    "hub_token",
    "hub_model_id",
    "run_name",
    "project",
    "resume_from_checkpoint",
    "disable_tqdm",
)


def training_facts(objectives: Sequence[Objective], args: SentenceTransformerTrainingArguments) -> TrainingFacts:
    """The data sets, the losses with their arguments, and the settings that are not the defaults."""
    data = [DataSet(objective.name or "training data", len(objective.data)) for objective in objectives]
    losses = [
        f"{objective.name}: {described(objective.loss)}" if objective.name else described(objective.loss)
        for objective in objectives
    ]
    settings: dict[str, Any] = {}
    for field in fields(args):
        value = getattr(args, field.name)
        if field.name not in LEFT_OUT and value not in (field.default, None):
            settings[field.name] = value if isinstance(value, str | int | float | bool) else str(value)
    for name in ("per_device_train_batch_size", "num_train_epochs", "learning_rate", "seed"):
        settings.setdefault(name, getattr(args, name))
    return TrainingFacts(data, "; ".join(dict.fromkeys(losses)), settings)


def described(loss: Loss) -> str:
    """A loss as one would write it: ``TripletLoss(triplet_margin=5)``."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in loss.get_config_dict().items())
    return f"{type(loss).__name__}({arguments})"


def scores_of(evaluator: Any, scores: Mapping[str, float]) -> list[Score]:
    """What an evaluator, or several, found, for the card: the primary metric of each."""
    found = []
    for one in _each(evaluator):
        metric = getattr(one, "primary_metric", None)
        if metric is not None and metric in scores:
            name = getattr(one, "name", "") or type(one).__name__
            found.append(Score(DataSet(name), metric.removeprefix(f"{name}_"), float(scores[metric])))
    return found


def _each(evaluator: Any) -> Iterator[Any]:
    if isinstance(evaluator, list | tuple):
        for one in evaluator:
            yield from _each(one)
    elif hasattr(evaluator, "evaluators"):
        yield from _each(list(evaluator.evaluators))
    elif evaluator is not None:
        yield evaluator
