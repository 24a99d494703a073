"""Semantic similarity: how well the similarities of pairs agree with people's scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from likewise.evaluation.columns import (
    check_lengths,
    checked_functions,
    checked_numbers,
    checked_texts,
    embed_once,
    example_columns,
)
from likewise.evaluation.correlation import pearson, spearman
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.quantize import BINARY, Precision, check_precision, unpacked_bits
from likewise.similarity import SimilarityFunction

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class EmbeddingSimilarityEvaluator(SentenceEvaluator):
    """Pearson's and Spearman's correlation of similarities with ``scores`` (Reimers & Gurevych 2019, section 4).

    The keys are "pearson_cosine", "spearman_cosine" and so on, for each of ``similarity_fn_names`` or of
    ``main_similarity``; without either for the model's own similarity. With several there are "pearson_max" and
    "spearman_max". A correlation is NaN where all similarities, or all scores, are the same. With a ``precision`` the
    vectors are made 1 long, quantised, and compared as the whole numbers, or the bits, that they then are.

    Raises:
        ValueError: The columns are not equally long, have fewer than 2 rows, or hold something else than text and
            numbers.
    """

    def __init__(
        self,
        sentences1: Iterable[str],
        sentences2: Iterable[str],
        scores: Iterable[float],
        batch_size: int | None = None,
        main_similarity: str | SimilarityFunction | None = None,
        similarity_fn_names: Iterable[str] | None = None,
        name: str = "",
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        precision: Precision | None = None,
        truncate_dim: int | None = None,
    ):
        self.sentences1, self.sentences2 = checked_texts(2, sentences1=sentences1, sentences2=sentences2)
        self.scores = checked_numbers("scores", scores)
        check_lengths(sentences1=self.sentences1, sentences2=self.sentences2, scores=self.scores.tolist())
        check_precision(precision)
        self.main_similarity = None if main_similarity is None else SimilarityFunction(main_similarity)
        self.similarity_fn_names = checked_functions(similarity_fn_names, self.main_similarity)
        self.name = name
        self.write_csv = write_csv
        parts = ["similarity_evaluation", name, precision, "results.csv"]
        self.csv_file = "_".join(part for part in parts if part)
        self.precision = precision
        self.truncate_dim = truncate_dim
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
            "normalize_embeddings": precision is not None,
            "precision": precision,
        }
        if self.similarity_fn_names:
            self.primary_metric = self.key(self._primary(self.similarity_fn_names))

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **arguments: Any) -> Self:
        """An evaluator of the examples' first two texts and their labels."""
        first, second, scores = example_columns(examples, 2)
        return cls(first, second, scores, **arguments)

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The correlations of each similarity."""
        first, second = embed_once(model.encode, [self.sentences1, self.sentences2], **self.encoding)
        if self.precision in BINARY:
            first, second = (unpacked_bits(side, self.precision) for side in (first, second))
        metrics = {}
        functions = self.similarity_fn_names or [model.similarity_fn_name]
        for name in functions:
            found = SimilarityFunction.to_similarity_pairwise_fn(name)(first, second)  # (pairs,)
            metrics[f"pearson_{name}"] = pearson(self.scores, found)
            metrics[f"spearman_{name}"] = spearman(self.scores, found)
        if len(functions) > 1:
            for kind in ("pearson", "spearman"):
                metrics[f"{kind}_max"] = max(metrics[f"{kind}_{name}"] for name in functions)
        return metrics

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """Spearman's correlation: of the main similarity, of the only one, or the highest."""
        names = [key.removeprefix("spearman_") for key in metrics if key.startswith("spearman_")]
        self.primary_metric = self.key(self._primary(self.similarity_fn_names or names))

    def _primary(self, names: list[str]) -> str:
        if self.main_similarity is not None:
            return f"spearman_{self.main_similarity.value}"
        return "spearman_max" if len(names) > 1 else f"spearman_{names[0]}"

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "cosine_pearson", "cosine_spearman" and so on."""
        names = self.similarity_fn_names or SimilarityFunction.possible_values()
        kinds = [(name, kind) for name in names for kind in ("pearson", "spearman")]
        return {f"{name}_{kind}": metrics[f"{kind}_{name}"] for name, kind in kinds if f"{kind}_{name}" in metrics}

    @property
    def description(self) -> str:
        """What it is, in words."""
        return "Semantic Similarity"

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim`` and ``precision``, where they are set."""
        settings = {"truncate_dim": self.truncate_dim, "precision": self.precision}
        return {key: value for key, value in settings.items() if value is not None}
