"""Distillation: the margin between a positive's and a negative's score shall be a teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.loss import Needs
from likewise.losses.margin_mse import margin_mse

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class MarginMSELoss(CrossEncoderLoss):
    """Mean squared difference between the margin s(query, positive) − s(query, negative) and a teacher's.

    Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666, section 3; ``torch.nn.MSELoss``, to which ``kwargs`` go,
    compares them. There may be any number of negatives; the label holds a margin for each, or the teacher's scores of
    the positive and of each.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    needs = Needs("a query, a positive and one or more negatives", least=3, most=None, labels="scores")

    def __init__(self, model: CrossEncoder, activation_fn: Activation | None = None, **kwargs: Any):
        super().__init__(model, activation_fn)
        self.loss_fct = nn.MSELoss(**kwargs)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """(rows, 1 + negatives) and (rows, negatives) or (rows, 1 + negatives) → a scalar.

        Raises:
            ValueError: The labels have another shape.
        """
        assert labels is not None
        return margin_mse(scores, labels, self.loss_fct)
