"""Distillation: the score of a pair shall be a teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.loss import Needs

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class MSELoss(CrossEncoderLoss):
    """Mean squared difference between the score of a pair and its label, such as a teacher's score.

    Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666, section 3, computed by ``torch.nn.MSELoss``, to which
    ``kwargs`` go. Where the teacher's scores are from 0 to 1, give ``activation_fn=torch.nn.Sigmoid()``.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    needs = Needs("two texts", labels="score")

    def __init__(self, model: CrossEncoder, activation_fn: Activation | None = None, **kwargs: Any):
        super().__init__(model, activation_fn)
        self.loss_fct = nn.MSELoss(**kwargs)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """(rows, 1) and (rows,) → a scalar."""
        assert labels is not None
        return self.loss_fct(scores.view(-1), labels.to(scores.dtype).view(-1))
