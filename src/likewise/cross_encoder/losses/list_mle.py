"""Ranking by lists: the right order shall be the most probable one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.cross_encoder.losses.loss import Activation
from likewise.cross_encoder.losses.plist_mle import PListMLELoss

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


class ListMLELoss(PListMLELoss):
    """Mean over queries of the negative log-likelihood of the right order of their documents.

    Xia et al. 2008, https://doi.org/10.1145/1390156.1390306. Documents are given in the right order, so
    their labels are not looked at; with ``respect_input_order=False`` the labels make the order. At most
    ``mini_batch_size`` pairs are computed together.

    Raises:
        ValueError: The model gives more than one score for a pair.
    """

    def __init__(
        self,
        model: CrossEncoder,
        activation_fn: Activation | None = None,
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ):
        super().__init__(model, None, activation_fn, mini_batch_size, respect_input_order)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {name: value for name, value in super().get_config_dict().items() if name != "lambda_weight"}
