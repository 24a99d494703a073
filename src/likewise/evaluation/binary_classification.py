"""Pairs that are alike or not: how well a threshold on their similarity tells which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.columns import (
    check_lengths,
    checked_functions,
    checked_numbers,
    checked_texts,
    embed_once,
    example_columns,
)
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.evaluation.ranking import average_precision
from likewise.evaluation.thresholds import best_accuracy, best_f1, matthews
from likewise.similarity import SimilarityFunction

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

COLUMNS = ("accuracy", "accuracy_threshold", "f1", "precision", "recall", "f1_threshold", "ap", "mcc")  # in the file


class BinaryClassificationEvaluator(SentenceEvaluator):
    """Accuracy, F1, precision, recall, average precision and Matthews' correlation of pairs labelled 1 or 0.

    A pair is called alike when its similarity reaches a threshold, the best there is for the accuracy and for F1;
    precision, recall and Matthews' correlation are those at the threshold of F1. For the Euclidean and the Manhattan
    similarity the thresholds are distances. The keys are "cosine_accuracy", "cosine_accuracy_threshold", "cosine_f1",
    "cosine_f1_threshold", "cosine_precision", "cosine_recall", "cosine_ap", "cosine_mcc", for each of
    ``similarity_fn_names`` or for the model's own similarity; with several also "max_ap" and so on.

    Raises:
        ValueError: The columns are not equally long or empty, or a label is neither 0 nor 1.
    """

    def __init__(
        self,
        sentences1: Iterable[str],
        sentences2: Iterable[str],
        labels: Iterable[int],
        name: str = "",
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: Iterable[str] | None = None,
    ):
        self.sentences1, self.sentences2 = checked_texts(sentences1=sentences1, sentences2=sentences2)
        self.labels = checked_numbers("labels", labels)
        check_lengths(sentences1=self.sentences1, sentences2=self.sentences2, labels=self.labels.tolist())
        if wrong := sorted(set(self.labels) - {0, 1}):
            raise ValueError(f"labels must be 1 (alike) or 0 (not alike), but {wrong[0]:g} is among them")
        self.similarity_fn_names = checked_functions(similarity_fn_names)
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"binary_classification_evaluation{'_' * bool(name)}{name}_results.csv"
        self.truncate_dim = truncate_dim
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        if self.similarity_fn_names:
            self.primary_metric = self.key(_primary(self.similarity_fn_names))

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **arguments: Any) -> Self:
        """An evaluator of the examples' first two texts and their labels."""
        first, second, labels = example_columns(examples, 2)
        return cls(first, second, labels, **arguments)

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The scores of each similarity."""
        first, second = embed_once(model.encode, [self.sentences1, self.sentences2], **self.encoding)
        functions = self.similarity_fn_names or [model.similarity_fn_name]
        found = {}
        for name in functions:
            similarities = SimilarityFunction.to_similarity_pairwise_fn(name)(first, second)  # (pairs,)
            found[name] = classification_scores(
                similarities, self.labels, is_distance=name in ("euclidean", "manhattan")
            )
        metrics = {f"{name}_{metric}": value for name, values in found.items() for metric, value in values.items()}
        if len(functions) > 1:
            for metric in found[functions[0]]:
                metrics[f"max_{metric}"] = max(values[metric] for values in found.values())
        return metrics

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """Average precision: of the only similarity, or the highest."""
        self.primary_metric = self.key(_primary(self.similarity_fn_names or _functions_in(metrics)))

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """As the keys, in the order of COLUMNS."""
        keys = [f"{name}_{metric}" for name in self.similarity_fn_names or _functions_in(metrics) for metric in COLUMNS]
        return {key: metrics[key] for key in keys if key in metrics}

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, where it is set."""
        return {} if self.truncate_dim is None else {"truncate_dim": self.truncate_dim}


def classification_scores(
    similarities: NDArray[np.floating[Any]], labels: NDArray[Any], is_distance: bool = False
) -> dict[str, float]:
    """The scores of pairs by their similarities, (pairs,), and labels, (pairs,), 1 or 0.

    With ``is_distance`` similarities are negative distances, and thresholds are told as distances.
    """
    sign = -1 if is_distance else 1
    accuracy, accuracy_threshold = best_accuracy(similarities, labels)
    f1, precision, recall, f1_threshold = best_f1(similarities, labels)
    return {
        "accuracy": accuracy,
        "accuracy_threshold": sign * accuracy_threshold,
        "f1": f1,
        "f1_threshold": sign * f1_threshold,
        "precision": precision,
        "recall": recall,
        "ap": average_precision(labels, similarities),
        "mcc": matthews(similarities >= f1_threshold, labels),
    }


def _primary(names: list[str]) -> str:
    return "max_ap" if len(names) > 1 else f"{names[0]}_ap"


def _functions_in(metrics: Mapping[str, float]) -> list[str]:
    return [name for name in SimilarityFunction.possible_values() if f"{name}_ap" in metrics]
