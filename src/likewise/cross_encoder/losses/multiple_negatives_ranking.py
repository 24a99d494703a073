"""Ranking: each query shall find its document among those of other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.loss import Needs

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder

SIGMOID = nn.Sigmoid()  # it has no weights, so all losses may share it


def ranking(scores: Tensor, scale: float = 1.0) -> Tensor:
    """Mean cross-entropy of ``softmax(scale * scores)``, (rows, documents), where the first document is right.

    Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4.
    """
    return F.cross_entropy(scale * scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))


def documents_of_other_rows(rows: int, columns: int, count: int | None) -> NDArray[np.intp]:
    """For each row, ``count`` documents of other rows, drawn at random, each at most once: (rows, count).

    They are places in all ``columns`` end to end. Where there are no more than ``count``, or it is None, all are taken.
    """
    is_other = ~torch.eye(rows, dtype=torch.bool).repeat(1, columns)  # (rows, documents)
    if count is not None and count < (rows - 1) * columns:
        return torch.multinomial(is_other.float(), count).numpy()
    return is_other.nonzero()[:, 1].view(rows, -1).numpy()


class MultipleNegativesRankingLoss(CrossEncoderLoss):
    """Cross-entropy of ``softmax(scale * score)``: of its own document and others, a query's own comes first.

    Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4; also known as InfoNCE. A row is a query, its
    document and any number of hard negatives. Beside these, ``num_negatives`` documents of other rows are its
    negatives, drawn anew for each row and batch; None takes all of them, which are as many pairs as rows squared.

    Raises:
        ValueError: The model gives more than one score for a pair, or an argument is none of those it can be.
    """

    needs = Needs("a query, its document and any number of hard negatives", most=None)
    draws_negatives_from_batch = True

    def __init__(
        self,
        model: CrossEncoder,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: Activation | None = SIGMOID,
    ):
        super().__init__(model, activation_fn)
        if num_negatives is not None and num_negatives < 1:
            raise ValueError(f"num_negatives must be at least 1, or None for all of the batch, not {num_negatives}")
        if not scale > 0:
            raise ValueError(f"scale must be more than 0, not {scale}; 1 leaves the scores as they are")
        self.num_negatives = num_negatives
        self.scale = scale

    def documents(self, rows: int, columns: int) -> NDArray[np.intp]:
        """What each row's query is paired with: its document, those of other rows, its hard negatives."""
        own = super().documents(rows, columns)
        others = documents_of_other_rows(rows, columns, self.num_negatives)
        return np.concatenate([own[:, :1], others, own[:, 1:]], axis=1)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """(rows, 1 + negatives) → a scalar."""
        return ranking(scores, self.scale)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"scale": self.scale, "num_negatives": self.num_negatives} | super().get_config_dict()
