"""Search among quantised vectors in faiss or usearch, and scoring what is found again with the unquantised queries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.extras import extra
from likewise.quantize import (
    BINARY,
    SCALAR,
    Precision,
    dequantize_embeddings,
    quantization_ranges,
    quantize_embeddings,
    unpacked_bits,
)

Hits = list[list[dict[str, int | float]]]  # for each query {"corpus_id": row number, "score": score}, best first

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Queries:
    """Queries as the index takes them, and what their hits are scored again with."""

    codes: NDArray[Any]  # (queries, dim) or (queries, dim / 8)
    rescored: NDArray[Any] | None  # (queries, dim); None: the index's own scores are kept
    ranges: Any
    precision: Precision

    def scores(self, hits: NDArray[Any]) -> NDArray[np.float64]:
        """The dot products with what the index holds of the hits, (queries, k, dim) codes: (queries, k)."""
        assert self.rescored is not None
        if self.precision in SCALAR:
            restored = dequantize_embeddings(hits, self.precision, self.ranges)
        else:
            restored = unpacked_bits(hits, "ubinary", self.rescored.shape[-1]).astype(np.float64)
        return np.einsum("ij,ikj->ik", self.rescored, restored)


def semantic_search_faiss(
    query_embeddings: NDArray[Any],
    corpus_embeddings: NDArray[Any] | None = None,
    corpus_index: Any = None,
    corpus_precision: Precision = "float32",
    top_k: int = 10,
    ranges: Any = None,
    calibration_embeddings: NDArray[Any] | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> Any:
    """For each query its ``top_k`` best corpus entries, ``{"corpus_id": row number, "score": score}``, and the seconds.

    The corpus is an array (m, dim) in ``corpus_precision``, "float32", "uint8" or "ubinary" (m, dim / 8), or a faiss
    index of one; with ``output_index=True`` the index is a third result. Queries that are not quantised yet, (n, dim),
    are quantised as quantize_embeddings does with ``ranges`` and ``calibration_embeddings``, which must be the
    corpus's. With ``rescore`` they first find ``rescore_multiplier`` times as many, which are then ordered by the dot
    products of the unquantised query with what was quantised. ``exact=False`` searches by a graph (HNSW).

    Raises:
        ImportError: faiss is not installed.
        ValueError: An argument is not right.
    """
    with extra("faiss", "semantic_search_faiss"):
        import faiss

    _check_corpus(
        corpus_embeddings, corpus_index, corpus_precision, ("float32", "uint8", "ubinary"), top_k, rescore_multiplier
    )
    if corpus_embeddings is not None:
        width = corpus_embeddings.shape[1]
        if corpus_precision == "ubinary":
            corpus_index = faiss.IndexBinaryFlat(8 * width) if exact else faiss.IndexBinaryHNSW(8 * width, 16)
        elif exact:
            corpus_index = faiss.IndexFlatIP(width)
        else:
            corpus_index = faiss.IndexHNSWFlat(width, 16, faiss.METRIC_INNER_PRODUCT)
        corpus_index.add(corpus_embeddings)
    queries = _queries(query_embeddings, corpus_precision, ranges, calibration_embeddings, rescore)
    start = perf_counter()
    k = top_k if queries.rescored is None else top_k * rescore_multiplier
    scores, rows = corpus_index.search(queries.codes, k)
    there = rows != -1  # faiss fills up with -1 where it finds fewer
    if queries.rescored is not None and there.any():
        known = np.where(there, rows, rows[there][0])
        codes = np.array([[corpus_index.reconstruct(int(row)) for row in found] for found in known])
        scores, rows, there = _best(queries.scores(codes), rows, there, top_k)
    return _answer(scores, rows, there, start, corpus_index, output_index)


def semantic_search_usearch(
    query_embeddings: NDArray[Any],
    corpus_embeddings: NDArray[Any] | None = None,
    corpus_index: Any = None,
    corpus_precision: Precision = "float32",
    top_k: int = 10,
    ranges: Any = None,
    calibration_embeddings: NDArray[Any] | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> Any:
    """As semantic_search_faiss, in usearch, for a corpus in "float32", "int8", "binary" or "ubinary".

    Scores that are not computed again are usearch's distances.

    Raises:
        ImportError: usearch is not installed.
        ValueError: An argument is not right.
    """
    with extra("usearch", "semantic_search_usearch"):
        from usearch.index import Index

    _check_corpus(
        corpus_embeddings,
        corpus_index,
        corpus_precision,
        ("float32", "int8", "binary", "ubinary"),
        top_k,
        rescore_multiplier,
    )
    if corpus_embeddings is not None:
        width = corpus_embeddings.shape[1]
        if corpus_precision in BINARY:
            corpus_index = Index(ndim=8 * width, metric="hamming", dtype="b1")
        elif corpus_precision == "int8":
            corpus_index = Index(ndim=width, metric="ip", dtype="i8")
        else:
            corpus_index = Index(ndim=width, metric="cos", dtype="f32")
        corpus_index.add(np.arange(len(corpus_embeddings)), _bits(corpus_embeddings, corpus_precision))
    queries = _queries(query_embeddings, corpus_precision, ranges, calibration_embeddings, rescore)
    start = perf_counter()
    k = top_k if queries.rescored is None else top_k * rescore_multiplier
    matches = corpus_index.search(_bits(queries.codes, corpus_precision), count=k, exact=exact)
    scores, rows = np.atleast_2d(matches.distances), np.atleast_2d(matches.keys)
    counts: Any = getattr(matches, "counts", rows.shape[1])  # one query has none: all are found
    there = np.arange(rows.shape[1]) < np.reshape(counts, (-1, 1))
    if queries.rescored is not None and there.any():
        known = np.where(there, rows, rows[there][0])
        codes = np.array([corpus_index.get(found) for found in known])
        codes = codes.astype(np.int8 if corpus_precision == "int8" else np.uint8, copy=False)
        scores, rows, there = _best(queries.scores(codes), rows, there, top_k)
    return _answer(scores, rows, there, start, corpus_index, output_index)


def _check_corpus(
    embeddings: Any, index: Any, precision: str, known: Sequence[str], top_k: int, rescore_multiplier: int
) -> None:
    if top_k < 1 or rescore_multiplier < 1:
        raise ValueError(f"top_k and rescore_multiplier must be at least 1, not {top_k} and {rescore_multiplier}")
    if (embeddings is None) == (index is None):
        raise ValueError("give either corpus_embeddings or corpus_index, not both and not neither")
    if precision not in known:
        raise ValueError(f"corpus_precision {precision!r} is not known here; use one of {', '.join(map(repr, known))}")


def _queries(
    embeddings: NDArray[Any], precision: Precision, ranges: Any, calibration_embeddings: Any, rescore: bool
) -> _Queries:
    embeddings = np.atleast_2d(embeddings)
    if embeddings.dtype in (np.uint8, np.int8):
        if rescore:
            logger.warning("the queries are quantised already, so nothing is rescored; give them in float32 for that")
        return _Queries(embeddings, None, None, precision)
    if rescore and precision == "float32":
        logger.warning("the corpus is not quantised, so nothing is rescored; leave rescore=False to say so")
    if precision in SCALAR and ranges is None:
        ranges = quantization_ranges(embeddings, precision, calibration_embeddings)
    codes = quantize_embeddings(embeddings, precision, ranges)
    return _Queries(codes, embeddings if rescore and precision != "float32" else None, ranges, precision)


def _bits(codes: NDArray[Any], precision: str) -> NDArray[Any]:
    """Codes as usearch takes them: "binary" without its offset of 128."""
    return codes.view(np.uint8) ^ 0x80 if precision == "binary" else codes


def _best(
    scores: NDArray[np.float64], rows: NDArray[Any], there: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.bool_]]:
    """The ``k`` best of each query, what is not there last."""
    order = np.argsort(-np.where(there, scores, -np.inf), axis=1, kind="stable")[:, :k]
    return tuple(np.take_along_axis(part, order, axis=1) for part in (scores, rows, there))  # type: ignore[return-value]


def _answer(
    scores: NDArray[Any], rows: NDArray[Any], there: NDArray[np.bool_], start: float, index: Any, output_index: bool
) -> Any:
    seconds = perf_counter() - start
    hits: Hits = [
        [{"corpus_id": int(row), "score": float(score)} for score, row in zip(values[known], found[known], strict=True)]
        for values, found, known in zip(scores, rows, there, strict=True)
    ]
    return (hits, seconds, index) if output_index else (hits, seconds)
