"""An index on disk beside faiss and usearch: how fast it is built and searched, and how much it finds.

    nice -n 5 python benchmarks/search.py [10000 100000 1000000] [--queries 200] [--only likewise]

The same synthetic vectors for all: 384 dimensions, around n / 100 centres. faiss and usearch hold vectors alone, in
memory, and give row numbers; the index of likewise is on disk, with texts and a full-text index, and gives passages.
Its vectors are ready made, so that no time is that of a model. One query at a time; recall@10 is against a float32
product of everything with everything. The largest size needs 8 GB of memory.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from interleaved import describe_machine
from numpy.typing import NDArray

from likewise.passages import Passage
from likewise.search import Index, top_k
from likewise.search.index import nearest
from likewise.similarity import dot_score

LIBRARIES = ("faiss", "usearch", "likewise")
SIZES = (10_000, 100_000, 1_000_000)
DIMENSION = 384
NOISE = 0.7  # of each number, where those of the centres have a spread of 1
K = 10
HNSW = 32, 128, 64  # neighbours of a node, how widely they are looked for, and how widely a search looks
WORDS = 40  # of a made-up passage

Vectors = NDArray[np.float32]
Search = Callable[[Vectors], Iterable[int]]


@dataclass
class Ready:
    """In place of a model: the texts are the numbers of vectors that are there."""

    corpus: Vectors
    queries: Vectors
    name: str = "ready"
    fingerprint: str = "ready"
    similarity_fn_name: str = "cosine"

    def encode_document(self, inputs: Sequence[str]) -> Vectors:
        return self.corpus[[int(text.split()[0]) for text in inputs]]

    def encode_query(self, inputs: Sequence[str]) -> Vectors:
        return self.queries[[int(text) if text.isdigit() else 0 for text in inputs]]  # the index asks for a dimension


def synthetic(size: int, queries: int) -> tuple[Vectors, Vectors]:
    """Unit vectors (size, DIMENSION) and (queries, DIMENSION)."""
    draw = np.random.default_rng(size)
    centres = draw.standard_normal((max(10, size // 100), DIMENSION), dtype=np.float32)

    def some(number: int) -> Vectors:
        result = np.empty((number, DIMENSION), np.float32)
        for start in range(0, number, 65_536):
            part = result[start : start + 65_536]
            part[:] = centres[draw.integers(0, len(centres), len(part))]
            part += NOISE * draw.standard_normal(part.shape, dtype=np.float32)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        return result

    return some(size), some(queries)


def row(
    name: str, build: Callable[[], Search], queries: Vectors, exact: NDArray[np.int64], warm: int = 0
) -> tuple[str, float, float, float]:
    """The name, seconds to build, queries a second and recall of one contestant; ``warm`` queries come first."""
    start = perf_counter()
    search = build()
    built = perf_counter() - start
    for query in islice(queries, warm):
        search(query)
    start = perf_counter()
    found = [set(search(query)) for query in queries]
    seconds = perf_counter() - start
    recall = float(np.mean([len(own & set(best)) / K for own, best in zip(found, exact.tolist(), strict=True)]))
    print(f"{name}: {built:.1f} s, {len(queries) / seconds:.0f}/s, {recall:.3f}", file=sys.stderr, flush=True)
    return name, built, len(queries) / seconds, recall


def of_faiss(kind: str, corpus: Vectors) -> Search:
    import faiss

    if kind == "flat":
        index: Any = faiss.IndexFlatIP(DIMENSION)
    else:
        index = faiss.IndexHNSWFlat(DIMENSION, HNSW[0], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = HNSW[1:]
    index.add(corpus)
    return lambda query: index.search(query[None], K)[1][0].tolist()


def of_usearch(corpus: Vectors) -> Search:
    from usearch.index import Index as Usearch

    connectivity, construction, searching = HNSW
    index = Usearch(
        ndim=DIMENSION, metric="ip", connectivity=connectivity, expansion_add=construction, expansion_search=searching
    )
    index.add(np.arange(len(corpus)), corpus)
    return lambda query: index.search(query, K).keys.tolist()


def of_likewise(folder: Path, model: Ready, approximate: bool) -> Search:
    nearest.APPROXIMATE_FROM = 0 if approximate else sys.maxsize
    draw = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(50_000)])
    passages = (
        Passage(f"{number} {' '.join(words[draw.zipf(1.2, WORDS) % len(words)])}", f"{number // 100}.txt", number, "")
        for number in range(len(model.corpus))
    )
    index = Index.create(folder, model)
    index.add(passages)
    return lambda query: [hit.line or 0 for hit in index.search(_number(model.queries, query), K)]


def _number(queries: Vectors, query: Vectors) -> str:
    """Which of the queries this row is."""
    offset = query.__array_interface__["data"][0] - queries.__array_interface__["data"][0]
    return str(offset // queries.strides[0])


def contest(size: int, number: int, only: Collection[str]) -> list[tuple[str, float, float, float]]:
    corpus, queries = synthetic(size, number)
    _, exact = top_k(queries, corpus, K, dot_score)
    model = Ready(corpus, queries)
    with tempfile.TemporaryDirectory() as folder:
        scanned, large = Path(folder) / "exact", Path(folder) / "approximate"
        contestants: list[tuple[str, Callable[[], Search], int]] = [
            ("faiss, flat", lambda: of_faiss("flat", corpus), 0),
            ("faiss, HNSW", lambda: of_faiss("hnsw", corpus), 0),
            ("usearch, HNSW", lambda: of_usearch(corpus), 0),
            ("likewise, exact", lambda: of_likewise(scanned, model, False), nearest.SCANS + 1),
            ("likewise, approximate", lambda: of_likewise(large, model, True), 0),
        ]
        return [
            row(name, build, queries, exact, warm)
            for name, build, warm in contestants
            if name.partition(",")[0] in only
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description="An index on disk beside faiss and usearch.")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only", nargs="+", default=LIBRARIES, choices=LIBRARIES, help="leave the others out")
    options = parser.parse_args()
    print(f"{describe_machine()}\n")
    print("| vectors | index | build, vectors/s | queries/s | recall@10 |\n|---:|---|---:|---:|---:|")
    for size in options.sizes:
        for name, built, rate, recall in contest(size, options.queries, options.only):
            print(f"| {size:,} | {name} | {size / built:,.0f} | {rate:,.0f} | {recall:.3f} |", flush=True)


if __name__ == "__main__":
    main()
