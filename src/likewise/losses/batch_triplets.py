"""The triplets that a batch of texts and their classes holds: any text, another of its class, and one of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import cos_sim, euclidean_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

BatchDistance = Callable[[Tensor], Tensor]  # (texts, dim) → (texts, texts)


class BatchHardTripletLossDistanceFunction:
    """The distances that the batch triplet losses offer, of each text to each: (texts, dim) → (texts, texts)."""

    @staticmethod
    def cosine_distance(embeddings: Tensor) -> Tensor:
        """``1 − cos``, from 0 to 2."""
        return 1 - cos_sim(embeddings, embeddings)

    @staticmethod
    def euclidean_distance(embeddings: Tensor, squared: bool = False) -> Tensor:
        """Euclidean distances, or their squares; the distance of equal vectors is exactly 0, and so is its gradient."""
        distances = -euclidean_sim(embeddings, embeddings)
        return distances**2 if squared else distances

    eucledian_distance = euclidean_distance  # as old scripts spell it


class BatchTripletLoss(Loss):
    """A loss on the triplets of a batch; its text is one column, its label a class."""

    needs = Needs("one text", least=1, most=1, labels="class")
    draws_negatives_from_batch = True

    def __init__(
        self,
        model: SentenceTransformer,
        distance_metric: BatchDistance = BatchHardTripletLossDistanceFunction.euclidean_distance,
        margin: float = 5,
    ):
        super().__init__(model)
        self.distance_metric = distance_metric
        self.margin = margin

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"distance_metric": name_of(self.distance_metric), "margin": self.margin}


def positives_of(labels: Tensor) -> Tensor:
    """Where text j has the class of text i and is another: (texts,) → (texts, texts)."""
    return (labels[:, None] == labels[None, :]) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def negatives_of(labels: Tensor) -> Tensor:
    """Where text j has another class than text i: (texts,) → (texts, texts)."""
    return labels[:, None] != labels[None, :]


def hardest_of(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each text to its furthest positive and to its nearest negative: (texts,) each.

    Without a positive it is 0, and without a negative that to the furthest text, as in sentence-transformers.
    distances (texts, texts) and labels (texts,).
    """
    furthest_positive = torch.where(positives_of(labels), distances, 0).max(1).values
    furthest = distances.max(1, keepdim=True).values
    beyond_all_negatives = distances + furthest  # so that the minimum is a negative's, if there is one
    nearest_negative = torch.where(negatives_of(labels), distances, beyond_all_negatives).min(1).values
    return furthest_positive, nearest_negative
