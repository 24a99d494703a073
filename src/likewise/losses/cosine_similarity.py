"""Regression: the cosine of two sentences shall be their score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import pairwise_cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class CosineSimilarityLoss(Loss):
    """Mean of ``loss_fct(transformation(cos(u, v)), score)``, by default the squared error.

    The regression objective (Reimers & Gurevych 2019, section 3). Scores are cosines: divide human scores from 0 to 5
    by 5.
    """

    needs = Needs("two texts", labels="unit")

    def __init__(
        self,
        model: SentenceTransformer,
        loss_fct: Callable[[Tensor, Tensor], Tensor] | None = None,
        cos_score_transformation: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(model)
        self.loss_fct = nn.MSELoss() if loss_fct is None else loss_fct
        self.cos_score_transformation = nn.Identity() if cos_score_transformation is None else cos_score_transformation

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) twice and (rows,) → a scalar."""
        assert labels is not None
        cosines = self.cos_score_transformation(pairwise_cos_sim(columns[0], columns[1]))  # (rows,)
        return self.loss_fct(cosines, labels.float().view(-1))

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        parts = {"loss_fct": self.loss_fct, "cos_score_transformation": self.cos_score_transformation}
        return {
            name: type(part).__name__ if isinstance(part, nn.Module) else name_of(part) for name, part in parts.items()
        }
