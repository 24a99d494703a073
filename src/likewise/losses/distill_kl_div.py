"""Distillation: the distribution of a query's similarity over its passages shall be a teacher's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import pairwise_dot_score

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def distill_kl_div(
    scores: Tensor, teacher: Tensor, student_temperature: float = 1.0, teacher_temperature: float = 1.0
) -> Tensor:
    """Mean of ``KL(softmax(teacher / t) ‖ softmax(scores / s)) s²`` over rows: a scalar.

    Lin et al. 2020, https://arxiv.org/abs/2010.11386; the s² keeps the size of gradients (Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531, section 2). scores and teacher (rows, passages).

    Raises:
        ValueError: The teacher's scores have another shape.
    """
    if teacher.shape != scores.shape:
        raise ValueError(
            f"DistillKLDivLoss needs as its label the teacher's score of the positive and of each negative, "
            f"{tuple(scores.shape)}, but the labels are {tuple(teacher.shape)}"
        )
    ours = (scores / student_temperature).log_softmax(1)
    wanted = (teacher.to(scores.dtype) / teacher_temperature).softmax(1)
    return F.kl_div(ours, wanted, reduction="batchmean") * student_temperature**2


class DistillKLDivLoss(Loss):
    """Mean Kullback-Leibler divergence of the model's distribution over the passages of a query from a teacher's.

    Lin et al. 2020, https://arxiv.org/abs/2010.11386. ``temperature`` divides the scores of both before the softmax;
    ``student_temperature`` and ``teacher_temperature`` replace it on their side.

    Raises:
        ValueError: A temperature is not above 0.
    """

    needs = Needs("a query, a positive and one or more negatives", least=3, most=None, labels="vector")

    def __init__(
        self,
        model: SentenceTransformer,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = pairwise_dot_score,
        temperature: float = 1.0,
        student_temperature: float | None = None,
        teacher_temperature: float | None = None,
    ):
        super().__init__(model)
        self.similarity_fct = similarity_fct
        self.temperature = temperature
        self.student_temperature = temperature if student_temperature is None else student_temperature
        self.teacher_temperature = temperature if teacher_temperature is None else teacher_temperature
        for name in ("temperature", "student_temperature", "teacher_temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)}")

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) at least three times and (rows, columns − 1) → a scalar."""
        assert labels is not None
        query, *others = columns
        scores = torch.stack([self.similarity_fct(query, other) for other in others], dim=1)
        return distill_kl_div(scores, labels, self.student_temperature, self.teacher_temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        found = {"similarity_fct": name_of(self.similarity_fct), "temperature": self.temperature}
        for name in ("student_temperature", "teacher_temperature"):
            if getattr(self, name) != self.temperature:
                found[name] = getattr(self, name)
        return found
