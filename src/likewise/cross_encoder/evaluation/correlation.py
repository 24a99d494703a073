"""Pairs with scores: how well a cross-encoder's own agree with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from likewise.cross_encoder.evaluation.scored_pairs import checked_pairs, example_pairs, predicted_scores, settings
from likewise.evaluation.columns import check_lengths, checked_numbers
from likewise.evaluation.correlation import pearson, spearman
from likewise.evaluation.evaluator import SentenceEvaluator


class CrossEncoderCorrelationEvaluator(SentenceEvaluator):
    """Pearson's and Spearman's correlation of the model's scores with ``scores``: "pearson" and "spearman".

    Raises:
        ValueError: The columns are not equally long or empty, or a score is no number.
    """

    def __init__(
        self,
        sentence_pairs: Iterable[Sequence[str]],
        scores: Iterable[float],
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
    ):
        self.sentence_pairs = checked_pairs(sentence_pairs)
        self.scores = checked_numbers("scores", scores)
        check_lengths(sentence_pairs=self.sentence_pairs, scores=self.scores.tolist())
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"CrossEncoderCorrelationEvaluator{'_' * bool(name)}{name}_results.csv"
        self.settings = settings(prompt_name, batch_size, show_progress_bar)
        self.primary_metric = self.key("spearman")

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **arguments: Any) -> Self:
        """An evaluator of the examples' texts and labels."""
        return cls(*example_pairs(examples), **arguments)

    def measure(self, model: Any) -> dict[str, float]:
        """The correlations of the CrossEncoder ``model``."""
        found = predicted_scores(model, self.sentence_pairs, self.settings)
        return {"pearson": pearson(self.scores, found), "spearman": spearman(self.scores, found)}

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "Pearson_Correlation" and "Spearman_Correlation"."""
        return {f"{key.title()}_Correlation": metrics[key] for key in ("pearson", "spearman")}


CECorrelationEvaluator = CrossEncoderCorrelationEvaluator  # the incumbent's older name
