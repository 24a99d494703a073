"""A loss and its gradients for given embeddings, computed by likewise or by sentence-transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.peer.loss_batches import WIDTH, Batch
from tests.peer.loss_cases import Arguments, Package, cases
from tests.peer.ranking_cases import GUIDE, of_model


class Network(nn.Module):
    """Gives what it is given; without weights, so that the parameters of a loss are its own."""

    max_seq_length = 1
    device = torch.device("cpu")

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """What a loss of sentence-transformers asks of its model."""
        return {"sentence_embedding": features["embeddings"]}

    def get_embedding_dimension(self) -> int:
        """The width of every embedding."""
        return WIDTH

    def __getitem__(self, place: int) -> nn.Module:
        """A module of the model, by which sentence-transformers tells what cannot be cut into mini-batches."""
        return self

    def guide(self) -> nn.Module:
        """A second model."""
        return Guide()

    @property
    def tokenizer(self) -> Any:
        """One of Transformers', for which a loss of sentence-transformers looks; the guide has the same."""
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"tea": 0}, unk_token="tea")))

    @property
    def network(self) -> nn.Module:
        """What a loss of likewise asks of its model."""
        return self


class Guide(Network):
    """Gives the embeddings that it is given, each number times another."""

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """What a loss of sentence-transformers asks of a guide."""
        return {"sentence_embedding": features["embeddings"] * torch.from_numpy(GUIDE)}


Call = Callable[[Any, list[Tensor], Tensor | None], Tensor]  # a loss, embedded columns, labels → a scalar


def theirs(loss: Any, columns: list[Tensor], labels: Tensor | None) -> Tensor:
    """How a loss of sentence-transformers is called."""
    value: Tensor = loss([{"embeddings": column} for column in columns], labels)
    return value


def ours(loss: Any, columns: list[Tensor], labels: Tensor | None) -> Tensor:
    """How the core of a loss of likewise is called."""
    value: Tensor = loss.from_embeddings(columns, labels)
    return value


def values(package: Package, loss: str, call: Call) -> dict[str, NDArray[np.float32]]:
    """By case of ``loss``: its value, then all its gradients, of the columns and of its own weights, end to end."""
    kind = getattr(package.losses, loss.split("-")[0])
    return {name: value_and_gradients(package, kind, call, batch, make) for name, batch, make in cases(loss)}


def value_and_gradients(
    package: Package, kind: Callable[..., Any], call: Call, batch: Batch, arguments: Arguments
) -> NDArray[np.float32]:
    """One case: (1 + rows × WIDTH of each column + numbers in each weight,)."""
    model = Network()
    loss = kind(model, **of_model(arguments(package), model))
    weights = [weight for _, weight in sorted(loss.named_parameters())]
    random = np.random.RandomState(0)
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.from_numpy(random.standard_normal(tuple(weight.shape)) * 0.5))
    columns = [torch.from_numpy(column.copy()).requires_grad_() for column in batch.columns]
    value = call(loss, columns, None if batch.labels is None else torch.from_numpy(batch.labels.copy()))
    value.backward()
    gradients = [torch.zeros_like(part) if part.grad is None else part.grad for part in (*columns, *weights)]
    flat = torch.cat([value.detach().reshape(1), *(gradient.flatten() for gradient in gradients)])
    assert flat.dtype == torch.float32
    return flat.numpy()


def write(path: Path, found: dict[str, NDArray[np.float32]]) -> None:
    """Save what ``values`` gives, end to end: a thousand small arrays in one file are mostly headers."""
    lengths = [len(numbers) for numbers in found.values()]
    np.savez_compressed(path, names=list(found), lengths=lengths, values=np.concatenate(list(found.values())))


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """What ``write`` has saved."""
    with np.load(path) as arrays:
        parts = np.split(arrays["values"], np.cumsum(arrays["lengths"])[:-1])
        return dict(zip(arrays["names"].tolist(), parts, strict=True))
