"""Many texts → their vectors, in the order of the texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.engine import Engine
from likewise.progress import with_progress
from likewise.tokens import TEXTS_AT_ONCE, TokenBatch, batches_by_length, one_ahead


@dataclass(frozen=True)
class Batching:
    """How texts are cut into batches."""

    token_budget: int  # tokens computed together
    batch_size: int | None  # texts computed together
    shows_progress: bool


def embed(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching
) -> NDArray[np.float32]:
    """One vector for each text, (texts, dim)."""
    batches: Iterator[TokenBatch]
    if engine.by_length:
        plan, batches, lengths = _by_length(chain, texts, prompt, batching)
    else:
        lengths = np.ones(len(texts), dtype=np.int32)  # not known yet: a chunk is tokenised while another is computed
        plan = list(batches_by_length(lengths, batching.batch_size or TEXTS_AT_ONCE))
        tokenized = (tokenize(chain, texts[chosen[0] : chosen[-1] + 1], prompt) for chosen in plan)
        batches = one_ahead(tokenized, len(plan))
    vectors = np.empty((len(texts), chain.dimension), dtype=np.float32)
    for chosen, part in zip(_watched(plan, lengths, batching), engine.embed(batches), strict=True):
        vectors[chosen] = part
    return vectors


def embed_tokens(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching
) -> list[NDArray[np.float32]]:
    """For each text one vector per token, before the pooling, (tokens, hidden)."""
    plan, batches, lengths = _by_length(chain, texts, prompt, batching)
    found: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(texts)
    for chosen, vectors in zip(_watched(plan, lengths, batching), engine.token_vectors(batches), strict=True):
        ends = np.cumsum(lengths[chosen])[:-1]
        for index, of_text in zip(chosen, np.split(vectors, ends), strict=True):
            found[index] = of_text
    return found


def tokenize(chain: models.Chain, texts: Sequence[str], prompt: str | None) -> TokenBatch:
    """The texts as packed tokens, with ``prompt`` before each; it is marked where the pooling leaves it out.

    Texts that are parts of pairs have no special tokens yet.
    """
    if prompt:
        texts = [prompt + text for text in texts]
    if chain.reads_pairs:
        assert isinstance(chain.source, models.Transformer)
        return chain.source.tokenize_parts(texts)
    leaves_prompt_out = chain.pooling is not None and not chain.pooling.include_prompt
    return chain.source.tokenize(texts, prompt if leaves_prompt_out else None)


def _by_length(
    chain: models.Chain, texts: Sequence[str], prompt: str | None, batching: Batching
) -> tuple[list[NDArray[np.intp]], Iterator[TokenBatch], NDArray[np.int32]]:
    batch = tokenize(chain, texts, prompt)
    plan = list(batches_by_length(batch.lengths, batching.token_budget, batching.batch_size))
    return plan, (batch.take(chosen) for chosen in plan), batch.lengths


def _watched(
    plan: list[NDArray[np.intp]], lengths: NDArray[np.int32], batching: Batching
) -> Iterable[NDArray[np.intp]]:
    return with_progress(plan, lengths) if batching.shows_progress else plan
