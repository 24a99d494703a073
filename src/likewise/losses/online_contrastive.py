"""The contrastive loss of the hard pairs in a batch only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.contrastive import Distance, SiameseDistanceMetric
from likewise.losses.loss import Loss, Needs, name_of

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def online_contrastive(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Sum of ``d²`` over hard alike pairs and of ``max(margin − d, 0)²`` over hard others: a scalar.

    An alike pair is hard where it is further apart than the nearest other pair of the batch, and another pair where it
    is nearer than the furthest alike one; where there is only one sort, those beyond its mean are. The formula is
    sentence-transformers'. distances (pairs,) and labels (pairs,), 1 or 0; pairs with another label are left out.
    """
    alike, others = distances[labels == 1], distances[labels == 0]
    hard_alike = alike[alike > (others.min() if len(others) else alike.mean())]
    hard_others = others[others < (alike.max() if len(alike) else others.mean())]
    return (hard_alike**2).sum() + (F.relu(margin - hard_others) ** 2).sum()


class OnlineContrastiveLoss(Loss):
    """Sum of ``d²`` over hard alike pairs and of ``max(margin − d, 0)²`` over hard others.

    An alike pair is hard where it is further apart than the nearest other pair of the batch, and another pair where it
    is nearer than the furthest alike one.
    """

    needs = Needs("two texts", labels="binary")

    def __init__(
        self,
        model: SentenceTransformer,
        distance_metric: Distance = SiameseDistanceMetric.COSINE_DISTANCE,
        margin: float = 0.5,
    ):
        super().__init__(model)
        self.distance_metric = distance_metric
        self.margin = margin

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) twice and (rows,) → a scalar."""
        assert labels is not None
        return online_contrastive(self.distance_metric(columns[0], columns[1]), labels.view(-1), self.margin)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"distance_metric": name_of(self.distance_metric), "margin": self.margin}
