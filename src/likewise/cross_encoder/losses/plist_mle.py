"""Ranking by lists: the right order shall be the most probable one, its first ranks above all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.cross_encoder.losses.lists import ListLoss, equally_long
from likewise.cross_encoder.losses.loss import Activation, kind_of

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder

SMALLEST_SUM = 1e-10  # added to the sum of a list's weights, which is 0 for one document
LARGEST_POWER = 127  # of two in float32

Weights = Callable[
    [Tensor], Tensor
]  # (lists, length), true where a document is, so everywhere → a weight for each rank


@dataclass(frozen=True)
class PListMLELambdaWeight:
    """How much each rank counts in a PListMLELoss: ``2 ** (documents - rank) - 1``, or what ``rank_discount_fn`` says.

    Lan et al. 2014, Position-Aware ListMLE (UAI). For more than 127 documents all weights of a list are
    divided by the same power of two.
    """

    rank_discount_fn: Weights | None = None

    def __call__(self, mask: Tensor) -> Tensor:
        """The weights of ranks, the same for each list: (lists, length) → (lists, length)."""
        if self.rank_discount_fn is not None:
            return self.rank_discount_fn(mask)
        length = mask.shape[1]
        shift = max(0, length - LARGEST_POWER)
        below = torch.arange(length - 1, -1, -1, device=mask.device, dtype=torch.float32)  # documents below each
        return (torch.exp2(below - shift) - 2.0**-shift).expand(mask.shape)


LAMBDA_WEIGHT = PListMLELambdaWeight()


def plist_mle(
    scores: Tensor,
    labels: Tensor,
    counts: NDArray[np.integer],
    weights: Weights | None = None,
    respect_input_order: bool = True,
) -> Tensor:
    """Mean over lists of the negative log-likelihood of the right order: a scalar.

    Xia et al. 2008, https://doi.org/10.1145/1390156.1390306: the right documents are drawn one by one, by
    the softmax over those that are left. With ``weights``, each draw counts so much, of 1 for all of a list (Lan et al.
    2014, Position-Aware ListMLE). ``scores`` and ``labels`` are (documents,), lists end to end; ``counts``
    is (lists,). The right order is the one in which they are, or that of the labels, highest first.
    """
    sums = []
    for own, gold in equally_long(scores, labels, counts):
        if not respect_input_order:
            own = own.gather(1, gold.argsort(dim=1, descending=True, stable=True))
        likelihoods = own - own.flip(1).logcumsumexp(dim=1).flip(1)  # (lists, length)
        if weights is not None:
            of_ranks = weights(torch.ones_like(own, dtype=torch.bool))
            likelihoods = likelihoods * (of_ranks / (of_ranks.sum(dim=1, keepdim=True) + SMALLEST_SUM))
        sums.append(likelihoods.sum())
    return -torch.stack(sums).sum() / len(counts)


class PListMLELoss(ListLoss):
    """Mean over queries of the negative log-likelihood of the right order of their documents, by rank weighted.

    Lan et al. 2014, Position-Aware ListMLE (UAI). Documents are given in the right order, so their labels
    are not looked at; with ``respect_input_order=False`` the labels make the order. ``lambda_weight`` says how much
    each rank counts, None that all do fully. At most ``mini_batch_size`` pairs are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    def __init__(
        self,
        model: CrossEncoder,
        lambda_weight: Weights | None = LAMBDA_WEIGHT,
        activation_fn: Activation | None = None,
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ):
        super().__init__(model, activation_fn, mini_batch_size)
        self.lambda_weight = lambda_weight
        self.respect_input_order = respect_input_order

    def from_lists(self, scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
        """(documents,) twice, lists end to end, and (lists,) → a scalar."""
        return plist_mle(scores, labels, counts, self.lambda_weight, self.respect_input_order)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        weight = None if self.lambda_weight is None else kind_of(self.lambda_weight)
        own = {"lambda_weight": weight, "respect_input_order": self.respect_input_order}
        return own | super().get_config_dict()
