"""Ranking by pairs: a better document shall have a higher score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.cross_encoder.losses.lambda_loss import LambdaLoss, Logarithm
from likewise.cross_encoder.losses.loss import Activation
from likewise.cross_encoder.losses.weighting_schemes import NoWeightingScheme

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class RankNetLoss(LambdaLoss):
    """Mean over pairs of a query's documents of ``-log(sigmoid(sigma * (s_i - s_j)))``, where i is better.

    Burges et al. 2005, https://doi.org/10.1145/1102351.1102363, equation 3; a LambdaLoss where all pairs count the
    same. With ``k``, only pairs with a document among the k best by score count. The logarithm is that of
    ``reduction_log``. At most ``mini_batch_size`` pairs are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair, or an argument is none of those it can be.
    """

    def __init__(
        self,
        model: CrossEncoder,
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Logarithm = "binary",
        activation_fn: Activation | None = None,
        mini_batch_size: int | None = None,
    ):
        super().__init__(model, NoWeightingScheme(), k, sigma, eps, reduction_log, activation_fn, mini_batch_size)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {name: value for name, value in super().get_config_dict().items() if name != "weighting_scheme"}
