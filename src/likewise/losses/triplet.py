"""Triplets: an anchor shall be nearer to its positive than to its negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, member
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import pairwise_cos_sim, pairwise_euclidean_sim, pairwise_manhattan_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Distance = Callable[[Tensor, Tensor], Tensor]  # (rows, dim) twice → (rows,)


class TripletDistanceMetric(Enum):
    """The distances that a TripletLoss offers; each is a function, (rows, dim) twice → (rows,)."""

    COSINE = member(lambda x, y: 1 - pairwise_cos_sim(x, y))
    EUCLIDEAN = member(lambda x, y: -pairwise_euclidean_sim(x, y))
    MANHATTAN = member(lambda x, y: -pairwise_manhattan_sim(x, y))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(rows, dim) twice → (rows,)."""
        distances: Tensor = self.value(x, y)
        return distances


def triplet(anchors: Tensor, positives: Tensor, negatives: Tensor, distance_metric: Distance, margin: float) -> Tensor:
    """Mean of ``max(‖a − p‖ − ‖a − n‖ + margin, 0)`` (Reimers & Gurevych 2019, section 3).

    (rows, dim) three times → a scalar.
    """
    differences = distance_metric(anchors, positives) - distance_metric(anchors, negatives)  # (rows,)
    return F.relu(differences + margin).mean()


class TripletLoss(Loss):
    """Mean of ``max(d(anchor, positive) − d(anchor, negative) + triplet_margin, 0)``: the triplet objective.

    Reimers & Gurevych 2019, section 3. The margin is 5 by default, as in sentence-transformers; the paper's is 1.
    """

    needs = Needs("an anchor, a positive and a negative", least=3, most=3)

    def __init__(
        self,
        model: SentenceTransformer,
        distance_metric: Distance = TripletDistanceMetric.EUCLIDEAN,
        triplet_margin: float = 5,
    ):
        super().__init__(model)
        self.distance_metric = distance_metric
        self.triplet_margin = triplet_margin

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) three times → a scalar."""
        anchors, positives, negatives = columns
        return triplet(anchors, positives, negatives, self.distance_metric, self.triplet_margin)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"distance_metric": name_of(self.distance_metric), "triplet_margin": self.triplet_margin}
