"""Texts → what the engine makes of them, by this process or by others, and not again what a cache has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from likewise.encoding.cache import EmbeddingCache
from likewise.encoding.embed import Batching, embed, embed_tokens
from likewise.encoding.report import EncodingReport, empty_report
from likewise.engine.live import LiveModel

if TYPE_CHECKING:
    from likewise.encoding.processes import ProcessPool


@dataclass(frozen=True)
class Work:
    """What decides the vectors of texts, and how they are computed."""

    route: str
    prompt: str | None
    batching: Batching
    of_tokens: bool  # one vector for each token, not for each text
    deterministic: bool  # the same bits, whatever is computed together
    long_texts: str  # one of LONG_TEXTS

    @property
    def quietly(self) -> Work:
        """The same, without showing progress."""
        return replace(self, batching=replace(self.batching, shows_progress=False))


class Model(Protocol):
    """What computes: its live representation, and what tells it from others."""

    @property
    def live(self) -> LiveModel:
        """Its live representation."""
        ...

    @property
    def fingerprint(self) -> str:
        """What tells it from every other."""
        ...


# Texts → their vectors as float32 (texts, dim), or a list of those of their tokens, and what was read of each text.
Compute = Callable[[Sequence[str], Work], tuple[Any, EncodingReport]]


def computer(
    model: Model, workers: ProcessPool | None, chunk_size: int | None, cache: EmbeddingCache | None
) -> Compute:
    """What computes for ``model``: this process or the ``workers``, and only what is not in ``cache``."""
    compute: Compute = partial(computed, model)
    if workers is not None:
        compute = partial(_computed_by, workers, chunk_size, model)
    return compute if cache is None else partial(_cached, cache, compute, model)


def computed(model: Model, texts: Sequence[str], work: Work) -> tuple[Any, EncodingReport]:
    """What the engine of ``model`` makes of ``texts``. Workers find it by its name."""
    chain, engine = model.live.routes.chains[work.route], model.live.engine(work.route)
    engine = engine.deterministic() if work.deterministic else engine
    compute: Callable[..., tuple[Any, EncodingReport]] = embed_tokens if work.of_tokens else embed
    return compute(chain, engine, texts, work.prompt, work.batching, work.long_texts)


def _computed_by(
    workers: ProcessPool, chunk_size: int | None, model: Model, texts: Sequence[str], work: Work
) -> tuple[Any, EncodingReport]:
    chain, count = model.live.routes.chains[work.route], len(texts)
    found: Any = [None] * count if work.of_tokens else np.empty((count, chain.dimension), dtype=np.float32)
    report = empty_report(chain.source.max_seq_length, count)
    progress = work.batching.description if work.batching.shows_progress else None
    for place, (part, told) in workers.computed(computed, texts, {"work": work.quietly}, chunk_size, progress):
        found[place], report.tokens[place], report.read[place] = part, told.tokens, told.read
    return found, report


def _cached(
    cache: EmbeddingCache, compute: Compute, model: Model, texts: Sequence[str], work: Work
) -> tuple[Any, EncodingReport]:
    """For what ``cache`` has, neither an engine nor a tokenizer is needed."""
    chain = model.live.routes.chains[work.route]
    is_whole = work.long_texts == "chunk"
    decisive: tuple[object, ...] = (
        model.fingerprint,
        model.live.rounding(work.route),
        work.route,
        work.prompt or "",
        is_whole,
    )
    if work.deterministic and not model.live.is_deterministic(work.route):
        decisive = (*decisive, "deterministic")
    scope = repr(decisive)
    # What is too long is told below, by its place among all texts.
    quietly = replace(work.quietly, long_texts="chunk" if is_whole else "truncate")

    def missing(some: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        vectors, report = compute(some, quietly)
        return vectors, report.tokens

    vectors, tokens = cache.vectors(scope, texts, chain.dimension, missing, work.batching.shows_progress)
    limit = chain.source.max_seq_length
    report = EncodingReport(limit, tokens, tokens if is_whole else np.minimum(tokens, limit).astype(np.int32))
    if work.long_texts == "error":
        report.check()
    return vectors, report
