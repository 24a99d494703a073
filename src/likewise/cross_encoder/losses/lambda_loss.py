"""Ranking by lists: a better document shall have a higher score, the more so where it changes the NDCG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from likewise.cross_encoder.losses.lists import ListLoss, equally_long
from likewise.cross_encoder.losses.loss import Activation, kind_of
from likewise.cross_encoder.losses.weighting_schemes import (
    NDCGLoss1Scheme,
    NDCGLoss2PPScheme,
    NoWeightingScheme,
    WeightingScheme,
)

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder

Logarithm = Literal["natural", "binary"]
NDCG_LOSS_2_PP = NDCGLoss2PPScheme()


def lambda_loss(
    scores: Tensor,
    labels: Tensor,
    counts: NDArray[np.integer],
    weighting_scheme: WeightingScheme,
    k: int | None = None,
    sigma: float = 1.0,
    eps: float = 1e-10,
    reduction_log: Logarithm = "binary",
) -> Tensor:
    """Mean over pairs of ``-weight * log(sigmoid(sigma * (s_i - s_j)))``, where i is better than j: a scalar.

    Wang et al. 2018, https://doi.org/10.1145/3269206.3271784. ``scores`` and ``labels`` are (documents,), lists end to
    end; ``counts`` is (lists,). The mean is over the pairs of all lists, 0 where there are none. Only pairs with a
    document among the ``k`` best by score count, and the NDCG is that of ``k`` documents, at least ``eps`` before it is
    divided by. Labels below 0 have no gain, but are worse than 0.
    """
    sums, pairs = [], []
    for own, gold in equally_long(scores, labels, counts):
        own, order = own.sort(dim=1, descending=True, stable=True)
        ranked = gold.gather(1, order)
        length = own.shape[1]
        discount = torch.log2(torch.arange(2, length + 2, device=own.device, dtype=own.dtype))[None]  # (1, length)
        best = gold.sort(dim=1, descending=True)[0]
        ideal = (_gain(best) / discount)[:, :k].sum(dim=1, keepdim=True).clamp(min=eps)  # (lists, 1)
        weights = weighting_scheme(_gain(ranked) / ideal, discount, ranked.clamp(min=0))
        likelihoods = weights * F.logsigmoid(sigma * (own[:, :, None] - own[:, None, :]))  # (lists, length, length)

        is_near = torch.arange(length, device=own.device) < (k or length)
        counted = (is_near[:, None] | is_near).expand_as(likelihoods)
        if not isinstance(weighting_scheme, NDCGLoss1Scheme):
            counted = counted & (ranked[:, :, None] > ranked[:, None, :])
        sums.append(likelihoods[counted].sum())
        pairs.append(counted.sum())
    total = -torch.stack(sums).sum() / torch.stack(pairs).sum().clamp(min=1)
    return total / math.log(2) if reduction_log == "binary" else total


class LambdaLoss(ListLoss):
    """Mean over pairs of a query's documents of ``-weight * log(sigmoid(sigma * (s_i - s_j)))``, where i is better.

    Wang et al. 2018, https://doi.org/10.1145/3269206.3271784. ``weighting_scheme`` says how much a pair counts, None
    that all count the same. With ``k``, only pairs with a document among the k best by score count, and the NDCG is
    that of k documents, at least ``eps``. The logarithm is that of ``reduction_log``. At most ``mini_batch_size`` pairs
    are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair, or an argument is none of those it can be.
    """

    def __init__(
        self,
        model: CrossEncoder,
        weighting_scheme: WeightingScheme | None = NDCG_LOSS_2_PP,
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Logarithm = "binary",
        activation_fn: Activation | None = None,
        mini_batch_size: int | None = None,
    ):
        super().__init__(model, activation_fn, mini_batch_size)
        if k is not None and k < 1:
            raise ValueError(f"k must be at least 1, or None for all documents, not {k}")
        if reduction_log not in ("natural", "binary"):
            raise ValueError(f'reduction_log must be "natural" or "binary", not {reduction_log!r}')
        self.weighting_scheme = NoWeightingScheme() if weighting_scheme is None else weighting_scheme
        self.k = k
        self.sigma = sigma
        self.eps = eps
        self.reduction_log: Logarithm = reduction_log

    def from_lists(self, scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
        """(documents,) twice, lists end to end, and (lists,) → a scalar."""
        return lambda_loss(
            scores, labels, counts, self.weighting_scheme, self.k, self.sigma, self.eps, self.reduction_log
        )

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        own = {"k": self.k, "sigma": self.sigma, "eps": self.eps, "reduction_log": self.reduction_log}
        return {"weighting_scheme": kind_of(self.weighting_scheme)} | own | super().get_config_dict()


def _gain(labels: Tensor) -> Tensor:
    """What documents add to the DCG before the discount."""
    return torch.exp2(labels.clamp(min=0)) - 1
