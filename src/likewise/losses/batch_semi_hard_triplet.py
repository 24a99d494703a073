"""For each pair of one class in a batch, the nearest negative that is further away than the positive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.batch_triplets import BatchTripletLoss, negatives_of, positives_of


def batch_semi_hard_triplet(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over pairs (a, p) of one class of ``max(d(a, p) − d(a, n) + margin, 0)``: a scalar.

    n is the nearest negative with ``d(a, n) > d(a, p)`` (Schroff et al. 2015, https://arxiv.org/abs/1503.03832,
    equation 4); without one, the furthest negative; without any negative, the nearest text, a itself. distances
    (texts, texts) and labels (texts,).
    """
    positives, negatives = positives_of(labels), negatives_of(labels)
    nearest_first = distances.masked_fill(~negatives, torch.inf).sort(dim=1, stable=True).values
    places = torch.searchsorted(nearest_first.detach(), distances.detach().contiguous(), right=True)
    beyond = nearest_first.gather(1, places.clamp(max=len(labels) - 1))  # (texts, texts), infinite without one
    furthest = distances.masked_fill(~negatives, -torch.inf).max(1, keepdim=True).values
    nearest_text = distances.min(1, keepdim=True).values
    furthest = torch.where(negatives.any(1, keepdim=True), furthest, nearest_text)  # (texts, 1)
    losses = F.relu(distances - torch.where(beyond.isfinite(), beyond, furthest) + margin)
    return (losses * positives).sum() / positives.sum().clamp(min=1)


class BatchSemiHardTripletLoss(BatchTripletLoss):
    """Mean over all pairs (a, p) of one class of ``max(d(a, p) − d(a, n) + margin, 0)``.

    n is the nearest negative that is further away than p (Schroff et al. 2015, https://arxiv.org/abs/1503.03832);
    without one, the furthest negative.
    """

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) and (rows,) → a scalar."""
        assert labels is not None
        return batch_semi_hard_triplet(self.distance_metric(columns[0]), labels.view(-1), self.margin)
