"""Classification: how the two texts of a pair relate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.loss import Needs
from likewise.losses.softmax import whole_classes

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class CrossEntropyLoss(CrossEncoderLoss):
    """Mean cross-entropy of ``softmax(scores)`` and the class of a pair, or the probability of each class.

    Devlin et al. 2019, https://arxiv.org/abs/1810.04805, section 4.1, computed by ``torch.nn.CrossEntropyLoss``, to
    which ``kwargs`` go.

    Raises:
        ValueError: The model gives one score for a pair, so there is nothing to choose from.
    """

    needs = Needs("two texts", labels="class")
    needs_one_label = False

    def __init__(self, model: CrossEncoder, activation_fn: Activation | None = None, **kwargs: Any):
        super().__init__(model, activation_fn)
        if model.num_labels < 2:
            raise ValueError(
                f"CrossEntropyLoss needs a model with a score for each class, but this one has {model.num_labels}; "
                "make it with CrossEncoder(…, num_labels=2) or more, or use BinaryCrossEntropyLoss for yes or no"
            )
        self.loss_fct = nn.CrossEntropyLoss(**kwargs).to(self.network.device)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """(rows, classes) and (rows,) or (rows, classes) → a scalar.

        Raises:
            ValueError: A label is no class.
        """
        assert labels is not None
        if labels.shape == scores.shape:
            return self.loss_fct(scores, labels.to(scores.dtype))
        return self.loss_fct(scores, whole_classes(labels.view(-1), scores.shape[1], self.loss_fct.ignore_index))
