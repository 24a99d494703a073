"""For each text of a batch, the triplet of its furthest positive and its nearest negative, without a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.batch_triplets import (
    BatchDistance,
    BatchHardTripletLossDistanceFunction,
    BatchTripletLoss,
    hardest_of,
)

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def batch_hard_soft_margin_triplet(distances: Tensor, labels: Tensor) -> Tensor:
    """Mean over anchors a of ``log(1 + exp(max_p d(a, p) − min_n d(a, n)))``: a scalar.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, section 2. distances (texts, texts) and labels (texts,).
    """
    furthest_positive, nearest_negative = hardest_of(distances, labels)
    return F.softplus(furthest_positive - nearest_negative).mean()


class BatchHardSoftMarginTripletLoss(BatchTripletLoss):
    """Mean over the texts a of the batch of ``log(1 + exp(max_p d(a, p) − min_n d(a, n)))``.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, section 2: it needs no margin.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        distance_metric: BatchDistance = BatchHardTripletLossDistanceFunction.euclidean_distance,
    ):
        super().__init__(model, distance_metric)

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) and (rows,) → a scalar."""
        assert labels is not None
        return batch_hard_soft_margin_triplet(self.distance_metric(columns[0]), labels.view(-1))

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"distance_metric": super().get_config_dict()["distance_metric"]}
