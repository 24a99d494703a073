"""Classification: how two sentences relate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from likewise.losses.loss import Loss, Needs

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def pair_features(
    u: Tensor, v: Tensor, with_both: bool = True, with_difference: bool = True, with_product: bool = False
) -> Tensor:
    """What the classifier sees of a pair: (u, v), |u − v| and u ∗ v by element, those chosen, end to end.

    Reimers & Gurevych 2019, section 3, by default (u, v, |u − v|); their Table 6 compares the others. (rows, dim)
    twice → (rows, dim times the number of vectors).
    """
    parts = [u, v] if with_both else []
    if with_difference:
        parts.append((u - v).abs())
    if with_product:
        parts.append(u * v)
    return torch.cat(parts, dim=1)


class SoftmaxLoss(Loss):
    """Cross-entropy of ``softmax(W (u, v, |u − v|))``: the classification objective.

    Reimers & Gurevych 2019, section 3. ``classifier`` holds W and, beyond the paper, a bias; both are among
    ``parameters()``. It sees embeddings of ``embedding_dimension`` numbers, the model's own by default, once called
    ``sentence_embedding_dimension``. ``loss_fct`` takes logits (rows, num_labels) and classes (rows,).

    Raises:
        ValueError: None of the concatenations is chosen.
    """

    needs = Needs("two texts", labels="class")
    takes_any_width = False

    def __init__(
        self,
        model: SentenceTransformer,
        embedding_dimension: int | None = None,
        num_labels: int | None = None,
        concatenation_sent_rep: bool = True,
        concatenation_sent_difference: bool = True,
        concatenation_sent_multiplication: bool = False,
        loss_fct: Callable[[Tensor, Tensor], Tensor] | None = None,
        sentence_embedding_dimension: int | None = None,
    ):
        super().__init__(model)
        if num_labels is None:
            raise TypeError("SoftmaxLoss needs num_labels, the number of classes")
        vectors = 2 * concatenation_sent_rep + concatenation_sent_difference + concatenation_sent_multiplication
        if vectors == 0:
            raise ValueError(
                "SoftmaxLoss sees nothing of a pair: choose one of concatenation_sent_rep, "
                "concatenation_sent_difference and concatenation_sent_multiplication"
            )
        self.embedding_dimension = (
            embedding_dimension or sentence_embedding_dimension or model.get_embedding_dimension()
        )
        self.num_labels = num_labels
        self.concatenation_sent_rep = concatenation_sent_rep
        self.concatenation_sent_difference = concatenation_sent_difference
        self.concatenation_sent_multiplication = concatenation_sent_multiplication
        self.classifier = nn.Linear(vectors * self.embedding_dimension, num_labels, device=self.network.device)
        self.loss_fct = nn.CrossEntropyLoss() if loss_fct is None else loss_fct

    def logits(self, columns: Sequence[Tensor]) -> Tensor:
        """The scores of all classes before the softmax: (rows, dim) twice → (rows, num_labels).

        Raises:
            ValueError: The embeddings are not as wide as the loss was told.
        """
        u, v = columns
        if u.shape[1] != self.embedding_dimension:
            raise ValueError(
                f"the model's embeddings have {u.shape[1]} dimensions, but SoftmaxLoss was made with "
                f"embedding_dimension={self.embedding_dimension}"
            )
        features = pair_features(
            u,
            v,
            self.concatenation_sent_rep,
            self.concatenation_sent_difference,
            self.concatenation_sent_multiplication,
        )
        scores: Tensor = self.classifier(features.to(self.classifier.weight.dtype))
        return scores

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) twice and classes (rows,), or the probability of each class (rows, num_labels) → a scalar.

        Raises:
            ValueError: A label is no class.
        """
        assert labels is not None
        scores = self.logits(columns)
        if self.num_labels == 1 or labels.shape != scores.shape:
            labels = labels.view(-1)
            if isinstance(self.loss_fct, nn.CrossEntropyLoss):
                labels = whole_classes(labels, self.num_labels, self.loss_fct.ignore_index)
        return self.loss_fct(scores, labels)

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "num_labels": self.num_labels,
            "concatenation_sent_rep": self.concatenation_sent_rep,
            "concatenation_sent_difference": self.concatenation_sent_difference,
            "concatenation_sent_multiplication": self.concatenation_sent_multiplication,
        }


def whole_classes(labels: Tensor, count: int, ignored: int) -> Tensor:
    """The labels as whole numbers, all of them one of ``count`` classes or ``ignored``.

    Raises:
        ValueError: A label is no class; on a GPU, torch would report it by an assertion that names nothing.
    """
    classes = labels.long()
    wrong = (classes != labels) | ((classes < 0) | (classes >= count)) & (classes != ignored)
    if wrong.any():
        found = labels[wrong][0].item()
        raise ValueError(f"the label {found:g} is no class: with num_labels={count} they are 0 to {count - 1}")
    return classes
