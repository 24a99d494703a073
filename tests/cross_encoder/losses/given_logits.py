"""Models of likewise and of sentence-transformers that give the logits of a table, and losses of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.cross_encoder.losses.cases import Case, arguments_of


class Table(nn.Module):
    """What likewise asks of a network; the text "3" is the token 3, and a pair is two tokens."""

    device = torch.device("cpu")

    def __init__(self, logits: NDArray[np.float32]):
        super().__init__()
        self.logits = nn.Parameter(torch.from_numpy(logits.copy()))

    def forward(self, pairs: Any, route: str = "") -> Tensor:
        """(pairs,) → (pairs, classes)."""
        first, second = torch.from_numpy(pairs.ids.reshape(-1, 2).astype(np.int64)).T
        return self.logits[first, second]


class Ours:
    """What a loss of likewise asks of its model."""

    max_seq_length = 2

    def __init__(self, logits: NDArray[np.float32]):
        from likewise.cross_encoder.pairs import PairTemplate

        self.network = Table(logits)
        self.num_labels = logits.shape[2]
        self.pair_template = PairTemplate([], [], [], None)

    def tokenize_texts(self, texts: Sequence[str]) -> Any:
        """A token each."""
        from likewise.tokens import TokenBatch

        ones = np.ones(len(texts), dtype=np.int32)
        offsets = np.arange(len(texts) + 1, dtype=np.int32)
        return TokenBatch(np.array(texts, dtype=np.int32), offsets, ones)


def our_values(case: Case) -> NDArray[np.float32]:
    """The loss of likewise and its gradient: (1 + logits,)."""
    from likewise.cross_encoder import losses

    model = Ours(case.logits)
    loss = getattr(losses, case.loss)(model, **arguments_of(case, losses))
    torch.manual_seed(0)
    return with_gradient(loss(case.columns, case.labels), model.network.logits)


def their_values(case: Case) -> NDArray[np.float32]:
    """The loss of sentence-transformers and its gradient: (1 + logits,)."""
    from sentence_transformers.cross_encoder import CrossEncoder, losses

    class Theirs(CrossEncoder):  # type: ignore[misc]
        def __init__(self, logits: NDArray[np.float32]):
            nn.Module.__init__(self)
            self.table = nn.Parameter(torch.from_numpy(logits.copy()))

        num_labels = case.logits.shape[2]
        device = torch.device("cpu")

        def preprocess(self, pairs: Sequence[tuple[str, str]], **_: Any) -> dict[str, Tensor]:
            return {"pairs": torch.tensor([[int(first), int(second)] for first, second in pairs])}

        def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
            first, second = features["pairs"].T
            return {"scores": self.table[first, second]}

    model = Theirs(case.logits)
    loss = getattr(losses, case.loss)(model, **arguments_of(case, losses))
    labels = case.labels
    if isinstance(labels, list):
        labels = [torch.from_numpy(row) for row in labels]
    elif labels is not None:
        labels = torch.from_numpy(labels)
    torch.manual_seed(0)
    return with_gradient(loss([list(column) for column in case.columns], labels), model.table)


def with_gradient(value: Tensor, logits: nn.Parameter) -> NDArray[np.float32]:
    """The value and all numbers of the gradient, of which a loss without pairs has none."""
    value.backward()
    gradient = torch.zeros_like(logits) if logits.grad is None else logits.grad
    flat = torch.cat([value.detach().reshape(1), gradient.flatten()])
    assert flat.dtype == torch.float32
    return flat.numpy()
