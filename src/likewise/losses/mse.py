"""Distillation: an embedding shall be a teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.losses.loss import Loss, Needs

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def mean_squared_error(columns: Sequence[Tensor], teacher: Tensor) -> Tensor:
    """Mean squared difference between each column, (rows, dim), and the teacher's vectors: a scalar.

    Reimers & Gurevych 2020, https://arxiv.org/abs/2004.09813, section 2. ``teacher`` is (rows, dim), the same for all
    columns, or (rows, columns, dim).

    Raises:
        ValueError: The teacher's vectors have another shape.
    """
    student = torch.stack(list(columns), dim=1)  # (rows, columns, dim)
    rows, count, width = student.shape
    if teacher.shape not in ((rows, width), (rows, count, width)):
        raise ValueError(
            f"MSELoss needs a teacher's vectors as labels, ({rows}, {width}) or ({rows}, {count}, {width}), but they "
            f"are {tuple(teacher.shape)}; where the teacher is wider or narrower, give projection_dim"
        )
    target = teacher if teacher.ndim == 3 else teacher[:, None].expand_as(student)
    return F.mse_loss(student, target.to(student.dtype))


class MSELoss(Loss):
    """Mean squared difference between each text's embedding and a teacher's.

    Reimers & Gurevych 2020, https://arxiv.org/abs/2004.09813, section 2. ``projection_dim`` is the teacher's width,
    where it differs from the model's: ``projection`` then maps the embeddings to it, and learns with them.
    """

    needs = Needs("one or more texts", least=1, most=None, labels="vector")

    def __init__(self, model: SentenceTransformer, projection_dim: int | None = None):
        super().__init__(model)
        self.projection_dim = projection_dim
        self.projection: nn.Module = nn.Identity()
        if projection_dim is not None:
            width = model.get_embedding_dimension()
            self.takes_any_width = False
            self.projection = nn.Linear(width, projection_dim, device=self.network.device)

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) for each column, and (rows, teacher's dim) or (rows, columns, teacher's dim) → a scalar."""
        assert labels is not None
        return mean_squared_error([self.projection(column) for column in columns], labels)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"projection_dim": self.projection_dim}
