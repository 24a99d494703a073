"""The description of an encoder and its classification head that Transformers computes as one."""

from typing import Any

from likewise.checkpoint.classification import is_classifier, labels_of
from likewise.models.transformer import Transformer


class SequenceClassifier(Transformer):
    """A transformer encoder with a head of its own: a pair of texts → a score for each label."""

    def __init__(self, *arguments: Any, labels: int | None = None, **named: Any):
        super().__init__(*arguments, **named)
        if labels is None:
            labels = labels_of(self.config) if is_classifier(self.config) else 1
        self.labels = labels

    def __repr__(self) -> str:
        return f"SequenceClassifier({self.settings.model_type}, {self.labels} label{'s' * (self.labels != 1)})"

    def get_embedding_dimension(self) -> int:
        """The number of scores."""
        return self.labels
