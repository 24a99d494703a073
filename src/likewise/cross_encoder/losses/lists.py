"""Lists of documents laid end to end: those of equal length together, and the losses that take lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.cross_encoder.losses.loss import Activation, CrossEncoderLoss
from likewise.losses.columns import AnyColumn, Column, ListColumn
from likewise.losses.loss import Needs
from likewise.tokens import offsets_of

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


def equally_long(scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Iterator[tuple[Tensor, Tensor]]:
    """The scores and the labels of all lists of one length, (lists, length) each, for each length that there is.

    Lists lie end to end in ``scores`` and ``labels``, (documents,); ``counts`` (lists,) are their lengths. So what
    compares the documents of a list with each other needs neither padding nor a loop over lists.
    """
    starts = offsets_of(counts)[:-1]
    for length in np.unique(counts):
        places = starts[counts == length][:, None] + np.arange(length)  # (lists, length)
        chosen = torch.from_numpy(places).to(scores.device)
        yield scores[chosen], labels[chosen]


class ListLoss(CrossEncoderLoss):
    """A loss of a query and the list of its documents; what the losses that take lists share.

    At most ``mini_batch_size`` pairs, of all lists, and ``token_budget`` tokens are computed together; None or 0 leaves
    it to the tokens. They write ``from_lists``.
    """

    needs = Needs("a query and the list of its documents", labels="list")
    takes_lists = True

    def __init__(
        self, model: CrossEncoder, activation_fn: Activation | None = None, mini_batch_size: int | None = None
    ):
        super().__init__(model, activation_fn)
        self.mini_batch_size = mini_batch_size
        self.pairs_at_once = mini_batch_size if mini_batch_size and mini_batch_size > 0 else None

    def from_columns(self, columns: Sequence[AnyColumn], labels: Any | None) -> Tensor:
        """The loss of tokenised columns: a scalar.

        ``labels`` holds a number for each document: a list or an array in each row, or one tensor with those of all
        rows end to end.

        Raises:
            ValueError: A row has no document, or not as many labels as documents.
        """
        queries, lists = columns
        assert isinstance(queries, Column)
        assert isinstance(lists, ListColumn)
        counts = lists.counts
        if not counts.all():
            raise ValueError(f"row {int(np.argmin(counts))} of the batch has no document; leave such rows out")
        rows = np.repeat(np.arange(len(queries)), counts)
        scores = self.scores(queries.tokens, lists.texts.tokens, rows, np.arange(len(rows)))
        return self.from_lists(scores, flat_labels(labels, counts).to(scores), counts)

    def from_lists(self, scores: Tensor, labels: Tensor, counts: NDArray[np.integer]) -> Tensor:
        """The loss of lists end to end, (documents,) twice, of so many documents each, (lists,): a scalar."""
        raise NotImplementedError(f"{type(self).__name__} is not a function of scores and labels alone")

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return super().get_config_dict() | {"mini_batch_size": self.mini_batch_size}


def flat_labels(labels: Any, counts: NDArray[np.integer]) -> Tensor:
    """The labels of all lists end to end, (documents,).

    Raises:
        ValueError: There are not as many labels as documents, in a row or in all.
    """
    if isinstance(labels, Tensor | np.ndarray) and labels.dtype != object:
        numbers = torch.as_tensor(labels).reshape(-1)
    else:
        rows = [torch.as_tensor(row).reshape(-1) for row in labels]
        for place, (row, count) in enumerate(zip(rows, counts.tolist(), strict=False)):
            if len(row) != count and len(rows) == len(counts):
                raise ValueError(
                    f"row {place} of the batch has {count} documents, but {len(row)} labels; a label must be a list "
                    "with a number for each document"
                )
        numbers = torch.cat(rows)
    if len(numbers) != counts.sum():
        raise ValueError(
            f"the batch has {counts.sum()} documents in {len(counts)} lists, but {len(numbers)} labels; a label must "
            "be a list with a number for each document"
        )
    return numbers
