"""How good the model is in the middle of a run: the loss on held-out data, and evaluators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from likewise.evaluation.evaluator import SentenceEvaluator, write_scores
from likewise.evaluation.sequential import SequentialEvaluator
from likewise.training.objectives import Losses, Objective

if TYPE_CHECKING:
    from accelerate import Accelerator

    from likewise.model import Model


def evaluation_loss(
    losses: Losses, objectives: Sequence[Objective], batch_size: int, accelerator: Accelerator
) -> dict[str, float]:
    """The mean loss over the rows of each objective, in batches as they stand: "loss", or "NAME_loss" for several."""
    found = {}
    losses.eval()
    for place, objective in enumerate(objectives):
        starts = range(0, len(objective.data), batch_size)
        total = torch.zeros(2, dtype=torch.float64, device=accelerator.device)  # the sum of losses, and of rows
        rounds = -(-len(starts) // accelerator.num_processes)
        for turn in range(rounds):
            index = turn * accelerator.num_processes + accelerator.process_index
            # A process with nothing left computes an old batch, for the others may wait for its vectors; it counts 0.
            start = starts[index % len(starts)]
            rows = np.arange(start, min(start + batch_size, len(objective.data)))
            with torch.no_grad(), accelerator.autocast():
                loss = float(losses(place, *objective.batch(rows)))
            weight = len(rows) * (index < len(starts))
            total += torch.tensor([loss * weight, weight], dtype=torch.float64, device=accelerator.device)
        sums, rows_seen = accelerator.reduce(total, "sum").tolist()
        found[f"{objective.name}_loss" if objective.name else "loss"] = sums / max(1, rows_seen)
    return found


def evaluator_scores(evaluator: Any, model: Model, folder: Path | None, epoch: float, steps: int) -> dict[str, float]:
    """The scores of an evaluator, or of several, and their files in ``folder``, one a kind of evaluator."""
    if isinstance(evaluator, list | tuple):
        evaluator = SequentialEvaluator(evaluator)
    scores = (
        evaluator(model, epoch=epoch, steps=steps) if isinstance(evaluator, SentenceEvaluator) else evaluator(model)
    )
    if not isinstance(scores, dict):  # a function of the user's own
        return {"evaluator": float(scores)}
    if folder is not None and isinstance(evaluator, SentenceEvaluator):
        write_scores(folder, evaluator, scores, epoch, steps)
    return scores
