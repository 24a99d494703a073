"""Classification into two: a pair belongs together or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.loss import Needs

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class BinaryCrossEntropyLoss(CrossEncoderLoss):
    """Mean cross-entropy of ``sigmoid(score)`` and the label, which is 1 or 0, or between them.

    Nogueira & Cho 2019, https://arxiv.org/abs/1901.04085, computed by ``torch.nn.BCEWithLogitsLoss``, to
    which ``kwargs`` go. Positives count ``pos_weight`` times.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    needs = Needs("two texts", labels="unit")

    def __init__(
        self,
        model: CrossEncoder,
        activation_fn: Activation | None = None,
        pos_weight: Tensor | float | None = None,
        **kwargs: Any,
    ):
        super().__init__(model, activation_fn)
        self.pos_weight = None if pos_weight is None else float(pos_weight)
        weight = None if pos_weight is None else torch.as_tensor(pos_weight)
        self.loss_fct = nn.BCEWithLogitsLoss(pos_weight=weight, **kwargs).to(self.network.device)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """(rows, 1) and (rows,) → a scalar."""
        assert labels is not None
        return self.loss_fct(scores.view(-1), labels.to(scores.dtype).view(-1))

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return super().get_config_dict() | {"pos_weight": self.pos_weight}
