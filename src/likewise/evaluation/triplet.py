"""Triplets: how often the positive is closer to the anchor than the negative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from likewise.evaluation.columns import checked_functions, checked_texts, embed_once, example_columns
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.similarity import SimilarityFunction

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class TripletEvaluator(SentenceEvaluator):
    """The share of triplets whose positive is more similar to the anchor than the negative, by more than ``margin``.

    Anchors are embedded as queries, the others as documents. The keys are "cosine_accuracy" and so on, for each of
    ``similarity_fn_names`` or of ``main_similarity_function``; without either for the model's own similarity. With
    several there is "max_accuracy". ``margin`` is a number, or one for each similarity's name.

    Raises:
        ValueError: The columns are not equally long or empty, or a similarity's name is not known.
    """

    def __init__(
        self,
        anchors: Iterable[str],
        positives: Iterable[str],
        negatives: Iterable[str],
        main_similarity_function: str | SimilarityFunction | None = None,
        margin: float | Mapping[str, float] | None = None,
        name: str = "",
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: Iterable[str] | None = None,
        main_distance_function: str | SimilarityFunction | None = None,
    ):
        self.anchors, self.positives, self.negatives = checked_texts(
            anchors=anchors, positives=positives, negatives=negatives
        )
        main = main_similarity_function or main_distance_function  # the latter is the older name
        self.main_similarity_function = None if main is None else SimilarityFunction(main)
        self.similarity_fn_names = checked_functions(similarity_fn_names, self.main_similarity_function)
        self.margin = _margins(margin)
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"triplet_evaluation{'_' * bool(name)}{name}_results.csv"
        self.truncate_dim = truncate_dim
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        if self.similarity_fn_names:
            self.primary_metric = self.key(self._primary(self.similarity_fn_names))

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **arguments: Any) -> Self:
        """An evaluator of the examples' first three texts: anchor, positive, negative."""
        anchors, positives, negatives, _ = example_columns(examples, 3)
        return cls(anchors, positives, negatives, **arguments)

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The accuracy of each similarity."""
        (anchors,) = embed_once(model.encode_query, [self.anchors], **self.encoding)
        positives, negatives = embed_once(model.encode_document, [self.positives, self.negatives], **self.encoding)
        functions = self.similarity_fn_names or [model.similarity_fn_name]
        metrics = {}
        for name in functions:
            similarity = SimilarityFunction.to_similarity_pairwise_fn(name)
            is_right = similarity(anchors, positives) > similarity(anchors, negatives) + self.margin[name]
            metrics[f"{name}_accuracy"] = float(is_right.mean())
        if len(functions) > 1:
            metrics["max_accuracy"] = max(metrics.values())
        return metrics

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """The accuracy: of the main similarity, of the only one, or the highest."""
        names = [key.removesuffix("_accuracy") for key in metrics]
        self.primary_metric = self.key(self._primary(self.similarity_fn_names or names))

    def _primary(self, names: list[str]) -> str:
        if self.main_similarity_function is not None:
            return f"{self.main_similarity_function.value}_accuracy"
        return "max_accuracy" if len(names) > 1 else f"{names[0]}_accuracy"

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "accuracy_cosine" and so on."""
        names = self.similarity_fn_names or SimilarityFunction.possible_values()
        return {f"accuracy_{name}": metrics[f"{name}_accuracy"] for name in names if f"{name}_accuracy" in metrics}

    def get_config_dict(self) -> dict[str, Any]:
        """``margin`` and ``truncate_dim``, where they are set."""
        settings: dict[str, Any] = {"margin": self.margin} if any(self.margin.values()) else {}
        return settings if self.truncate_dim is None else settings | {"truncate_dim": self.truncate_dim}


def _margins(margin: float | Mapping[str, float] | None) -> dict[str, float]:
    """The margin of each similarity, by its name."""
    names = SimilarityFunction.possible_values()
    if margin is None or isinstance(margin, int | float):
        return dict.fromkeys(names, margin or 0)
    if not isinstance(margin, Mapping):
        raise ValueError(f"margin must be a number, or one for each of {', '.join(names)}, not {margin!r}")
    if unknown := sorted(set(margin) - set(names)):
        raise ValueError(f"margin has {unknown[0]!r}, which is no similarity; the names are {', '.join(names)}")
    return dict.fromkeys(names, 0) | dict(margin)
