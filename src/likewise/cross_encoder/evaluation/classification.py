"""Pairs of classes: how well a cross-encoder tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from likewise.cross_encoder.evaluation.scored_pairs import checked_pairs, example_pairs, predicted, settings
from likewise.evaluation.binary_classification import classification_scores
from likewise.evaluation.columns import check_lengths, checked_numbers
from likewise.evaluation.evaluator import SentenceEvaluator

OF_TWO = ("accuracy", "accuracy_threshold", "f1", "f1_threshold", "precision", "recall", "average_precision")


class CrossEncoderClassificationEvaluator(SentenceEvaluator):
    """How well the model tells the classes of pairs; what is measured depends on how many labels the model has.

    With one label, ``labels`` are 1 or 0, and a pair is called 1 when its score reaches a threshold, the best there is
    for the accuracy and for F1: "accuracy", "accuracy_threshold", "f1", "f1_threshold", "precision" and "recall" (at
    the threshold of F1), "average_precision". With several, ``labels`` are classes, and the highest number tells which:
    "f1_macro", "f1_micro", "f1_weighted".

    Raises:
        ValueError: The columns are not equally long or empty, or a label is no whole number, or less than 0.
    """

    def __init__(
        self,
        sentence_pairs: Iterable[Sequence[str]],
        labels: Iterable[int],
        *,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
    ):
        self.sentence_pairs = checked_pairs(sentence_pairs)
        numbers = checked_numbers("labels", labels)
        check_lengths(sentence_pairs=self.sentence_pairs, labels=numbers.tolist())
        if wrong := [label for label in numbers if label != int(label) or label < 0]:
            raise ValueError(f"labels must be classes, whole numbers from 0, but {wrong[0]:g} is among them")
        self.labels = numbers.astype(np.int64)
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"CrossEncoderClassificationEvaluator{'_' * bool(name)}{name}_results.csv"
        self.settings = settings(prompt_name, batch_size, show_progress_bar)

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **arguments: Any) -> Self:
        """An evaluator of the examples' texts and labels."""
        return cls(*example_pairs(examples), **arguments)

    def measure(self, model: Any) -> dict[str, float]:
        """The scores of the CrossEncoder ``model``.

        Raises:
            ValueError: A label is none that the model has.
        """
        scores = predicted(model, self.sentence_pairs, self.settings)
        classes = scores.shape[1] if scores.ndim == 2 else 2
        if self.labels.max() >= classes:
            raise ValueError(f"this model tells classes 0 to {classes - 1}, but the label {self.labels.max()} is given")
        if scores.ndim == 2:
            return f1_of_classes(scores.argmax(axis=1), self.labels)
        found = classification_scores(scores, self.labels)
        return {key: found["ap" if key == "average_precision" else key] for key in OF_TWO}

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """Average precision where the model has one label, else the macro-averaged F1."""
        self.primary_metric = self.key("average_precision" if "average_precision" in metrics else "f1_macro")

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "Accuracy_Threshold", "F1", …, or "Macro_F1", "Micro_F1", "Weighted_F1"."""
        if "f1_macro" in metrics:
            return {f"{kind.title()}_F1": metrics[f"f1_{kind}"] for kind in ("macro", "micro", "weighted")}
        return {key.title(): metrics[key] for key in OF_TWO}


def f1_of_classes(predicted: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """F1 over all classes that occur among ``predicted`` or ``labels``, (rows,) each. As scikit-learn's f1_score.

    "f1_macro" is the mean of the classes, "f1_weighted" the mean weighted by how often each is right, and "f1_micro"
    counts all rows together, which makes it the accuracy. A class that is never found has the F1 0.
    """
    classes, counts = np.unique(labels, return_counts=True)
    support = dict(zip(classes.tolist(), counts.tolist(), strict=True))
    f1, weights = [], []
    for each in np.union1d(predicted, labels).tolist():
        found = int(np.sum((predicted == each) & (labels == each)))
        f1.append(2 * found / (int(np.sum(predicted == each)) + support.get(each, 0)))
        weights.append(support.get(each, 0))
    return {
        "f1_macro": float(np.mean(f1)),
        "f1_micro": float(np.mean(predicted == labels)),
        "f1_weighted": float(np.average(f1, weights=weights)),
    }


CEBinaryAccuracyEvaluator = CrossEncoderClassificationEvaluator  # the incumbent's older names
CEBinaryClassificationEvaluator = CrossEncoderClassificationEvaluator
CEF1Evaluator = CrossEncoderClassificationEvaluator
CESoftmaxAccuracyEvaluator = CrossEncoderClassificationEvaluator
