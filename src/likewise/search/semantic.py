"""Exact nearest neighbours: everything is compared with everything, block by block.

The k best of each query are kept while blocks of the corpus pass by. Beside the embeddings, only a table of scores of
one block of queries by one block of the corpus is in memory.

The last bits of a matrix product depend on the shape of the matrices. So products in float32 only choose contenders,
with a margin for their rounding; the contenders are scored again in float64, and rounded to float32. The result is the
same to the bit whatever the blocks, and whichever queries share them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.engine.processor import available_cores
from likewise.engine.workers import in_threads
from likewise.similarity import (
    SHORTEST,
    SimilarityFunction,
    as_floats,
    cos_sim,
    dot_score,
    is_tensor,
    lengths,
)

_NOWHERE = np.iinfo(np.int64).max  # the index in a place that nothing has taken yet, so that it loses every tie
_ROWS_AT_ONCE = 1024  # that a thread prepares before it takes the next
_PAIRED_NUMBERS = 2**16  # on each side of the pairs that are scored again at once: larger arrays leave the cache


def top_k(
    queries: Any,
    corpus: Any,
    k: int,
    score: Callable[[Any, Any], Any] = cos_sim,
    query_block: int = 256,
    corpus_block: int | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``k`` rows of ``corpus`` with the highest score for each row of ``queries``: scores and row numbers.

    queries (n, dim) and corpus (m, dim) are arrays, lists or tensors; a single vector (dim,) counts as one row. Both
    results are (n, min(k, m)), best first; equal scores stand in the order of the corpus.

    ``score`` takes a block of queries and a block of the corpus and returns their table of scores, higher for better.
    cos_sim and dot_score of likewise.similarity run as float32 products on the CPU. Any other function gets the blocks
    as they are, tensors on their device.

    The blocks, in rows, bound the memory and do not change the result. By default ``corpus_block`` is 8,192 (a table of
    8 MiB), up to 65,536 for a large ``k``, because joining long lists takes time. ``threads`` blocks of queries, by
    default as many as there are cores, are compared at once; a function of your own is called by one thread.

    Raises ValueError for NaN and infinity in the embeddings, NaN in the scores, and shapes that do not fit.
    """
    if corpus_block is None:
        corpus_block = min(max(8192, 64 * k), 65536)
    if k < 0 or query_block < 1 or corpus_block < 1:
        raise ValueError(f"k must be at least 0 and blocks at least 1, but {k=}, {query_block=}, {corpus_block=}")
    queries, corpus = as_rows(queries, "queries"), as_rows(corpus, "corpus")
    shape = (len(queries), min(k, len(corpus)))
    scores, indices = np.full(shape, -np.inf, np.float32), np.full(shape, _NOWHERE, np.int64)
    if 0 in shape:
        return scores, indices
    if queries.shape[1] != corpus.shape[1]:
        shapes = f"{tuple(queries.shape)} and {tuple(corpus.shape)}"
        raise ValueError(f"queries and corpus must have the same dimension, but their shapes are {shapes}")

    ours = score in (cos_sim, dot_score)
    threads = (threads or available_cores()) if ours else 1
    locks = {start: Lock() for start in range(0, len(queries), query_block)}

    @lru_cache(maxsize=2)  # one block of the corpus after another is compared with all queries
    def corpus_part(first: int) -> Any:
        block = corpus[first : first + corpus_block]
        return _entries(block, first, score) if ours else _checked(block, first, "corpus", score)

    def compare(place: tuple[int, int]) -> None:
        first, start = place
        part = slice(start, start + query_block)
        query_part = _block(queries, start, query_block, "queries", score)
        contenders = _by_product if ours else partial(_by_function, score)
        with locks[start]:
            best = scores[part].copy()
        rows, columns, values = contenders(query_part, corpus_part(first), best)
        with locks[start]:
            scores[part], indices[part] = _merged(scores[part], indices[part], rows, columns + first, values)

    places = ((first, start) for first in range(0, len(corpus), corpus_block) for start in locks)
    for _ in in_threads(compare, places, threads):
        pass
    return scores, indices


_top_k = top_k  # semantic_search has an argument of the same name


def semantic_search(
    query_embeddings: Any,
    corpus_embeddings: Any,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500000,
    top_k: int = 10,
    score_function: Callable[[Any, Any], Any] = cos_sim,
) -> list[list[dict[str, int | float]]]:
    """For each query its ``top_k`` best corpus entries, ``{"corpus_id": row number, "score": score}``, best first.

    query_embeddings (n, dim), or (dim,) for one query, and corpus_embeddings (m, dim) are arrays, lists or tensors, and
    ``score_function`` is as ``score`` of top_k. The chunk sizes, in rows, bound the memory of a function of your own;
    with cos_sim and dot_score they do nothing, because there the smaller blocks of top_k are faster. Raises ValueError
    as top_k does.
    """
    chunks = {"query_block": query_chunk_size, "corpus_block": corpus_chunk_size}
    blocks = {} if score_function in (cos_sim, dot_score) else chunks
    scores, indices = _top_k(query_embeddings, corpus_embeddings, top_k, score_function, **blocks)
    return [
        [{"corpus_id": index, "score": score} for index, score in zip(*row, strict=True)]
        for row in zip(indices.tolist(), scores.tolist(), strict=True)
    ]


def scores_of_pairs(
    queries: Any, corpus: Any, rows: NDArray[np.int64], columns: NDArray[np.int64], similarity: SimilarityFunction
) -> NDArray[np.float32]:
    """How alike the query ``rows[i]`` and the entry ``columns[i]`` of the corpus are, for each i: (pairs,).

    Of queries (n, dim) and corpus (m, dim), arrays, only some of these rows are in memory at once. The cosine and the
    dot product are to the bit those that top_k gives.
    """
    score = SimilarityFunction.to_similarity_fn(similarity)
    of_pairs = SimilarityFunction.to_similarity_pairwise_fn(similarity)
    scores = np.empty(len(rows), np.float32)
    for pairs in _paired(len(rows), corpus.shape[1]):
        left, right = queries[rows[pairs]], corpus[columns[pairs]]
        if score in (cos_sim, dot_score):
            blocks = (_block(side, 0, len(side), "a pair", score) for side in (left, right))
            scores[pairs] = _products(*blocks)
        else:
            scores[pairs] = of_pairs(left, right)
    return scores


def rows_for_products(
    embeddings: Any, score: object, threads: int, name: str = "embeddings", before: int = 0
) -> NDArray[np.float32]:
    """Rows in float32 whose dot products are the scores: a copy, (rows, dim), of length 1 for the cosine.

    Raises ValueError for NaN and infinity, with ``name`` and the number of the row, ``before`` having come before it.
    """
    rows = np.empty(embeddings.shape, np.float32)

    def fill(start: int) -> None:
        part = slice(start, start + _ROWS_AT_ONCE)
        rows[part] = _checked(embeddings[part], before + start, name, score)

    for _ in in_threads(fill, range(0, len(rows), _ROWS_AT_ONCE), threads):
        pass
    return rows


def unit_vectors(vectors: NDArray[Any], before: int = 0) -> NDArray[np.float32]:
    """``vectors`` (rows, dim) in float32, each of length 1; ValueError as rows_for_products raises it."""
    return rows_for_products(as_rows(vectors, "the vectors"), cos_sim, available_cores(), "the vectors", before)


def as_rows(embeddings: Any, name: str) -> Any:
    """The matrix (rows, dim) of an array or a tensor in its own type of number, of a list in float32."""
    matrix = embeddings if is_tensor(embeddings) or isinstance(embeddings, np.ndarray) else as_floats(embeddings)
    if matrix.ndim == 1:
        return matrix[None] if len(matrix) else matrix.reshape(0, 0)  # (0,) is what encoding no text gives
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have the shape (rows, dim) or (dim,), not {tuple(matrix.shape)}")
    return matrix


def _block(matrix: Any, first: int, size: int, name: str, score: object) -> Any:
    return _checked(matrix[first : first + size], first, name, score)


def _checked(block: Any, first: int, name: str, score: object) -> Any:
    """Rows, checked: in float32 for products, of length 1 for the cosine, as they are for other functions."""
    if score not in (cos_sim, dot_score):
        _finite_lengths(as_floats(block), first, name)
        return block
    floats = _float32(block)
    sizes = _finite_lengths(floats, first, name)
    return floats / sizes.clip(SHORTEST)[:, None] if score is cos_sim else floats


def _float32(block: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # infinity is reported by _finite_lengths
        return np.ascontiguousarray(_as_array(as_floats(block)), np.float32)


def _finite_lengths(floats: Any, first: int, name: str) -> NDArray[Any]:
    """The length of each row: (rows,). Raises ValueError, with the number of the row, for NaN and infinity."""
    sizes = _as_array(lengths(floats))
    wrong = np.flatnonzero(~np.isfinite(sizes))
    if len(wrong):
        cause = f"NaN, infinity or numbers too large for {floats.dtype}"
        raise ValueError(f"row {first + wrong[0]} of {name}, counted from 0, holds {cause}")
    return sizes


def _as_array(values: Any) -> NDArray[Any]:
    return as_floats(values).detach().cpu().numpy() if is_tensor(values) else np.asarray(values)


@dataclass(frozen=True, slots=True)
class _Entries:
    """A block of the corpus for products: its rows (entries, dim) as they are, so that a few queries need no copy."""

    rows: NDArray[np.float32]
    lengths: NDArray[np.float32] | None  # (entries,), by which their products are divided for the cosine
    longest: np.float32  # of the rows that the scores are products with

    def table(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of all pairs, but for their rounding: (queries, entries)."""
        table = queries @ self.rows.T
        if self.lengths is not None:
            table /= self.lengths
        return table

    def take(self, columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows ``columns``, of length 1 for the cosine: (columns, dim)."""
        rows = self.rows[columns]
        if self.lengths is not None:
            rows /= self.lengths[columns, None]
        return rows


def _entries(block: Any, first: int, score: object) -> _Entries:
    rows = _float32(block)
    sizes = _finite_lengths(rows, first, "corpus")
    if score is cos_sim:
        return _Entries(rows, sizes.clip(SHORTEST), np.float32(1))
    return _Entries(rows, None, sizes.max())


def _by_product(
    queries: NDArray[np.float32], entries: _Entries, best: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and dot products of all pairs that can be among the best."""
    margin = rounding(queries.shape[1] + 4, lengths(queries).max() * entries.longest)  # 4 more: for the division
    rows, columns = _contenders(entries.table(queries), best, margin)
    used, places = np.unique(columns, return_inverse=True)
    return rows, columns, products_of_pairs(queries, entries.take(used), rows, places)


def rounding(dimension: int, longest: Any) -> Any:
    """By how much the float32 products of two pairs may differ, where exact ones do not: |left| · |right| at most."""
    # A float32 sum of dim products, in any order, is wrong by at most dim · 2⁻²⁴ · |query| · |entry| (Higham 2002,
    # section 3.1): two sums are compared, hence the double; the 4 covers roundings of scores and margin themselves.
    return (dimension + 4) * np.finfo(np.float32).eps * longest + np.finfo(np.float32).tiny


def products_of_pairs(
    left: NDArray[np.float32], right: NDArray[np.float32], rows: NDArray[Any], columns: NDArray[Any]
) -> NDArray[np.float32]:
    """The product of ``left[rows[i]]`` and ``right[columns[i]]``, in float64 rounded to float32, for each i: (pairs,).

    The same to the bit whichever side is which.
    """
    products = np.empty(len(rows), np.float32)
    for pairs in _paired(len(rows), left.shape[1]):
        products[pairs] = _products(left.take(rows[pairs], 0), right.take(columns[pairs], 0))
    return products


def reaching(left: NDArray[np.float32], right: NDArray[np.float32], limit: np.float32) -> NDArray[np.bool_]:
    """Which exact products, rounded to float32, reach ``limit``: (rows of left, rows of right)."""
    table = left @ right.T
    margin = rounding(left.shape[1], lengths(left).max() * lengths(right).max())
    found: NDArray[np.bool_] = table >= limit - margin
    places = np.flatnonzero(found)
    unsure = places[table.ravel()[places] < limit + margin]
    rows, columns = np.divmod(unsure, table.shape[1])
    found.ravel()[unsure] = products_of_pairs(left, right, rows, columns) >= limit
    return found


def _paired(pairs: int, dimension: int) -> Iterator[slice]:
    at_once = max(1, _PAIRED_NUMBERS // max(1, dimension))
    return (slice(start, start + at_once) for start in range(0, pairs, at_once))


def _products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """The dot product of each row with the row beside it: (rows, dim) × (rows, dim) → (rows,)."""
    return np.einsum("ij,ij->i", left.astype(np.float64), right.astype(np.float64))


def _by_function(
    score: Callable[[Any, Any], Any], queries: Any, corpus: Any, best: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and scores of all pairs that can be among the best."""
    table = _as_array(score(queries, corpus)).astype(np.float32, copy=False)
    expected = (len(queries), len(corpus))
    if table.shape != expected:
        raise ValueError(f"the score function must return a table of shape {expected}, but returned {table.shape}")
    if np.isnan(table).any():
        raise ValueError("the score function returned NaN")
    rows, columns = _contenders(table, best, np.float32(0))
    return rows, columns, table[rows, columns]


def _contenders(
    table: NDArray[np.float32], best: NDArray[np.float32], margin: np.float32
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the entries that can be among the k best, in the order of the table.

    table (queries, entries); best (queries, k) are the scores of the best so far, in falling order.
    """
    k = best.shape[1]
    floor = best[:, -1] - margin
    fitting = table >= floor[:, None]
    if table.shape[1] > k and np.count_nonzero(fitting) > 2 * best.size:  # so many, as in the first block: look closer
        floor = np.maximum(floor, np.partition(table, -k, axis=1)[:, -k] - margin)
        fitting = table >= floor[:, None]
    return np.divmod(np.flatnonzero(fitting), table.shape[1])


def _merged(
    scores: NDArray[np.float32],
    indices: NDArray[np.int64],
    rows: NDArray[np.int64],
    new_indices: NDArray[np.int64],
    new_scores: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best of each row after the contenders of one block: (queries, k) each, equal scores by index."""
    queries, k = scores.shape
    all_rows = np.concatenate([np.repeat(np.arange(queries), k), rows])
    all_indices = np.concatenate([indices.ravel(), new_indices])
    all_scores = np.concatenate([scores.ravel(), new_scores])
    order = np.lexsort((all_indices, -all_scores, all_rows))
    starts = np.searchsorted(all_rows[order], np.arange(queries))
    chosen = order[starts[:, None] + np.arange(k)]
    return all_scores[chosen], all_indices[chosen]
