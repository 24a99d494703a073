"""Paraphrases among many texts: the pairs that are most alike, of all pairs, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.engine.processor import available_cores
from likewise.search.pairs import best_pairs
from likewise.search.semantic import as_rows, rows_for_products
from likewise.search.semantic import top_k as nearest
from likewise.similarity import cos_sim, dot_score

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


def paraphrase_mining(
    model: SentenceTransformer,
    sentences: list[str],
    show_progress_bar: bool | None = False,
    batch_size: int | None = None,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Callable[[Any, Any], Any] = cos_sim,
    truncate_dim: int | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
) -> list[list[float | int]]:
    """The pairs of ``sentences`` that are most alike, ``[score, i, j]`` with i < j, best first.

    They are embedded by ``model.encode``; the rest is paraphrase_mining_embeddings.
    """
    embeddings = model.encode(
        sentences,
        show_progress_bar=show_progress_bar,
        batch_size=batch_size,
        truncate_dim=truncate_dim,
        prompt_name=prompt_name,
        prompt=prompt,
    )
    return paraphrase_mining_embeddings(
        embeddings, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )


def paraphrase_mining_embeddings(
    embeddings: Any,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Callable[[Any, Any], Any] = cos_sim,
) -> list[list[float | int]]:
    """The pairs of rows that are most alike, ``[score, i, j]`` with i < j, best first; equal scores by i and j.

    embeddings (rows, dim), an array, a list or a tensor. Each row proposes the ``top_k`` others that score highest
    with it; of all that are proposed the ``max_pairs`` best are returned. ``score_function`` is as ``score`` of
    semantic.top_k, and must not care for the order of a pair.

    For cos_sim and dot_score, on all cores, memory holds the rows in float32, and of the pairs few more than are
    returned (best_pairs says how many). For a function of your own it holds the proposals of ``query_chunk_size`` rows
    and the best pairs so far; ``corpus_chunk_size`` bounds the tables of scores.

    Raises:
        ValueError: A number is out of range, or as semantic.top_k does.
    """
    if query_chunk_size < 1 or max_pairs < 0 or top_k < 0:
        raise ValueError(
            f"chunks must be at least 1, and limits at least 0, but {query_chunk_size=}, {max_pairs=}, {top_k=}"
        )
    if score_function in (cos_sim, dot_score):
        threads = available_cores()
        vectors = rows_for_products(as_rows(embeddings, "embeddings"), score_function, threads)
        best = best_pairs(vectors, top_k, max_pairs, threads)
        return _listed(best.scores, best.first, best.second)
    blocks = {"query_block": query_chunk_size, "corpus_block": corpus_chunk_size}
    scores, pairs = np.empty(0, np.float32), np.empty((0, 2), np.int64)
    for start in range(0, len(embeddings), query_chunk_size):
        chunk = embeddings[start : start + query_chunk_size]
        found, columns = nearest(chunk, embeddings, top_k + 1, score_function, **blocks)
        rows = np.broadcast_to(np.arange(start, start + len(columns))[:, None], columns.shape)
        # Each row is mostly its own best match; where it is not even among the best, the last place is one too many.
        others = (rows != columns) & (np.cumsum(rows != columns, axis=1) <= top_k)
        proposed = np.sort(np.stack([rows[others], columns[others]], axis=1), axis=1)  # (proposals, 2), i < j
        scores, pairs = _best(
            np.concatenate([scores, found[others]]), np.concatenate([pairs, proposed]), len(embeddings), max_pairs
        )
    return _listed(scores, *pairs.T)


def _listed(scores: NDArray[np.float32], first: NDArray[Any], second: NDArray[Any]) -> list[list[float | int]]:
    return [[score, i, j] for score, i, j in zip(scores.tolist(), first.tolist(), second.tolist(), strict=True)]


def _best(
    scores: NDArray[np.float32], pairs: NDArray[np.int64], rows: int, most: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``most`` best pairs, each once, best first."""
    _, first = np.unique(pairs[:, 0] * rows + pairs[:, 1], return_index=True)  # in the order of i, then j
    order = first[np.argsort(-scores[first], kind="stable")[:most]]
    return scores[order], pairs[order]
