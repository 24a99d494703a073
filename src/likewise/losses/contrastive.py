"""Pairs that are alike shall be near, others further apart than a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, member
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Distance = Callable[[Tensor, Tensor], Tensor]  # (rows, dim) twice → (rows,)


class SiameseDistanceMetric(Enum):
    """The distances that contrastive losses offer; each is a function, (rows, dim) twice → (rows,).

    Euclidean and Manhattan distances add 1e-6 to every difference, as in sentence-transformers, so equal texts are not
    quite at the distance 0.
    """

    EUCLIDEAN = member(lambda x, y: F.pairwise_distance(x, y, p=2))
    MANHATTAN = member(lambda x, y: F.pairwise_distance(x, y, p=1))
    COSINE_DISTANCE = member(lambda x, y: 1 - F.cosine_similarity(x, y))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(rows, dim) twice → (rows,)."""
        distances: Tensor = self.value(x, y)
        return distances


def contrastive(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``½ (y d² + (1 − y) max(margin − d, 0)²)`` of each pair, y 1 where it is alike.

    Hadsell et al. 2006, https://doi.org/10.1109/CVPR.2006.100, equation 4, where y is 0 for such a pair. distances
    (pairs,) and labels (pairs,) → (pairs,).
    """
    return 0.5 * (labels * distances**2 + (1 - labels) * F.relu(margin - distances) ** 2)


class ContrastiveLoss(Loss):
    """Mean of ``½ (label d² + (1 − label) max(margin − d, 0)²)``; the sum, without ``size_average``.

    Hadsell et al. 2006, https://doi.org/10.1109/CVPR.2006.100.
    """

    needs = Needs("two texts", labels="binary")

    def __init__(
        self,
        model: SentenceTransformer,
        distance_metric: Distance = SiameseDistanceMetric.COSINE_DISTANCE,
        margin: float = 0.5,
        size_average: bool = True,
    ):
        super().__init__(model)
        self.distance_metric = distance_metric
        self.margin = margin
        self.size_average = size_average

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) twice and (rows,) → a scalar."""
        assert labels is not None
        distances = self.distance_metric(columns[0], columns[1])  # (rows,)
        losses = contrastive(distances, labels.view(-1).to(distances.dtype), self.margin)
        return losses.mean() if self.size_average else losses.sum()

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "distance_metric": name_of(self.distance_metric),
            "margin": self.margin,
            "size_average": self.size_average,
        }
