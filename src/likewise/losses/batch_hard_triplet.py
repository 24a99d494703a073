"""For each text of a batch, the triplet of its furthest positive and its nearest negative."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.batch_triplets import BatchTripletLoss, hardest_of


def batch_hard_triplet(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over anchors a of ``max(max_p d(a, p) − min_n d(a, n) + margin, 0)``: a scalar.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, equation 5. distances (texts, texts) and labels (texts,).
    """
    furthest_positive, nearest_negative = hardest_of(distances, labels)
    return F.relu(furthest_positive - nearest_negative + margin).mean()


class BatchHardTripletLoss(BatchTripletLoss):
    """Mean over the texts a of the batch of ``max(max_p d(a, p) − min_n d(a, n) + margin, 0)``.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, section 2.
    """

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) and (rows,) → a scalar."""
        assert labels is not None
        return batch_hard_triplet(self.distance_metric(columns[0]), labels.view(-1), self.margin)
