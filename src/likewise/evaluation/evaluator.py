"""What an evaluator is: a model to named numbers; and the file that keeps them."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.files import whole_file

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

logger = logging.getLogger(__name__)


class SentenceEvaluator:
    """Measures a model. Most evaluators write only ``measure``; one of your own may write ``__call__`` instead.

    An evaluator computes and touches nothing else: whoever runs it keeps what it found, by ``write_scores``.
    """

    name: str = ""  # stands before every key: "sts-dev" gives "sts-dev_spearman_cosine"
    primary_metric: str | None = None  # the key by which models are compared; None where only the model decides it
    greater_is_better: bool = True
    write_csv: bool = True
    csv_file: str | None = None  # in the folder of the results; None: no file is kept

    def __call__(
        self,
        model: Any,
        output_path: str | os.PathLike[str] | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> Any:
        """The scores of ``model``, by their keys; added to the file in ``output_path`` where that is given.

        ``model`` is a SentenceTransformer, or for evaluators of ``likewise.cross_encoder`` a CrossEncoder.
        ``epoch`` and ``steps`` say when in a training run it was; -1 stands for after it. An evaluator of your own may
        return a single number.
        """
        metrics = self.measure(model)
        self.choose_primary(metrics)
        scores = self.prefix_name_to_metrics(metrics, self.name)
        logger.info("%s%s: %s", self.description, f" on {self.name}" if self.name else "", scores)
        if output_path is not None:
            write_scores(output_path, self, scores, epoch, steps)
        return scores

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The scores of ``model``, by their keys without the name. Changes neither the model nor the evaluator."""
        raise NotImplementedError(f"{type(self).__name__} says neither measure(model) nor __call__")

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """Set ``primary_metric`` where it depends on what was measured: on the model's own similarity."""

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The columns of a line of the file, of scores by their keys without the name."""
        return dict(metrics)

    def files(self, scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """By the name of a file, the columns of the line that ``scores`` adds to it."""
        if self.csv_file is None or not self.write_csv:
            return {}
        prefix = self.key("")
        return {
            self.csv_file: self.columns(
                {key.removeprefix(prefix): value for key, value in scores.items() if key.startswith(prefix)}
            )
        }

    def key(self, metric: str) -> str:
        """``metric`` with the evaluator's name before it."""
        return f"{self.name}_{metric}" if self.name else metric

    def prefix_name_to_metrics(self, metrics: Mapping[str, float], name: str) -> dict[str, float]:
        """The metrics with ``name`` before each key; before that of ``primary_metric`` too, where it lacks it."""
        if name and self.primary_metric is not None and not self.primary_metric.startswith(f"{name}_"):
            self.primary_metric = f"{name}_{self.primary_metric}"
        return {f"{name}_{key}" if name else key: float(value) for key, value in metrics.items()}

    def store_metrics_in_model_card_data(self, *arguments: object, **named: object) -> None:
        """Does nothing: the trainer writes the model card. Evaluators written for sentence-transformers call it."""

    @property
    def description(self) -> str:
        """What it is, in words: BinaryClassificationEvaluator is "Binary Classification"."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__.partition("Evaluator")[0])

    def get_config_dict(self) -> dict[str, Any]:
        """The settings that change the scores and are not the defaults, for the model card."""
        return {}


BaseEvaluator = SentenceEvaluator


def write_scores(
    folder: str | os.PathLike[str],
    evaluator: SentenceEvaluator,
    scores: Mapping[str, float],
    epoch: float = -1,
    steps: int = -1,
) -> None:
    """Add ``scores``, which ``evaluator`` has found, as a line to its CSV file in ``folder``.

    The columns are epoch, steps and those of the evaluator. A column that older lines do not have is empty there.
    """
    for name, columns in evaluator.files(scores).items():
        path = Path(folder) / name
        rows: list[dict[str, Any]] = []
        header: dict[str, None] = {}
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                rows, header = list(reader), dict.fromkeys(reader.fieldnames or ())
        row = {"epoch": epoch, "steps": steps, **columns}
        with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*(header | dict.fromkeys(row))], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows([*rows, row])
