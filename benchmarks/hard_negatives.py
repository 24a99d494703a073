"""Mining hard negatives of many queries among many passages: seconds, and the memory that it takes.

python benchmarks/hard_negatives.py --queries 100000 --passages 1000000
"""

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from interleaved import describe_machine
from numpy.typing import NDArray

from likewise.search import NegativeRules, Negatives, mine_negatives
from likewise.similarity import normalize_embeddings

QUERIES, PASSAGES, DIMENSION = 100_000, 1_000_000, 384
MARGIN = 0.05
RULES = NegativeRules(num_negatives=5, relative_margin=MARGIN)  # of NV-Retriever: 52 candidates a query
ROWS_AT_ONCE = 16_384  # written, and compared afterwards
NOISE = 0.05  # on each number of a query, whose passage has numbers of 1 / √384 = 0.051: a cosine of 0.7
CHECKED = 20  # queries that are scored with every passage in float64
MIB = 2**20


def make_vectors(folder: Path, queries: int, passages: int, dtype: str) -> None:
    """Random passages of length 1, and queries near one passage each: the positive of query i is passage i."""
    random = np.random.default_rng(0)
    files = {"passages": passages, "queries": queries}
    tables = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.dtype(dtype), (rows, DIMENSION))
        for name, rows in files.items()
    }
    for start in range(0, passages, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, passages))
        made = normalize_embeddings(random.standard_normal((rows.stop - start, DIMENSION), np.float32))
        tables["passages"][rows] = made
        near = made[: max(0, queries - start)]
        noise = NOISE * random.standard_normal(near.shape, np.float32)
        tables["queries"][start : start + len(near)] = normalize_embeddings(near + noise)
    for table in tables.values():
        table.flush()


def resident(kind: str) -> float:
    """MiB that the process holds, from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


@contextmanager
def peak_memory(peaks: dict[str, float]) -> Iterator[None]:
    """Into ``peaks``, the most MiB of each kind within the block, looked at 100 times a second."""
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(0.01):
            for kind in ("VmRSS", "RssAnon", "RssFile"):
                peaks[kind] = max(peaks.get(kind, 0), resident(kind))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()


def wrong(queries: Any, passages: Any, blocks: list[Negatives]) -> int:
    """How many of the first queries have other negatives than those by the cosines in float64 of all passages."""
    found = np.concatenate([block.indices for block in blocks])[:CHECKED]
    some = normalize_embeddings(queries[: len(found)].astype(np.float64))
    cosines = np.empty((len(found), len(passages)))
    for start in range(0, len(passages), ROWS_AT_ONCE):
        part = normalize_embeddings(passages[start : start + ROWS_AT_ONCE].astype(np.float64))
        cosines[:, start : start + len(part)] = some @ part.T
    own = cosines[np.arange(len(found)), np.arange(len(found))].copy()
    cosines[cosines > (own - abs(own) * MARGIN)[:, None]] = -np.inf
    best: NDArray[np.int64] = np.argsort(-cosines, axis=1)[:, : RULES.num_negatives]
    return int((best != found).any(axis=1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and memory of mining hard negatives.")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--passages", type=int, default=PASSAGES, help="at least as many as queries")
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16", help="of the vectors' files")
    arguments = parser.parse_args()
    print(describe_machine())
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_vectors(folder, arguments.queries, arguments.passages, arguments.dtype)
        queries, passages = (np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in ("queries", "passages"))
        size = (queries.nbytes + passages.nbytes) / MIB
        print(f"{len(queries):,} queries, {len(passages):,} passages, {DIMENSION} dimensions: {size:,.0f} MiB of files")
        positives = np.stack([np.arange(len(queries))] * 2, axis=1)
        before, start = resident("RssAnon"), perf_counter()
        peaks: dict[str, float] = {}
        with peak_memory(peaks):
            blocks = list(mine_negatives(queries, passages, positives, RULES))
        seconds = perf_counter() - start
        print(f"{seconds:,.1f} s, {len(queries) / seconds:,.1f} queries a second")
        print(
            f"peak resident memory, /proc/self/status 100 times a second: {peaks['VmRSS']:,.0f} MiB in all\n"
            f"- {peaks['RssAnon']:,.0f} MiB the process's own (RssAnon), {before:,.0f} of them before it began\n"
            f"- {peaks['RssFile']:,.0f} MiB pages of files (RssFile), which the kernel takes back when it needs them"
        )
        found = sum(int(block.is_found.sum()) for block in blocks)
        print(f"{found:,} negatives; of the first {CHECKED} queries {wrong(queries, passages, blocks)} have wrong ones")


if __name__ == "__main__":
    main()
