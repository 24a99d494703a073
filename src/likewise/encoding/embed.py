"""Many texts → their vectors, in the order of the texts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.encoding.chunks import batch_of, cut, located_tokens, room_for
from likewise.encoding.report import EncodingReport, empty_report
from likewise.engine import Engine
from likewise.progress import with_progress
from likewise.similarity import normalize_embeddings
from likewise.tokens import TEXTS_AT_ONCE, LoneSurrogate, TokenBatch, batches_by_length, one_ahead

LONG_TEXTS = ("truncate", "chunk", "error")  # what is done with texts that have more tokens than the model reads
OVERLAP = 1 / 8  # of a chunk, for what is said across a border
LONG_TOGETHER = 256  # long texts: their tokens with their places take memory

SORTED_TOGETHER = 4 * TEXTS_AT_ONCE  # the first of them are computed while the others are still text


@dataclass(frozen=True)
class Batching:
    """How texts are cut into batches."""

    token_budget: int | None  # tokens computed together; None: as many as the engine computes best
    batch_size: int | None  # texts computed together
    shows_progress: bool
    description: str = "Encoding"  # of the progress


def embed(
    chain: models.Chain,
    engine: Engine,
    texts: Sequence[str],
    prompt: str | None,
    batching: Batching,
    long_texts: str = "truncate",
) -> tuple[NDArray[np.float32], EncodingReport]:
    """One vector for each text, (texts, dim), and what was read of it.

    While some texts are computed, the next ones are tokenised. ``long_texts``, one of LONG_TEXTS, says what becomes of
    those that have more tokens than the model reads.

    Raises:
        ValueError: A text is too long, where that is an error.
    """
    count = SORTED_TOGETHER if engine.by_length else batching.batch_size or TEXTS_AT_ONCE
    starts = range(0, len(texts), count)
    tokenized = one_ahead((_tokenized_from(start, count, chain, texts, prompt) for start in starts), len(starts))
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))  # characters: tokens are not known yet
    report = empty_report(chain.source.max_seq_length, len(texts))

    def batches() -> Iterator[tuple[NDArray[np.intp], TokenBatch]]:
        for start, tokens in zip(starts, tokenized, strict=True):
            report.tokens[start : start + len(tokens)] = tokens.full_lengths
            report.read[start : start + len(tokens)] = tokens.lengths
            computed = np.arange(len(tokens))
            if long_texts != "truncate" and (is_long := tokens.full_lengths > tokens.lengths).any():
                if long_texts == "error":
                    report.check()
                computed = computed[~is_long]
                tokens = tokens.take(computed)
            if engine.by_length:
                for chosen, batch in zip(*_by_length(engine, tokens, batching), strict=True):
                    yield start + computed[chosen], batch
            elif len(tokens):
                yield start + computed, tokens

    def long(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.intp]]:
        found = report.cut if long_texts == "chunk" else np.empty(0, dtype=np.intp)
        for some in np.split(found, range(LONG_TOGETHER, len(found), LONG_TOGETHER)):
            if len(some):
                vectors[some] = _embed_in_chunks(chain, engine, [texts[place] for place in some], prompt, batching)
                yield some
        report.read[found] = report.tokens[found]

    return _gathered(engine, batches(), sizes, chain.dimension, batching, long), report


def embed_tokenized(engine: Engine, tokens: TokenBatch, dimension: int, batching: Batching) -> NDArray[np.float32]:
    """One vector for each text of ``tokens``, (texts, dimension)."""
    batches = zip(*_by_length(engine, tokens, batching), strict=True)
    return _gathered(engine, batches, tokens.lengths, dimension, batching)


def embed_tokens(
    chain: models.Chain,
    engine: Engine,
    texts: Sequence[str],
    prompt: str | None,
    batching: Batching,
    long_texts: str = "truncate",
) -> tuple[list[NDArray[np.float32]], EncodingReport]:
    """For each text one vector per token, before the pooling, (tokens, hidden), and what was read of it.

    Raises:
        ValueError: A text is too long, where that is an error.
    """
    tokens = tokenize(chain, texts, prompt)
    lengths = tokens.lengths
    report = EncodingReport(chain.source.max_seq_length, tokens.full_lengths, lengths)
    if long_texts == "error":
        report.check()
    return token_vectors(engine, tokens, batching), report


def token_vectors(engine: Engine, tokens: TokenBatch, batching: Batching) -> list[NDArray[np.float32]]:
    """For each text of ``tokens`` one vector per token, before the pooling, (tokens, hidden)."""
    lengths = tokens.lengths
    plan, batches = _by_length(engine, tokens, batching)
    found: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(tokens)
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
    return chain.source.tokenize(texts, prompt if leaves_out(chain, prompt) else None)


def leaves_out(chain: models.Chain, prompt: str | None) -> bool:
    """Whether there is a prompt, and the pooling of ``chain`` does not count its tokens."""
    return bool(prompt) and chain.pooling is not None and not chain.pooling.include_prompt


def _embed_in_chunks(
    chain: models.Chain, engine: Engine, texts: Sequence[str], prompt: str | None, batching: Batching
) -> NDArray[np.float32]:
    """The mean of the vectors of each text's chunks, weighted by their tokens, (texts, dim)."""
    spans = []
    counts = []
    for tokens in located_tokens(chain, texts, prompt):
        room = room_for(tokens, chain)
        own = cut(tokens, room, int(room * OVERLAP))
        spans += [(tokens, span) for span in own]
        counts.append(len(own))
    vectors = embed_tokenized(
        engine, batch_of(spans, leaves_out(chain, prompt)), chain.dimension, replace(batching, shows_progress=False)
    )
    weights = np.array([last - first for _, (first, last) in spans], dtype=np.float32)
    ends = np.cumsum(counts)
    means = np.stack(
        [
            np.average(vectors[end - count : end], axis=0, weights=weights[end - count : end])
            for end, count in zip(ends, counts, strict=True)
        ]
    ).astype(np.float32)
    return normalize_embeddings(means) if chain.is_normalized else means


def _by_length(
    engine: Engine, tokens: TokenBatch, batching: Batching
) -> tuple[list[NDArray[np.intp]], Iterator[TokenBatch]]:
    """Which texts are computed together, and their tokens."""
    budget = batching.token_budget or engine.token_budget
    plan = list(batches_by_length(tokens.lengths, budget, batching.batch_size))
    return plan, (tokens.take(chosen) for chosen in plan)


def _tokenized_from(
    start: int, count: int, chain: models.Chain, texts: Sequence[str], prompt: str | None
) -> TokenBatch:
    try:
        return tokenize(chain, texts[start : start + count], prompt)
    except LoneSurrogate as error:
        raise error.at(start + error.position) from None


def _gathered(
    engine: Engine,
    batches: Iterable[tuple[NDArray[np.intp], TokenBatch]],
    sizes: NDArray[np.integer],
    dimension: int,
    batching: Batching,
    rest: Callable[[NDArray[np.float32]], Iterable[NDArray[np.intp]]] = lambda _: (),
) -> NDArray[np.float32]:
    """What the engine makes of the batches, each text's in its place, (texts, dimension).

    ``rest`` fills in what is in no batch, and tells of which texts it was.
    """
    vectors = np.empty((len(sizes), dimension), dtype=np.float32)
    asked: deque[NDArray[np.intp]] = deque()  # which texts the engine has been given, and not answered yet

    def given() -> Iterator[TokenBatch]:
        for chosen, batch in batches:
            asked.append(chosen)
            yield batch

    def answered() -> Iterator[NDArray[np.intp]]:
        for part in engine.embed(given()):
            chosen = asked.popleft()
            vectors[chosen] = part
            yield chosen
        yield from rest(vectors)

    for _ in _watched(answered(), sizes, batching):
        pass
    return vectors


def _watched(
    batches: Iterable[NDArray[np.intp]], sizes: NDArray[np.integer], batching: Batching
) -> Iterable[NDArray[np.intp]]:
    return with_progress(batches, sizes, batching.description) if batching.shows_progress else batches
