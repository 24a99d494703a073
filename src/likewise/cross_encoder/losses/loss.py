"""What a loss of a cross-encoder is: the scores of a batch's pairs, and its labels, to one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.cross_encoder.losses.columns import column_of
from likewise.cross_encoder.pairs import joined
from likewise.losses.columns import AnyColumn, Column, ListColumn, computed_by_length
from likewise.losses.loss import Loss
from likewise.tokens import TokenBatch, concatenated

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder

Activation = Callable[[Tensor], Tensor]


class CrossEncoderLoss(Loss):
    """An objective for the cross-encoder ``model``; ``parameters()`` are the model's and the loss's own.

    The first text of a row is paired with each of its others, as ``documents`` says. Most losses write only
    ``from_scores``, which gets the logits after ``activation_fn``.

    Raises:
        ValueError: The model gives another number of scores for a pair than the loss is for, or is a language model.
    """

    model: CrossEncoder  # type: ignore[assignment]
    needs_one_label: bool = True  # of the model: one score for a pair
    takes_lists: bool = False  # whether the second column holds a list of texts in each row
    pairs_at_once: int | None = None  # at most computed together, beside token_budget
    shows_progress: bool = False

    def __init__(self, model: CrossEncoder, activation_fn: Activation | None = None):
        name, labels = type(self).__name__, getattr(model, "num_labels", None)
        if labels is None:
            raise ValueError(
                f"{name} of likewise.cross_encoder.losses is for a CrossEncoder, not for a {type(model).__name__}; its "
                "losses are in likewise.losses"
            )
        if self.needs_one_label and labels != 1:
            raise ValueError(
                f"{name} needs a model with one score for a pair, but this one has {labels}; make it with "
                "CrossEncoder(…, num_labels=1), or use CrossEntropyLoss for classes"
            )
        if getattr(model, "is_language_model", False):
            raise ValueError(
                f"{name} cannot train {model.name}: training language models that score pairs is not there yet"
            )
        super().__init__(cast(Any, model))
        self.activation_fn = nn.Identity() if activation_fn is None else activation_fn

    def forward(
        self,
        texts: Sequence[AnyColumn | Sequence[str] | Sequence[Sequence[str]]],
        labels: Tensor | Sequence[Any] | None = None,
    ) -> Tensor:
        """The loss of a batch: a scalar.

        ``texts`` holds a column for each text of a row, each a list of strings or a Column of tokens without special
        ones, all equally long; for a loss that ``takes_lists``, the second is a list of lists of strings or a
        ListColumn. Any array or list may be the ``labels``; see ``from_columns``.

        Raises:
            ValueError: There are too few columns or too many, of another kind, not equally long, or labels are missing.
        """
        columns = [column_of(self.model, column) for column in texts]
        self.check_columns(len(columns), labels is not None)
        self._check_kinds(columns)
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise ValueError(f"the columns of a batch must be equally long, but their lengths are {lengths}")
        return self.from_columns(columns, labels)

    def from_columns(self, columns: Sequence[AnyColumn], labels: Any | None) -> Tensor:
        """The loss of tokenised columns and labels, (rows,) or (rows, numbers): a scalar.

        Raises:
            ValueError: There are not as many labels as rows.
        """
        rows = len(columns[0])
        texts = [column for column in columns if isinstance(column, Column)]
        documents = self.documents(rows, len(texts) - 1)
        queries = np.repeat(np.arange(rows), documents.shape[1])
        others = concatenated([column.tokens for column in texts[1:]])
        scores = self.scores(texts[0].tokens, others, queries, documents.reshape(-1)).view(rows, -1)
        if labels is None or not self.needs.labels:
            return self.from_scores(scores)
        numbers = torch.as_tensor(np.asarray(labels) if isinstance(labels, Sequence) else labels)
        if len(numbers) != rows:
            raise ValueError(
                f"a batch must have a label for each row, but it has {rows} rows and {len(numbers)} labels"
            )
        return self.from_scores(scores, numbers.to(scores.device))

    def documents(self, rows: int, columns: int) -> NDArray[np.intp]:
        """What each row's query is paired with: (rows, pairs of a row), places in all other columns end to end."""
        return np.arange(rows)[:, None] + rows * np.arange(columns)

    def scores(
        self, left: TokenBatch, right: TokenBatch, queries: NDArray[np.intp], documents: NDArray[np.intp]
    ) -> Tensor:
        """What the model gives for the pairs of these texts, after ``activation_fn``: (pairs,), or (pairs, classes).

        They are computed in chunks of at most ``token_budget`` tokens and ``pairs_at_once`` pairs of similar length.
        """
        pairs = joined(left.take(queries), right.take(documents), self.model.pair_template, self.model.max_seq_length)
        shown = "Scoring" if self.shows_progress else ""
        logits = computed_by_length(
            self.network, pairs, self.network, self.token_budget, self.pairs_at_once, self.replays, shown
        )
        return self.activation_fn(logits.view(-1) if self.needs_one_label else logits)

    def from_scores(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """The loss of (rows, pairs of a row) scores and (rows,) or (rows, numbers) labels: a scalar."""
        raise NotImplementedError(f"{type(self).__name__} is not a function of scores alone")

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {"activation_fn": kind_of(self.activation_fn)}

    def _check_kinds(self, columns: Sequence[AnyColumn]) -> None:
        """Raise ValueError unless lists of texts are where the loss takes them, and nowhere else."""
        for place, column in enumerate(columns, 1):
            is_list, takes_list = isinstance(column, ListColumn), self.takes_lists and place == 2
            if is_list and not takes_list:
                raise ValueError(
                    f"{type(self).__name__} needs {self.needs.columns}, but column {place} has a list of texts in each "
                    "row; give one text a row" + ("" if self.takes_lists else ", or use a loss such as LambdaLoss")
                )
            if takes_list and not is_list:
                raise ValueError(
                    f"{type(self).__name__} needs {self.needs.columns}, but column {place} has one text in each row; "
                    "put all documents of a query into one list, or use a loss such as BinaryCrossEntropyLoss"
                )


def kind_of(part: Callable[..., Any]) -> str:
    """What an activation or a weight is called on the model card: its own name, or that of its class."""
    return getattr(part, "__name__", type(part).__name__)
