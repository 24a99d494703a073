"""Several evaluators as one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from likewise.evaluation.evaluator import SentenceEvaluator


def _last(scores: Sequence[float]) -> float:
    return scores[-1]


class SequentialEvaluator(SentenceEvaluator):
    """Runs ``evaluators`` one after the other; ``main_score_function`` makes one number of their primary scores.

    That number has the key "sequential_score". Without a function of your own it is the last evaluator's.
    """

    def __init__(
        self, evaluators: Iterable[Any], main_score_function: Callable[[Sequence[float]], float] = _last
    ) -> None:
        self.evaluators = list(evaluators)
        self.main_score_function = main_score_function
        self.primary_metric = "sequential_score"

    def __call__(
        self,
        model: Any,
        output_path: str | os.PathLike[str] | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """The scores of all evaluators, by their keys, and "sequential_score"."""
        found: dict[str, float] = {}
        main = []
        for place, evaluator in enumerate(self.evaluators):
            scores = evaluator(model, output_path, epoch, steps)
            if isinstance(scores, Mapping):
                primary = getattr(evaluator, "primary_metric", None)
                main.append(scores[primary if primary is not None else next(iter(scores))])
            else:
                main.append(scores)
                scores = {f"evaluator_{place}": scores}
            if twice := sorted(found.keys() & scores.keys()):
                warnings.warn(f"two evaluators give {twice[0]!r}, and the last one's is kept: name them", stacklevel=2)
            found |= scores
        return found | {"sequential_score": self.main_score_function(main) if main else 0.0}

    def files(self, scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """The files of all evaluators."""
        found: dict[str, dict[str, float]] = {}
        for evaluator in self.evaluators:
            if isinstance(evaluator, SentenceEvaluator):
                found |= evaluator.files(scores)
        return found
