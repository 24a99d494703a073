"""Training a cross-encoder: the bi-encoder's loop, with losses that see both texts at once."""

from __future__ import annotations

from typing import Any

from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.trainer import SentenceTransformerTrainer


class CrossEncoderTrainingArguments(SentenceTransformerTrainingArguments):
    """What a training run is told; the arguments are those of SentenceTransformerTrainingArguments."""


class CrossEncoderTrainer(SentenceTransformerTrainer):
    """Trains a CrossEncoder; the arguments are those of SentenceTransformerTrainer.

    The columns of a data set are the two texts of a pair, or a query and what is compared with it; a loss that ranks
    lists takes a query and a list of texts in each row, with as many labels. The losses are those of
    ``likewise.cross_encoder.losses``; without one it is BinaryCrossEntropyLoss for a model with one label and
    CrossEntropyLoss for one with several.
    """

    looks_at_embeddings = False

    def default_loss(self) -> Any:
        """The loss of a trainer that is given none."""
        from likewise.cross_encoder import losses

        model: Any = self.model
        return losses.BinaryCrossEntropyLoss if model.num_labels == 1 else losses.CrossEntropyLoss
