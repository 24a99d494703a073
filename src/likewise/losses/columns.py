"""The columns of a training step → their embeddings: packed together, cut by a token budget, differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.encoding.embed import tokenize
from likewise.losses.replaying import replayed
from likewise.progress import with_progress
from likewise.tokens import TokenBatch, batches_by_length, concatenated, texts_of

if TYPE_CHECKING:
    from likewise.network.sentence_network import RoutedNetwork, SentenceNetwork
    from likewise.sentence_transformer import SentenceTransformer

TOKEN_BUDGET = 4096  # tokens computed together


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a batch: a text of each row."""

    tokens: TokenBatch
    texts: Sequence[str]  # with their prompt, for a guide or a teacher with a tokenizer of its own
    route: str = ""  # of a model with a Router

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One column of a batch: several texts of each row."""

    texts: Column  # of all rows, one row's behind the other's
    counts: NDArray[np.int64]  # (rows,), the texts of each

    def __len__(self) -> int:
        return len(self.counts)


AnyColumn = Column | ListColumn


def column_of(
    model: SentenceTransformer, texts: Sequence[str], prompt: str | None = None, task: str | None = None
) -> Column:
    """Tokenise the texts of a column for ``model``, with ``prompt`` before each, by the route of ``task``."""
    texts = texts_of(texts)
    routes = model.live.routes
    route = routes.name(task)
    return Column(tokenize(routes.chains[route], texts, prompt), [(prompt or "") + text for text in texts], route)


def embed_columns(
    network: SentenceNetwork | RoutedNetwork,
    columns: Sequence[Column],
    token_budget: int = TOKEN_BUDGET,
    texts_at_once: int | None = None,
    replays: bool = False,
    shows_progress: bool = False,
) -> list[Tensor]:
    """The embeddings of each column, (texts, dim) each; differentiable.

    All columns are sorted by length together and computed in chunks of at most ``token_budget`` tokens and
    ``texts_at_once`` texts. With ``replays``, a chunk is computed again when its gradient is wanted, under the same
    random state, instead of being remembered until then (Gao et al. 2021, GradCache: https://arxiv.org/abs/2101.06983,
    section 3): memory then holds one chunk, whatever the number of texts.
    """
    embeddings: list[Tensor | None] = [None] * len(columns)
    for route in dict.fromkeys(column.route for column in columns):
        places = [place for place, column in enumerate(columns) if column.route == route]
        batch = concatenated([columns[place].tokens for place in places])

        def embed(part: TokenBatch, route: str = route) -> Tensor:
            vectors: Tensor = network(part, route)
            return vectors

        shown = "Embedding" if shows_progress else ""
        vectors = computed_by_length(embed, batch, network, token_budget, texts_at_once, replays, shown)
        for place, part in zip(places, vectors.split([len(columns[place]) for place in places]), strict=True):
            embeddings[place] = part
    return [part for part in embeddings if part is not None]


def computed_by_length(
    compute: Callable[[TokenBatch], Tensor],
    batch: TokenBatch,
    network: nn.Module,
    token_budget: int,
    texts_at_once: int | None,
    replays: bool,
    shown: str = "",
) -> Tensor:
    """What ``compute``, by ``network``, makes of the texts of ``batch``, a row each, in their order; in chunks.

    See ``embed_columns``. With ``shown``, a progress bar has that name.
    """
    order = list(batches_by_length(batch.lengths, token_budget, texts_at_once))
    watched = with_progress(order, batch.lengths, shown) if shown else order

    def of_texts(chosen: NDArray[np.intp]) -> Tensor:
        return compute(batch.take(chosen))

    if replays and torch.is_grad_enabled():
        parts = replayed(of_texts, watched, network)
    else:
        parts = [of_texts(chosen) for chosen in watched]
    back = torch.from_numpy(np.argsort(np.concatenate(order))).to(parts[0].device)
    return torch.cat(parts)[back]  # in their own order again
