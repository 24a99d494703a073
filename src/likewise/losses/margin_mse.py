"""Distillation: the margin between a positive's and a negative's similarity shall be a teacher's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import pairwise_dot_score

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def margin_mse(scores: Tensor, labels: Tensor, loss_fct: Callable[[Tensor, Tensor], Tensor] = F.mse_loss) -> Tensor:
    """Mean squared difference between our margins, positive minus negative, and the teacher's: a scalar.

    Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666, section 3. ``scores`` is (rows, 1 + negatives), the
    positive's first; ``labels`` is as large, the teacher's scores, or (rows, negatives), its margins; with one
    negative, (rows,) too.

    Raises:
        ValueError: The labels have another shape.
    """
    rows, count = scores.shape
    margins = labels[:, None] if labels.ndim == 1 else labels
    if margins.shape == (rows, count):
        margins = margins[:, :1] - margins[:, 1:]
    if margins.shape != (rows, count - 1):
        raise ValueError(
            f"MarginMSELoss needs a label with the margin, positive minus negative, for each negative, ({rows}, "
            f"{count - 1}), or with a score for the positive and each negative, ({rows}, {count}), but the labels are "
            f"{tuple(labels.shape)}"
        )
    return loss_fct(scores[:, :1] - scores[:, 1:], margins.to(scores.dtype))


class MarginMSELoss(Loss):
    """Mean squared difference between the margin s(query, positive) − s(query, negative) and a teacher's.

    Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666. There may be any number of negatives; the label holds a
    margin for each, or the teacher's scores of the positive and of each.
    """

    needs = Needs("a query, a positive and one or more negatives", least=3, most=None, labels="scores")

    def __init__(
        self, model: SentenceTransformer, similarity_fct: Callable[[Tensor, Tensor], Tensor] = pairwise_dot_score
    ):
        super().__init__(model)
        self.similarity_fct = similarity_fct

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) at least three times and (rows, negatives) or (rows, 1 + negatives) → a scalar."""
        assert labels is not None
        query, *others = columns
        return margin_mse(torch.stack([self.similarity_fct(query, other) for other in others], dim=1), labels)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"similarity_fct": name_of(self.similarity_fct)}
