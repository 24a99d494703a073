"""Ranking of pairs: one with a higher label shall have the higher cosine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import pairwise_cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def cosent(similarities: Tensor, labels: Tensor, scale: float = 20.0) -> Tensor:
    """``log(1 + Σ exp(scale (s_i − s_j)))`` over all pairs i, j with label i below label j: a scalar.

    Su 2022, https://kexue.fm/archives/8847; Huang et al. 2024, https://doi.org/10.1109/TASLP.2024.3402087.
    similarities (pairs,) and labels (pairs,).
    """
    scores = scale * similarities
    differences = scores[:, None] - scores[None, :]  # (pairs, pairs)
    in_wrong_order = differences[labels[:, None] < labels[None, :]]  # where it is above 0
    return torch.cat([scores.new_zeros(1), in_wrong_order]).logsumexp(0)


class CoSENTLoss(Loss):
    """``log(1 + Σ exp(scale (s_i − s_j)))`` over all pairs i, j of the batch with label i below label j.

    Su 2022, https://kexue.fm/archives/8847. Only the order of the labels matters, not their scale.
    """

    needs = Needs("two texts", labels="score")

    def __init__(
        self,
        model: SentenceTransformer,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = pairwise_cos_sim,
    ):
        super().__init__(model)
        self.scale = scale
        self.similarity_fct = similarity_fct

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) twice and (rows,) → a scalar."""
        assert labels is not None
        return cosent(self.similarity_fct(columns[0], columns[1]), labels.view(-1), self.scale)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"scale": self.scale, "similarity_fct": name_of(self.similarity_fct)}
