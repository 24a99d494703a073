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
    description: str = "Encoding"  # of the progress


def embed(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching
) -> NDArray[np.float32]:
    """One vector for each text, (texts, dim)."""
    if engine.by_length:
        return embed_tokenized(engine, tokenize(chain, texts, prompt), chain.dimension, batching)
    lengths = np.ones(len(texts), dtype=np.int32)  # not known yet: a chunk is tokenised while another is computed
    plan = list(batches_by_length(lengths, batching.batch_size or TEXTS_AT_ONCE))
    tokenized = (tokenize(chain, texts[chosen[0] : chosen[-1] + 1], prompt) for chosen in plan)
    return _gathered(engine, plan, one_ahead(tokenized, len(plan)), lengths, chain.dimension, batching)


def embed_tokenized(engine: Engine, tokens: TokenBatch, dimension: int, batching: Batching) -> NDArray[np.float32]:
    """One vector for each text of ``tokens``, (texts, dimension)."""
    plan, batches = _by_length(tokens, batching)
    return _gathered(engine, plan, batches, tokens.lengths, dimension, batching)


def embed_tokens(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching
) -> list[NDArray[np.float32]]:
    """For each text one vector per token, before the pooling, (tokens, hidden)."""
    tokens = tokenize(chain, texts, prompt)
    lengths = tokens.lengths
    plan, batches = _by_length(tokens, batching)
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


def _by_length(tokens: TokenBatch, batching: Batching) -> tuple[list[NDArray[np.intp]], Iterator[TokenBatch]]:
    """Which texts are computed together, and their tokens."""
    plan = list(batches_by_length(tokens.lengths, batching.token_budget, batching.batch_size))
    return plan, (tokens.take(chosen) for chosen in plan)


def _gathered(
    engine: Engine,
    plan: list[NDArray[np.intp]],
    batches: Iterator[TokenBatch],
    lengths: NDArray[np.int32],
    dimension: int,
    batching: Batching,
) -> NDArray[np.float32]:
    """What the engine makes of the batches, each text's in its place, (texts, dimension)."""
    vectors = np.empty((len(lengths), dimension), dtype=np.float32)
    for chosen, part in zip(_watched(plan, lengths, batching), engine.embed(batches), strict=True):
        vectors[chosen] = part
    return vectors


def _watched(
    plan: list[NDArray[np.intp]], lengths: NDArray[np.int32], batching: Batching
) -> Iterable[NDArray[np.intp]]:
    return with_progress(plan, lengths, batching.description) if batching.shows_progress else plan
