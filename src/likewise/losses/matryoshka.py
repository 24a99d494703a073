"""Embeddings whose first dimensions are embeddings too."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.columns import Column
from likewise.losses.loss import Loss

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

logger = logging.getLogger(__name__)


def first_dimensions(vectors: Tensor, dim: int) -> Tensor:
    """The first ``dim`` numbers of each vector, stretched to length 1: (rows, width) → (rows, dim)."""
    return F.normalize(vectors[:, :dim], dim=1)


class MatryoshkaLoss(Loss):
    """Another loss on the first dimensions of the embeddings, for several numbers of them: the weighted sum.

    Kusupati et al. 2022, https://arxiv.org/abs/2205.13147, section 3, equation 1. Texts are embedded once, however many
    ``matryoshka_dims`` there are; ``loss`` may be a cached one. Each dimension weighs 1 unless ``matryoshka_weights``
    says otherwise. With ``n_dims_per_step``, so many are drawn anew at each step. A teacher's vectors as labels are cut
    with the embeddings.

    Raises:
        ValueError: ``loss`` cannot take embeddings of any width or is another model's, or dimensions or weights are
            not right.
    """

    takes_any_width = False

    def __init__(
        self,
        model: SentenceTransformer,
        loss: Loss,
        matryoshka_dims: Sequence[int],
        matryoshka_weights: Sequence[float] | None = None,
        n_dims_per_step: int = -1,
    ):
        super().__init__(model)
        weights = [1] * len(matryoshka_dims) if matryoshka_weights is None else list(matryoshka_weights)
        width = model.get_embedding_dimension()
        if not loss.takes_any_width:
            raise ValueError(
                f"MatryoshkaLoss cannot hold {type(loss).__name__}, which takes embeddings of one width only "
                "(as SoftmaxLoss, MSELoss with projection_dim, DenoisingAutoEncoderLoss and MatryoshkaLoss do); "
                "use one that compares embeddings, such as MultipleNegativesRankingLoss"
            )
        if loss.network is not self.network:
            raise ValueError(f"MatryoshkaLoss and the {type(loss).__name__} in it must be made for the same model")
        if not matryoshka_dims or not all(0 < dim <= width for dim in matryoshka_dims):
            raise ValueError(
                f"matryoshka_dims must be one or more numbers from 1 to {width}, the model's dimensions, not "
                f"{list(matryoshka_dims)}"
            )
        if len(weights) != len(matryoshka_dims):
            raise ValueError(
                f"there are {len(weights)} matryoshka_weights for {len(matryoshka_dims)} matryoshka_dims; give one each"
            )
        if width not in matryoshka_dims:
            logger.warning("matryoshka_dims lacks %d, so the whole embedding is not trained; better add it", width)
        ordered = sorted(zip(matryoshka_dims, weights, strict=True), key=lambda pair: pair[0], reverse=True)
        self.loss = loss
        self.needs = loss.needs
        self.draws_negatives_from_batch = loss.draws_negatives_from_batch
        self.matryoshka_dims = tuple(dim for dim, _ in ordered)
        self.matryoshka_weights = tuple(weight for _, weight in ordered)
        self.n_dims_per_step = n_dims_per_step

    def embed(self, columns: Sequence[Column]) -> list[Tensor]:
        """The embeddings of each column, (rows, dim) each, as the loss within embeds them."""
        return self.loss.embed(columns)

    def targets(self, columns: Sequence[Column], labels: Tensor | None) -> Tensor | None:
        """What the loss within compares embeddings with."""
        return self.loss.targets(columns, labels)

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) for each column, and what the loss within takes as labels → a scalar."""
        width = columns[0].shape[1]
        has_vectors = self.needs.labels == "vector" and labels is not None and labels.shape[-1] == width
        places = list(range(len(self.matryoshka_dims)))
        if 0 < self.n_dims_per_step < len(places):
            places = random.sample(places, self.n_dims_per_step)
        losses = []
        for place in places:
            dim = self.matryoshka_dims[place]
            cut = [first_dimensions(column, dim) for column in columns]
            value = self.loss.from_embeddings(cut, labels[..., :dim] if has_vectors and labels is not None else labels)
            losses.append(self.matryoshka_weights[place] * value)
        return torch.stack(losses).sum()

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "loss": type(self.loss).__name__,
            "matryoshka_dims": self.matryoshka_dims,
            "matryoshka_weights": self.matryoshka_weights,
            "n_dims_per_step": self.n_dims_per_step,
        }
