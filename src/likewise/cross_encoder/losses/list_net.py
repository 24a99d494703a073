"""Ranking by lists: which document comes first shall be as probable as the labels say."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.cross_encoder.losses.lists import ListLoss, equally_long


def list_net(scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
    """Mean over lists of the cross-entropy between ``softmax(labels)`` and ``softmax(scores)``: a scalar.

    Cao et al. 2007, https://doi.org/10.1145/1273496.1273513, for the probability of being first. ``scores`` and
    ``labels`` are (documents,), lists end to end; ``counts`` is (lists,).
    """
    entropies = [
        -(gold.softmax(dim=1) * own.log_softmax(dim=1)).sum() for own, gold in equally_long(scores, labels, counts)
    ]
    return torch.stack(entropies).sum() / len(counts)


class ListNetLoss(ListLoss):
    """Mean over queries of the cross-entropy between ``softmax(labels)`` and ``softmax(scores)`` of their documents.

    Cao et al. 2007, https://doi.org/10.1145/1273496.1273513. At most ``mini_batch_size`` pairs are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    def from_lists(self, scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
        """(documents,) twice, lists end to end, and (lists,) → a scalar."""
        return list_net(scores, labels, counts)
