"""Ranking among more documents than memory would hold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.cross_encoder.losses.loss import Activation
from likewise.cross_encoder.losses.multiple_negatives_ranking import SIGMOID, MultipleNegativesRankingLoss

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class CachedMultipleNegativesRankingLoss(MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss, the same values and gradients, in memory that does not grow with the batch.

    Gao et al. 2021, https://arxiv.org/abs/2101.06983, section 3 (GradCache): pairs are scored in mini-batches of at
    most ``mini_batch_size`` pairs and ``token_budget`` tokens, each a second time, with the same dropout, when its
    gradient is wanted.

    Raises:
        ValueError: The model gives more than one score for a pair, or an argument is none of those it can be.
    """

    def __init__(
        self,
        model: CrossEncoder,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: Activation | None = SIGMOID,
        mini_batch_size: int = 32,
        show_progress_bar: bool = False,
    ):
        super().__init__(model, num_negatives, scale, activation_fn)
        if mini_batch_size < 1:
            raise ValueError(f"mini_batch_size must be at least 1, not {mini_batch_size}")
        self.pairs_at_once = mini_batch_size
        self.replays = True
        self.shows_progress = show_progress_bar

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return super().get_config_dict() | {"mini_batch_size": self.pairs_at_once}
