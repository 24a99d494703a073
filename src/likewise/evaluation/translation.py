"""Translations: how often a sentence's nearest neighbour in the other language is its translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.columns import checked_texts, embed_once
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.search.semantic import top_k

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

SHOWN = 5  # of the sentences that are nearest instead


class TranslationEvaluator(SentenceEvaluator):
    """The share of sentences whose nearest neighbour by the cosine, in the other column, is their translation.

    A neighbour with the same text as the translation counts. The keys are "src2trg_accuracy", "trg2src_accuracy" and
    "mean_accuracy". ``print_wrong_matches`` prints what is found for a source instead of its translation.

    Raises:
        ValueError: The columns are not equally long, or empty.
    """

    def __init__(
        self,
        source_sentences: Iterable[str],
        target_sentences: Iterable[str],
        show_progress_bar: bool | None = False,
        batch_size: int | None = None,
        name: str = "",
        print_wrong_matches: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ):
        self.source_sentences, self.target_sentences = checked_texts(
            source_sentences=source_sentences, target_sentences=target_sentences
        )
        self.print_wrong_matches = print_wrong_matches
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"translation_evaluation{'_' * bool(name)}{name}_results.csv"
        self.primary_metric = self.key("mean_accuracy")

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The accuracy in both directions."""
        sources, targets = embed_once(model.encode, [self.source_sentences, self.target_sentences], **self.encoding)
        if self.print_wrong_matches:
            self._print_wrong(*top_k(sources, targets, SHOWN))
        forward = _accuracy(sources, targets, self.target_sentences)
        backward = _accuracy(targets, sources, self.source_sentences)
        mean = (forward + backward) / 2
        return {"src2trg_accuracy": forward, "trg2src_accuracy": backward, "mean_accuracy": mean}

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "src2trg" and "trg2src"."""
        return {direction: metrics[f"{direction}_accuracy"] for direction in ("src2trg", "trg2src")}

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, where it is set."""
        return {} if self.encoding["truncate_dim"] is None else {"truncate_dim": self.encoding["truncate_dim"]}

    def _print_wrong(self, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        for place, text in enumerate(self.target_sentences):
            if self.target_sentences[rows[place, 0]] != text:
                print(f"Source {place} is nearest to another target than its own.")
                print(f"  source: {self.source_sentences[place]}\n  target: {text}")
                for score, row in zip(scores[place], rows[place], strict=True):
                    print(f"  {score:.4f}  {self.target_sentences[row]}")


def _accuracy(queries: NDArray[Any], corpus: NDArray[Any], texts: Sequence[str]) -> float:
    """The share of queries whose nearest row of ``corpus`` has the text of their own row."""
    nearest = top_k(queries, corpus, 1)[1][:, 0]
    return float(np.mean([texts[row] == text for row, text in zip(nearest, texts, strict=True)]))
