"""Retrieve and re-rank: how good are BM25, a bi-encoder, and both with a cross-encoder behind them, and how fast?

    nice -n 5 python benchmarks/rerank_quality.py

SciFact (300 queries, 100 candidates re-ranked) and a sample of MS MARCO (500 queries, 50 candidates; each of its
negatives is a random other query's positive, so easy). The scores of the cross-encoder are kept query by query in
.models/rerank_quality, so that the script can be stopped (Ctrl-C) and started at any time; figures of what is complete
are kept in benchmarks/runs, and printed in the end.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from interleaved import describe_machine

from likewise import CrossEncoder, SentenceTransformer
from likewise.evaluation.ranking import ranking_metrics
from likewise.evaluation.suites.beir import RANKS, Collection, collections_in
from likewise.files import read_rows, whole_file
from likewise.search import LexicalIndex, top_k

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data" / "retrieval"
RESULTS = HERE / "runs"
SCRATCH = HERE.parent / ".models" / "rerank_quality"
BI_ENCODER = "all-MiniLM-L6-v2"
CROSS_ENCODER = HERE.parent / ".models" / "ms-marco-MiniLM-L-12-v2"  # ms_marco_weights.py makes it
DEPTH = 100  # passages that the first stage finds
QUERIES = 500  # of MS MARCO, drawn by a fixed seed
CHUNK = 10  # queries scored together
METRICS = ("ndcg@10", "mrr@10", "recall@100")
FIRST_STAGES = ("bi-encoder", "BM25")

Rankings = dict[str, list[str]]  # id of a query → ids of passages, best first


@dataclass(frozen=True)
class Task:
    collection: Collection
    candidates: int  # of each query that the cross-encoder scores

    @property
    def name(self) -> str:
        return self.collection.name

    @property
    def scores_file(self) -> Path:
        return SCRATCH / f"{self.name}_scores.jsonl"


@dataclass(frozen=True)
class Found:
    """What a first stage finds, and how long it takes."""

    rankings: Rankings
    index_seconds: float  # to make the index or the vectors of the passages
    query_seconds: float  # for one query, on average


@cache
def bi_encoder() -> SentenceTransformer:
    return SentenceTransformer(BI_ENCODER, device="cpu")


@cache
def cross_encoder() -> CrossEncoder:
    return CrossEncoder(CROSS_ENCODER, device="cpu")


def tasks() -> list[Task]:
    scifact = next(collection for collection in collections_in(DATA) if collection.name == "scifact")
    return [Task(scifact, 100), Task(ms_marco(DATA / "msmarco_sample.parquet"), 50)]


def ms_marco(file: Path) -> Collection:
    """All passages of the sample, and QUERIES of its queries."""
    rows = [row.values for row in read_rows(file)]
    corpus = {str(row["doc_id"]): str(row["passage"]) for row in rows}
    texts = {str(row["query_id"]): str(row["query"]) for row in rows if row["label"] == 1}
    known = sorted(texts)
    chosen = [known[place] for place in np.random.default_rng(0).permutation(len(known))[:QUERIES]]
    gains: dict[str, dict[str, float]] = {query: {} for query in chosen}
    for row in rows:
        if row["label"] == 1 and row["query_id"] in gains:
            gains[str(row["query_id"])][str(row["doc_id"])] = 1.0
    return Collection("msmarco", corpus, {query: texts[query] for query in chosen}, gains)


def first_stage(task: Task, stage: str) -> Found:
    """The DEPTH best passages of each query, searched one query at a time; kept in a file."""
    file = SCRATCH / f"{task.name}_{stage}.json"
    if not file.is_file():
        found = ranked(task.collection, by_words if stage == "BM25" else by_meaning)
        with whole_file(file) as part:
            part.write_text(json.dumps(vars(found)), encoding="utf-8")
    return Found(**json.loads(file.read_text(encoding="utf-8")))


def ranked(collection: Collection, made: Callable[[list[str]], Callable[[str], list[int]]]) -> Found:
    start = perf_counter()
    search = made(list(collection.corpus.values()))
    index_seconds = perf_counter() - start
    search("what the first call needs is made by now")
    start = perf_counter()
    rows = {query: search(text) for query, text in collection.queries.items()}
    ids = list(collection.corpus)
    rankings = {query: [ids[row] for row in found] for query, found in rows.items()}
    return Found(rankings, index_seconds, (perf_counter() - start) / len(rankings))


def by_words(texts: list[str]) -> Callable[[str], list[int]]:
    index = LexicalIndex(texts)
    return lambda query: [int(hit["corpus_id"]) for hit in index.search(query, DEPTH)[0]]


def by_meaning(texts: list[str]) -> Callable[[str], list[int]]:
    model = bi_encoder()
    vectors = model.encode_document(texts)
    return lambda query: list(top_k(model.encode_query([query]), vectors, DEPTH)[1][0].tolist())


def score(task: Task, rankings: Rankings) -> None:
    """Score the candidates of each query that are not scored yet, CHUNK queries at a time."""
    known = scores_of(task)
    missing = {
        query: [passage for passage in found[: task.candidates] if passage not in known.get(query, {})]
        for query, found in rankings.items()
    }
    for chunk in chunks({query: passages for query, passages in missing.items() if passages}):
        pairs = [
            (task.collection.queries[query], task.collection.corpus[passage])
            for query, passages in chunk.items()
            for passage in passages
        ]
        start = perf_counter()
        scores = iter(cross_encoder().predict(pairs, show_progress_bar=False).tolist())
        seconds = perf_counter() - start
        with task.scores_file.open("a", encoding="utf-8") as file:
            for query, passages in chunk.items():
                line = {"query": query, "scores": {passage: next(scores) for passage in passages}}
                file.write(json.dumps(line | {"seconds": seconds * len(passages) / len(pairs)}) + "\n")
        print(f"{task.name}: {len(pairs)} pairs, {len(pairs) / seconds:.0f} a second", file=sys.stderr, flush=True)


def chunks(wanted: dict[str, list[str]]) -> Iterator[dict[str, list[str]]]:
    queries = list(wanted)
    for start in range(0, len(queries), CHUNK):
        yield {query: wanted[query] for query in queries[start : start + CHUNK]}


def lines(task: Task) -> list[dict[str, Any]]:
    if not task.scores_file.is_file():
        return []
    return [json.loads(line) for line in task.scores_file.read_text(encoding="utf-8").splitlines()]


def scores_of(task: Task) -> dict[str, dict[str, float]]:
    """Query → passage → score, of all that is scored."""
    known: dict[str, dict[str, float]] = {}
    for line in lines(task):
        known.setdefault(line["query"], {}).update(line["scores"])
    return known


def reranked(task: Task, rankings: Rankings) -> Rankings | None:
    """The candidates by the cross-encoder's score, and behind them the rest; None while some have none."""
    known = scores_of(task)
    best: Rankings = {}
    for query, found in rankings.items():
        candidates, scores = found[: task.candidates], known.get(query, {})
        if not all(passage in scores for passage in candidates):
            return None
        best[query] = sorted(candidates, key=lambda passage: -scores[passage]) + found[task.candidates :]
    return best


def metrics(collection: Collection, rankings: Rankings) -> dict[str, float]:
    """The METRICS, times 100."""
    gains = np.zeros((len(rankings), DEPTH))
    for row, (query, found) in enumerate(rankings.items()):
        gains[row, : len(found)] = [collection.gains[query].get(passage, 0.0) for passage in found]
    ideals = [np.array([gain for gain in collection.gains[query].values() if gain > 0]) for query in rankings]
    measured = ranking_metrics(gains, ideals, **RANKS)
    return {name: 100 * measured[name] for name in METRICS}


def report(task: Task) -> None:
    """Write and print what is complete."""
    scored = [(len(line["scores"]), line["seconds"]) for line in lines(task)]
    pairs, seconds = (sum(column) for column in zip(*scored, strict=True)) if scored else (0, 0.0)
    for stage in FIRST_STAGES:
        found = first_stage(task, stage)
        systems: list[tuple[str, Rankings | None, float]] = [(stage, found.rankings, found.query_seconds)]
        if pairs:
            slower = found.query_seconds + task.candidates * seconds / pairs
            systems.append((f"{stage} + cross-encoder", reranked(task, found.rankings), slower))
        for system, rankings, query_seconds in systems:
            if rankings is None:
                print(f"| {task.name} | {system} | not complete |")
                continue
            figures = metrics(task.collection, rankings)
            result = figures | {"seconds_per_query": query_seconds, "index_seconds": found.index_seconds}
            with whole_file(RESULTS / f"rerank_{task.name}_{system.replace(' ', '')}.json") as part:
                part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            cells = [f"{figures[name]:.2f}" for name in METRICS] + [f"{1000 * query_seconds:,.1f}"]
            print(f"| {task.name} | {system} | {' | '.join(cells)} |")
    if pairs:
        print(f"{task.name}: {pairs:,} pairs scored, {pairs / seconds:.0f} a second", file=sys.stderr)


def main() -> None:
    if not CROSS_ENCODER.is_dir():
        sys.exit("this needs the true cross-encoder: python benchmarks/ms_marco_weights.py")
    print(describe_machine(), file=sys.stderr)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    wanted = tasks()
    found = {(task.name, stage): first_stage(task, stage) for task in wanted for stage in FIRST_STAGES}
    try:
        for stage in FIRST_STAGES:
            for task in wanted:
                score(task, found[task.name, stage].rankings)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
    print(f"| | | {' | '.join(METRICS)} | ms a query |")
    print("|---|---|---:|---:|---:|---:|")
    for task in wanted:
        report(task)


if __name__ == "__main__":
    main()
