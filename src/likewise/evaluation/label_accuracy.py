"""Classification: how often a loss's classifier finds the class of a pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.evaluation.columns import checked_numbers, checked_texts, embed_once, example_columns
from likewise.evaluation.evaluator import SentenceEvaluator

if TYPE_CHECKING:
    from likewise.losses.softmax import SoftmaxLoss
    from likewise.sentence_transformer import SentenceTransformer


class LabelAccuracyEvaluator(SentenceEvaluator):
    """The share of pairs whose class ``softmax_model``, a SoftmaxLoss, finds. The key is "accuracy".

    ``dataloader`` holds an InputExample a row, or is a DataLoader of such rows.

    Raises:
        ValueError: There are no rows, one has fewer than 2 texts, a label is no whole number, or there is no
            classifier.
    """

    def __init__(
        self, dataloader: Any, name: str = "", softmax_model: SoftmaxLoss | None = None, write_csv: bool = True
    ):
        examples: Iterable[Any] = getattr(dataloader, "dataset", dataloader)
        first, second, labels = example_columns(examples, 2)
        self.sentences1, self.sentences2 = checked_texts(sentences1=first, sentences2=second)
        self.labels = checked_numbers("labels", labels)
        if wrong := [label for label in self.labels if label != int(label)]:
            raise ValueError(f"labels must be classes, whole numbers, but {wrong[0]:g} is among them")
        if softmax_model is None:
            raise ValueError("LabelAccuracyEvaluator needs softmax_model=, the SoftmaxLoss whose classifier predicts")
        self.softmax_model = softmax_model
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"accuracy_evaluation{'_' * bool(name)}{name}_results.csv"
        self.primary_metric = self.key("accuracy")

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The accuracy."""
        import torch

        device = self.softmax_model.classifier.weight.device
        columns = embed_once(model.encode, [self.sentences1, self.sentences2])
        with torch.no_grad():
            scores = self.softmax_model.logits([torch.from_numpy(column).to(device) for column in columns])
        predicted = scores.argmax(dim=1).cpu().numpy()
        return {"accuracy": float(np.mean(predicted == self.labels))}
