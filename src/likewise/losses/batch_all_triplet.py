"""All triplets of a batch that break the margin."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from likewise.losses.batch_triplets import BatchTripletLoss, negatives_of, positives_of


def batch_all_triplet(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean of ``d(a, p) − d(a, n) + margin`` over the triplets of a batch where it is above 0: a scalar.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, equation 6, with the mean of those above 0 alone (their
    "BA≠0"). distances (texts, texts) and labels (texts,).
    """
    anchors, positives = positives_of(labels).nonzero(as_tuple=True)
    losses = distances[anchors, positives][:, None] - distances[anchors] + margin  # (positive pairs, texts)
    above = F.relu(losses) * negatives_of(labels)[anchors]
    return above.sum() / (above > 0).sum().clamp(min=1)


class BatchAllTripletLoss(BatchTripletLoss):
    """Mean of ``d(a, p) − d(a, n) + margin`` over all triplets of the batch where it is above 0.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737, section 2.
    """

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) and (rows,) → a scalar."""
        assert labels is not None
        return batch_all_triplet(self.distance_metric(columns[0]), labels.view(-1), self.margin)
