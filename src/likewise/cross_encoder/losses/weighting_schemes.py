"""How much each pair of documents counts in a LambdaLoss.

Wang et al. 2018, https://doi.org/10.1145/3269206.3271784. A scheme is a function of ``gain``, (lists, length), what
each document adds to the NDCG before the discount; ``discount``, (1, length), of each rank; and ``labels``, (lists,
length), at least 0. Documents are in the order of their scores, the best first. It gives the weights of all pairs,
(lists, length, length) or a shape that broadcasts to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

WeightingScheme = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class NoWeightingScheme:
    """All pairs count the same: RankNet (Burges et al. 2005, https://doi.org/10.1145/1102351.1102363)."""

    def __call__(self, gain: Tensor, discount: Tensor, labels: Tensor) -> Tensor:
        """The weights of all pairs: 1."""
        return torch.ones((), device=gain.device, dtype=gain.dtype)


@dataclass(frozen=True)
class NDCGLoss1Scheme:
    """NDCG-Loss1: a document's part of the NDCG, whatever it is compared with, so every pair counts, also of equals."""

    def __call__(self, gain: Tensor, discount: Tensor, labels: Tensor) -> Tensor:
        """The weights of all pairs: (lists, length, 1)."""
        return (gain / discount)[:, :, None]


@dataclass(frozen=True)
class NDCGLoss2Scheme:
    """NDCG-Loss2: a tighter bound of the NDCG, by how far two documents are apart."""

    def __call__(self, gain: Tensor, discount: Tensor, labels: Tensor) -> Tensor:
        """The weights of all pairs: (lists, length, length)."""
        ranks = torch.arange(gain.shape[1], device=gain.device)
        apart = (ranks[:, None] - ranks).abs()  # (length, length)
        worth = 1 / discount[0]
        changes = torch.cat([torch.zeros_like(worth[:1]), (worth[:-1] - worth[1:]).abs()])  # by how far, from 0
        return changes[apart] * _differences(gain)


@dataclass(frozen=True)
class LambdaRankScheme:
    """LambdaRank: by how much the NDCG changes when two documents change places.

    Burges et al. 2006, Learning to Rank with Nonsmooth Cost Functions.
    """

    def __call__(self, gain: Tensor, discount: Tensor, labels: Tensor) -> Tensor:
        """The weights of all pairs: (lists, length, length)."""
        return _differences(1 / discount) * _differences(gain)


@dataclass(frozen=True)
class NDCGLoss2PPScheme:
    """NDCG-Loss2++: ``mu`` times NDCG-Loss2, and LambdaRank."""

    mu: float = 10.0

    def __call__(self, gain: Tensor, discount: Tensor, labels: Tensor) -> Tensor:
        """The weights of all pairs: (lists, length, length)."""
        tight = NDCGLoss2Scheme()(gain, discount, labels)
        return self.mu * tight + LambdaRankScheme()(gain, discount, labels)


def _differences(values: Tensor) -> Tensor:
    """How far values are from each other: (lists, length) → (lists, length, length)."""
    return (values[:, :, None] - values[:, None, :]).abs()
