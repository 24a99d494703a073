"""Ranking of pairs by the angle between complex vectors, which does not saturate as the cosine does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.cosent import cosent
from likewise.losses.loss import Loss, Needs
from likewise.similarity import normalize_embeddings

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def pairwise_angle_sim(x: Tensor, y: Tensor) -> Tensor:
    """``|Re s + Im s|`` of ``s = Σ z w̄`` by row: (rows, dim) twice → (rows,).

    z and w are x and y, of length 1, whose first half holds the real parts and whose second half the imaginary ones
    (Li & Li 2024, AoE: https://arxiv.org/abs/2309.12871); a zero is added to an odd number of them.
    """
    odd = x.shape[1] % 2
    real_x, imaginary_x = F.pad(normalize_embeddings(x), (0, odd)).chunk(2, dim=1)
    real_y, imaginary_y = F.pad(normalize_embeddings(y), (0, odd)).chunk(2, dim=1)
    real = (real_x * real_y + imaginary_x * imaginary_y).sum(1)
    imaginary = (imaginary_x * real_y - real_x * imaginary_y).sum(1)
    return (real + imaginary).abs()


class AnglELoss(Loss):
    """``log(1 + Σ exp(scale (s_i − s_j)))`` over all pairs i, j of the batch with label i below label j.

    s is ``pairwise_angle_sim`` (Li & Li 2024, AoE: https://arxiv.org/abs/2309.12871). With more than two
    columns, an anchor makes a pair with each other text: the second has the row's label, by default 1, and those after
    it 1 minus that label.
    """

    needs = Needs("two texts (or an anchor, a positive and negatives, where labels may be left out)", 2, None, "score")

    def __init__(self, model: SentenceTransformer, scale: float = 20.0):
        super().__init__(model)
        self.scale = scale

    def check_columns(self, count: int, has_labels: bool, names: Sequence[str] = ()) -> None:
        """Raise ValueError, which says what this loss needs, unless ``count`` columns of text and labels fit it."""
        super().check_columns(count, has_labels or count > 2, names)

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) at least twice and (rows,) → a scalar."""
        anchors, *others = columns
        labels = anchors.new_ones(len(anchors)) if labels is None else labels.view(-1)
        similarities = torch.cat([pairwise_angle_sim(anchors, other) for other in others])
        return cosent(similarities, torch.cat([labels, *[1 - labels] * (len(others) - 1)]), self.scale)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"scale": self.scale, "similarity_fct": pairwise_angle_sim.__name__}
