"""Distillation: how far a student's embeddings are from a teacher's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.evaluation.columns import checked_texts, embed_once
from likewise.evaluation.evaluator import SentenceEvaluator

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class MSEEvaluator(SentenceEvaluator):
    """The mean squared error, times 100, of the model's embeddings of ``target_sentences``.

    What is aimed at are the embeddings that ``teacher_model`` gives ``source_sentences``, in another language perhaps
    (Reimers & Gurevych 2020, section 2); they are computed when the evaluator is made. The key is "negative_mse": the
    error with its sign turned, so that more is better.

    Raises:
        ValueError: The columns are not equally long, or there is no teacher, or its embeddings have another width.
    """

    def __init__(
        self,
        source_sentences: Iterable[str],
        target_sentences: Iterable[str],
        teacher_model: SentenceTransformer | None = None,
        show_progress_bar: bool | None = False,
        batch_size: int | None = None,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ):
        sources, self.target_sentences = checked_texts(
            source_sentences=source_sentences, target_sentences=target_sentences
        )
        if teacher_model is None:
            raise ValueError("MSEEvaluator needs teacher_model=, the model whose embeddings are the aim")
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        (self.source_embeddings,) = embed_once(teacher_model.encode, [sources], **self.encoding)
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"mse_evaluation_{name}_results.csv"
        self.primary_metric = self.key("negative_mse")

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The error."""
        (found,) = embed_once(model.encode, [self.target_sentences], **self.encoding)
        if found.shape != self.source_embeddings.shape:
            widths = f"{self.source_embeddings.shape[1]} numbers, and the model's {found.shape[1]}"
            raise ValueError(f"the teacher's embeddings have {widths}; truncate_dim= makes them equally long")
        difference = self.source_embeddings.astype(np.float64) - found
        return {"negative_mse": -100 * float(np.square(difference).mean())}

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "MSE": the error itself."""
        return {"MSE": -metrics["negative_mse"]}

    @property
    def description(self) -> str:
        """What it is, in words."""
        return "Knowledge Distillation"

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, where it is set."""
        return {} if self.encoding["truncate_dim"] is None else {"truncate_dim": self.encoding["truncate_dim"]}
