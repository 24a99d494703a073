"""What smaller vectors cost: STSb and SciFact with each precision, and with fewer dimensions.

    python benchmarks/smaller_vectors.py [--dtype float32]

The vectors are kept in .models/smaller_vectors.db, so the script can be stopped (Ctrl-C) and started again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import describe_machine
from numpy.typing import NDArray

from likewise import EmbeddingCache, SentenceTransformer
from likewise.evaluation.correlation import spearman
from likewise.evaluation.ranking import ranking_metrics
from likewise.evaluation.suites.beir import RANKS, Collection, collections_in
from likewise.files import read_rows
from likewise.quantize import (
    BINARY,
    SCALAR,
    Precision,
    dequantize_embeddings,
    quantization_ranges,
    quantize_embeddings,
    unpacked_bits,
)
from likewise.search import top_k
from likewise.similarity import dot_score, normalize_embeddings, pairwise_cos_sim

DATA = Path(__file__).parents[2] / "shared" / "data"
MODEL = "all-MiniLM-L6-v2"
KEPT = Path(__file__).parents[1] / ".models" / "smaller_vectors.db"
PRECISIONS: tuple[Precision, ...] = ("float32", "int8", "uint8", "binary", "ubinary")
DIMENSIONS = (384, 256, 128, 64)  # the model has 384, and was not trained to have fewer
CONTENDERS = 4  # times as many as are wanted are found by bits, and scored again with the unquantised query
DEEPEST = 10

Vectors = NDArray[Any]


def compared(codes: Vectors, precision: Precision, ranges: Vectors) -> NDArray[np.float32]:
    """Codes as the numbers that they stand for: the start of each bucket, or -1 and 1."""
    if precision in SCALAR:
        return dequantize_embeddings(codes, precision, ranges).astype(np.float32)
    if precision in BINARY:
        return 2 * unpacked_bits(codes, precision).astype(np.float32) - 1
    return codes


def stsb(first: Vectors, second: Vectors, gold: Vectors, precision: Precision) -> float:
    """Spearman's correlation of cosines, times 100: both sides quantised, with the ranges of both."""
    ranges = quantization_ranges(np.concatenate([first, second]), precision)
    sides = (compared(quantize_embeddings(side, precision, ranges), precision, ranges) for side in (first, second))
    return 100 * spearman(gold, pairwise_cos_sim(*sides))


def scifact(queries: Vectors, corpus: Vectors, collection: Collection, precision: Precision, rescored: bool) -> float:
    """NDCG@10, times 100: the corpus quantised with its own ranges; ``rescored``, by queries that are not."""
    ranges = quantization_ranges(corpus, precision)
    codes = compared(quantize_embeddings(corpus, precision, ranges), precision, ranges)
    asked = compared(quantize_embeddings(queries, precision, ranges), precision, ranges)
    _, rows = top_k(asked, codes, DEEPEST * (CONTENDERS if rescored else 1), dot_score)
    if rescored:
        scores = np.einsum("ij,ikj->ik", queries, codes[rows])
        rows = np.take_along_axis(rows, np.argsort(-scores, axis=1, kind="stable")[:, :DEEPEST], axis=1)
    ids = list(collection.corpus)
    judged = [collection.gains[query] for query in collection.queries]
    gains = np.array(
        [[found.get(ids[row], 0.0) for row in line] for found, line in zip(judged, rows.tolist(), strict=True)]
    )
    ideals = [np.array([gain for gain in found.values() if gain > 0]) for found in judged]
    return 100 * ranking_metrics(gains, ideals, **RANKS)["ndcg@10"]


def main() -> None:
    parser = argparse.ArgumentParser(description="What smaller vectors cost.")
    parser.add_argument("--dtype", default="auto", help="what the vectors are computed in (default: auto)")
    model = SentenceTransformer(MODEL, device="cpu", dtype=parser.parse_args().dtype)
    print(f"{describe_machine()}\n{MODEL}, computed in {model.engine.dtype}\n")
    cache = EmbeddingCache(KEPT)
    rows = [row.values for row in read_rows(DATA / "sts" / "stsb_test.parquet")]
    pairs = [model.encode([str(row[column]) for row in rows], cache=cache) for column in ("sentence1", "sentence2")]
    gold = np.array([row["score"] for row in rows], dtype=np.float64)
    collection = next(found for found in collections_in(DATA / "retrieval") if found.name == "scifact")
    queries = model.encode_query(collection.queries.values(), cache=cache)
    corpus = model.encode_document(collection.corpus.values(), cache=cache)
    print("| dimensions | precision | bytes a vector | STSb test, Spearman | SciFact, nDCG@10 | rescored |")
    print("|---:|---|---:|---:|---:|---:|")
    for dimension in DIMENSIONS:
        cut = [normalize_embeddings(side[:, :dimension]) for side in (*pairs, queries, corpus)]
        for precision in PRECISIONS:
            size = quantize_embeddings(cut[0][:2], precision, np.stack([-np.ones(dimension), np.ones(dimension)]))[0]
            figures = [stsb(cut[0], cut[1], gold, precision), scifact(cut[2], cut[3], collection, precision, False)]
            again = "" if precision == "float32" else f"{scifact(cut[2], cut[3], collection, precision, True):.2f}"
            print(f"| {dimension} | {precision} | {size.nbytes:,} | {figures[0]:.2f} | {figures[1]:.2f} | {again} |")


if __name__ == "__main__":
    main()
