"""Distillation by lists: the rank of a document shall be the one that its label gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.cross_encoder.losses.lists import ListLoss, equally_long
from likewise.cross_encoder.losses.loss import Activation

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


def adr_mse(scores: Tensor, labels: Tensor, counts: NDArray[np.integer], alpha: float = 1.0) -> Tensor:
    """Mean over documents of the squared error of their smooth rank, over ``log2(1 + rank)``: a scalar.

    Schlatt et al. 2024, https://arxiv.org/abs/2405.07920 (approximate discounted rank MSE). Each other document of the
    list adds ``sigmoid(alpha * (s_j - s_i))`` to the rank of document i, which the labels give; those with equal labels
    share the mean of their ranks. ``scores`` and ``labels`` are (documents,), lists end to end; ``counts`` is (lists,).
    """
    errors = []
    for own, gold in equally_long(scores, labels, counts):
        better = (gold[:, None, :] > gold[:, :, None]).sum(dim=2)
        equal = (gold[:, None, :] == gold[:, :, None]).sum(dim=2)  # with itself
        ranks = better + (equal + 1) / 2  # (lists, length)
        above = torch.sigmoid(alpha * (own[:, None, :] - own[:, :, None])).sum(dim=2)  # with 0.5 for itself
        errors.append(((ranks - (above + 0.5)) ** 2 / torch.log2(ranks + 1)).sum())
    return torch.stack(errors).sum() / len(scores)


class ADRMSELoss(ListLoss):
    """Mean over documents of the squared error of their smooth rank in their list, discounted by rank.

    Schlatt et al. 2024, https://arxiv.org/abs/2405.07920. The larger ``alpha``, the closer smooth ranks come to ranks.
    At most ``mini_batch_size`` pairs are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    def __init__(
        self,
        model: CrossEncoder,
        alpha: float = 1.0,
        activation_fn: Activation | None = None,
        mini_batch_size: int | None = None,
    ):
        super().__init__(model, activation_fn, mini_batch_size)
        self.alpha = alpha

    def from_lists(self, scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
        """(documents,) twice, lists end to end, and (lists,) → a scalar."""
        return adr_mse(scores, labels, counts, self.alpha)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"alpha": self.alpha} | super().get_config_dict()
