"""Vectors for the chunks of long texts, each seen in the context of the whole (Günther et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.encoding.chunks import LocatedTokens, Span, batch_of, cut, located_tokens, room_for
from likewise.encoding.embed import LONG_TOGETHER, Batching, embed_tokenized, leaves_out, token_vectors
from likewise.engine import Engine

Vectors = NDArray[np.float32]

# Of the tokens of a chunk, (tokens, hidden), and their places in what the model reads, (tokens,), counted from 1. The
# other poolings read a single token, which is a summary of its text at the text's own beginning or end alone.
POOLINGS: dict[str, Callable[[Vectors, NDArray[np.int64]], Any]] = {
    "max": lambda hidden, places: hidden.max(axis=0),
    "mean": lambda hidden, places: hidden.mean(axis=0),
    "mean_sqrt_len_tokens": lambda hidden, places: hidden.sum(axis=0) / np.sqrt(np.float32(len(hidden))),
    "weightedmean": lambda hidden, places: np.average(hidden, axis=0, weights=places),
}


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of one text, in order."""

    spans: NDArray[np.int64]  # (chunks, 2): from which character of the text up to which
    vectors: NDArray[Any]  # (chunks, dim)

    def __len__(self) -> int:
        return len(self.spans)


def embed_chunks(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching, most: int
) -> list[Chunks]:
    """The chunks of each text, of at most ``most`` tokens, with their vectors.

    The model reads a text whole where it can, and each chunk's vector is pooled from its own tokens, which have seen
    all others. Of a text that is too long it reads as many chunks together as it can, the last one of those before
    among them. Where the pooling reads a single token, or the model sees no context, each chunk is read by itself.

    Raises:
        ValueError: The tokenizer does not tell where its tokens stand, or the prompt leaves no room for text.
    """
    find = _in_context if _sees_context(chain) else _by_themselves
    found = []
    for start in range(0, len(texts), LONG_TOGETHER):
        located = located_tokens(chain, texts[start : start + LONG_TOGETHER], prompt)
        spans = [cut(tokens, min(most, room_for(tokens, chain))) for tokens in located]
        ends = np.cumsum(list(map(len, spans)))[:-1]
        vectors = np.split(find(chain, engine, located, spans, batching, leaves_out(chain, prompt)), ends)
        for tokens, own, of_text in zip(located, spans, vectors, strict=True):
            found.append(Chunks(np.array(list(map(tokens.characters, own)), dtype=np.int64), of_text))
    return found


def _sees_context(chain: models.Chain) -> bool:
    """Whether a token's vector depends on the tokens around it, and several of them are pooled by their number."""
    has_weights = any(isinstance(layer, models.WordWeights) for layer in chain.token_layers)
    is_pooled = chain.pooling is not None and set(chain.pooling.modes) <= POOLINGS.keys()
    return isinstance(chain.source, models.Transformer) and is_pooled and not has_weights


def _by_themselves(
    chain: models.Chain,
    engine: Engine,
    located: Sequence[LocatedTokens],
    spans: Sequence[list[Span]],
    batching: Batching,
    skips_prompt: bool,
) -> Vectors:
    pieces = [(tokens, span) for tokens, own in zip(located, spans, strict=True) for span in own]
    return embed_tokenized(engine, batch_of(pieces, skips_prompt), chain.dimension, batching)


def _in_context(
    chain: models.Chain,
    engine: Engine,
    located: Sequence[LocatedTokens],
    spans: Sequence[list[Span]],
    batching: Batching,
    skips_prompt: bool,
) -> Vectors:
    assert chain.pooling is not None
    read: list[tuple[LocatedTokens, Span]] = []
    wanted: list[list[Span]] = []
    for tokens, own in zip(located, spans, strict=True):
        for window, chunks in _windows(own, room_for(tokens, chain)):
            read.append((tokens, window))
            wanted.append(chunks)
    pooled = []
    states = token_vectors(engine, batch_of(read, marks_prompt=False), batching)
    for (tokens, (start, _)), chunks, hidden in zip(read, wanted, states, strict=True):
        for first, last in chunks:
            # The special tokens belong to the first and the last chunk, so a text that is one chunk keeps its vector.
            lower, upper = (place + len(tokens.before) - start for place in (first, last))
            if first == 0:
                lower = len(tokens.before) if skips_prompt else 0
            if last == len(tokens.ids):
                upper = len(hidden)
            lower = min(lower, len(hidden) - 1)
            part, places = hidden[lower:upper], np.arange(lower, upper) + 1
            pooled.append(np.concatenate([POOLINGS[mode](part, places) for mode in chain.pooling.modes]))
    return engine.finish(np.stack(pooled).astype(np.float32))


def _windows(chunks: Sequence[Span], room: int) -> Iterator[tuple[Span, list[Span]]]:
    """What is read at once, ``room`` tokens at most, and the chunks that are taken from it."""
    taken = 0
    while taken < len(chunks):
        context = max(0, taken - 1)  # what came before is seen too, where it leaves room for a new chunk
        if chunks[taken][1] - chunks[context][0] > room:
            context = taken
        start = chunks[context][0]
        stop = taken + 1
        while stop < len(chunks) and chunks[stop][1] - start <= room:
            stop += 1
        yield (start, chunks[stop - 1][1]), list(chunks[taken:stop])
        taken = stop
