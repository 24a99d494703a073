"""``CrossEncoder.fit``, as scripts from before 2025 call it: the same loop, told in the older words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from likewise.cross_encoder.losses import BinaryCrossEntropyLoss, CrossEntropyLoss
from likewise.cross_encoder.losses.loss import CrossEncoderLoss
from likewise.cross_encoder.trainer import CrossEncoderTrainer
from likewise.losses.loss import Needs
from likewise.training.fit import fit as fit_objectives

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class _LossOfFunction(CrossEncoderLoss):
    """``function`` of the scores, (pairs,) or (pairs, labels), and the labels."""

    needs = Needs("two texts (a pair)", most=2, labels="score")

    def __init__(
        self,
        model: CrossEncoder,
        function: Callable[[Tensor, Tensor], Tensor],
        activation_fn: Callable[[Tensor], Tensor] | None,
    ):
        self.needs_one_label = model.num_labels == 1
        super().__init__(model, activation_fn)
        self.function = function

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """The loss of (rows, 1) or (rows, labels) scores and (rows,) labels: a scalar."""
        assert labels is not None
        return self.function(scores.view(-1) if self.needs_one_label else scores, labels)


def fit(
    model: CrossEncoder,
    train_dataloader: Any,
    evaluator: Any = None,
    epochs: int = 1,
    loss_fct: Callable[[Tensor, Tensor], Tensor] | None = None,
    activation_fct: Callable[[Tensor], Tensor] | None = None,
    **others: Any,
) -> None:
    """Train ``model`` on a DataLoader of InputExample.

    ``loss_fct`` is a function of scores and labels; without it, it is that of the trainer. ``activation_fct`` makes
    the scores. The other arguments are those of ``likewise.training.fit.fit``.

    Raises:
        ValueError: The data do not fit the loss, or an argument is not right.
    """
    loss: CrossEncoderLoss
    if loss_fct is not None:
        loss = _LossOfFunction(model, loss_fct, activation_fct)
    else:
        loss = (BinaryCrossEntropyLoss if model.num_labels == 1 else CrossEntropyLoss)(model, activation_fct)
    objectives = [(train_dataloader, loss)]
    fit_objectives(model, objectives, evaluator, epochs, trainer_class=CrossEncoderTrainer, **others)
