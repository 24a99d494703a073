"""What a loss is: the embeddings of a batch's columns, and its labels, to one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from likewise.losses.columns import TOKEN_BUDGET, Column, column_of, embed_columns

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Labels = Literal["class", "binary", "unit", "score", "scores", "vector", "list"]


@dataclass(frozen=True)
class Needs:
    """What a loss needs of its data; an error tells it to whoever gives something else."""

    columns: str  # in words: "two texts (a sentence, another sentence)"
    least: int = 2  # columns of text
    most: int | None = 2  # None: any number
    # A class (0, 1, 2), yes or no (0, 1), a similarity (0 to 1), any number, one or several, several numbers a row, or
    # as many as the row has documents; None: no label.
    labels: Labels | None = None


class Loss(nn.Module):
    """An objective for ``model``; ``parameters()`` are the model's and the loss's own.

    Most losses write only ``from_embeddings``. Those for which embeddings are not enough replace ``embed`` (how columns
    are embedded), ``targets`` (what they are compared with: raw texts for a guide) or ``from_columns`` (tokens for a
    decoder).
    """

    needs: Needs
    draws_negatives_from_batch: bool = False  # then rows of a batch must not be grouped by length
    takes_lists: bool = False  # whether the second column holds a list of texts in each row
    takes_any_width: bool = True  # whether from_embeddings does: MatryoshkaLoss gives it the first dimensions alone

    def __init__(self, model: SentenceTransformer):
        super().__init__()
        self.model = model
        self.network = model.network
        self.token_budget = TOKEN_BUDGET  # tokens computed together
        self.replays = False  # whether chunks are computed twice instead of being remembered: less memory, slower

    def forward(self, texts: Sequence[Sequence[str] | Column], labels: Tensor | Sequence[Any] | None = None) -> Any:
        """The loss of a batch: a scalar.

        ``texts`` holds a column for each text of a row, each a list of strings or a Column, all equally long. Any
        array or list may be the ``labels``, (rows,) or (rows, numbers).

        Raises:
            ValueError: There are too few columns or too many, they are not equally long, or labels are missing.
        """
        columns = [column if isinstance(column, Column) else column_of(self.model, column) for column in texts]
        self.check_columns(len(columns), labels is not None)
        if labels is not None:
            labels = torch.as_tensor(np.asarray(labels) if isinstance(labels, Sequence) else labels)
            labels = labels.to(self.network.device)
        lengths = [len(column) for column in columns] + ([] if labels is None else [len(labels)])
        if len(set(lengths)) > 1:
            kinds = "columns of text" if labels is None else "columns of text and labels"
            raise ValueError(f"the {kinds} of a batch must be equally long, but their lengths are {lengths}")
        return self.from_columns(columns, labels)

    def from_columns(self, columns: Sequence[Column], labels: Tensor | None) -> Any:
        """The loss of tokenised columns: a scalar."""
        return self.from_embeddings(self.embed(columns), self.targets(columns, labels))

    def embed(self, columns: Sequence[Column]) -> list[Tensor]:
        """The embeddings of each column, (rows, dim) each."""
        return embed_columns(self.network, columns, self.token_budget, replays=self.replays)

    def targets(self, columns: Sequence[Column], labels: Tensor | None) -> Tensor | None:
        """What ``from_embeddings`` gets as its labels, by default those of the data."""
        return labels

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of embedded columns, (rows, dim) each: a scalar."""
        raise NotImplementedError(f"{type(self).__name__} is not a function of embeddings alone")

    def check_columns(self, count: int, has_labels: bool, names: Sequence[str] = ()) -> None:
        """Raise ValueError, which says what this loss needs, unless ``count`` columns of text and labels fit it."""
        too_many = self.needs.most is not None and count > self.needs.most
        if count < self.needs.least or too_many or (self.needs.labels and not has_labels):
            label = f" and {WORDS[self.needs.labels]}" if self.needs.labels else ""
            named = f" ({', '.join(names)})" if names else ""
            columns = f"{count} column{'s' * (count != 1)} of text{named}"
            found = f"{columns} and {'labels' if has_labels else 'no labels'}"
            raise ValueError(f"{type(self).__name__} needs {self.needs.columns}{label}, but the data has {found}")

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {}


WORDS: dict[Labels, str] = {
    "class": "a class as the label (0, 1, 2 …)",
    "binary": "a label of 1 (alike) or 0 (not alike)",
    "unit": "a similarity from 0 to 1 as the label",
    "score": "a number as the label",
    "scores": "a number or several as the label",
    "vector": "several numbers as the label",
    "list": "a label with a number for each document",
}


def name_of(function: Callable[..., Any]) -> str:
    """What a similarity or a distance is called on the model card."""
    return getattr(function, "__name__", str(function))
