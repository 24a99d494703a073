"""Retrieve and re-rank: how good are BM25, a bi-encoder, and both with a cross-encoder behind them, and how fast?

    nice -n 5 python benchmarks/rerank_quality.py [scifact] [msmarco]
    python benchmarks/rerank_quality.py --time

SciFact (300 queries, 100 candidates re-ranked) and a sample of MS MARCO (500 queries, 50 candidates; each of its
negatives is a random other query's positive, so easy). What is found and scored is kept in .models/rerank_quality,
query by query, so that the script can be stopped (Ctrl-C) and started at any time; figures of what is complete are kept
in benchmarks/runs, and printed in the end. ``--time`` does no more than TIMED queries of each, on a quiet machine.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

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
TIMED = 50  # queries of a first stage; their candidates, of one query in ten
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


def first_stage(task: Task, stage: str) -> Rankings:
    """The DEPTH best passages of each query; kept in a file."""
    file = SCRATCH / f"{task.name}_{stage}.json"
    if not file.is_file():
        search = searcher(task, stage)
        with whole_file(file) as part:
            part.write_text(json.dumps({q: search(text) for q, text in task.collection.queries.items()}))
    found: Rankings = json.loads(file.read_text(encoding="utf-8"))
    return found


def searcher(task: Task, stage: str) -> Callable[[str], list[str]]:
    """The function from a query to the ids of its DEPTH best passages; the index or the vectors are made here."""
    ids, texts = list(task.collection.corpus), list(task.collection.corpus.values())
    if stage == "BM25":
        index = LexicalIndex(texts)
        return lambda query: [ids[int(hit["corpus_id"])] for hit in index.search(query, DEPTH)[0]]
    model, file = bi_encoder(), SCRATCH / f"{task.name}_vectors.npy"
    if not file.is_file():
        with whole_file(file) as part, part.open("wb") as opened:
            np.save(opened, model.encode_document(texts))
    vectors = np.load(file)
    return lambda query: [ids[row] for row in top_k(model.encode_query([query]), vectors, DEPTH)[1][0].tolist()]


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
                file.write(json.dumps(line) + "\n")
        print(f"{task.name}: {len(pairs)} pairs, {len(pairs) / seconds:.0f} a second", file=sys.stderr, flush=True)


def chunks(wanted: dict[str, list[str]]) -> Iterator[dict[str, list[str]]]:
    queries = list(wanted)
    for start in range(0, len(queries), CHUNK):
        yield {query: wanted[query] for query in queries[start : start + CHUNK]}


def scores_of(task: Task) -> dict[str, dict[str, float]]:
    """Query → passage → score, of all that is scored."""
    known: dict[str, dict[str, float]] = {}
    if task.scores_file.is_file():
        for line in map(json.loads, task.scores_file.read_text(encoding="utf-8").splitlines()):
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
    for stage in FIRST_STAGES:
        found = first_stage(task, stage)
        for system, rankings in ((stage, found), (f"{stage} + cross-encoder", reranked(task, found))):
            if rankings is None:
                print(f"| {task.name} | {system} | not complete |")
                continue
            figures = metrics(task.collection, rankings)
            with whole_file(RESULTS / f"rerank_{task.name}_{system.replace(' ', '')}.json") as part:
                part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
            print(f"| {task.name} | {system} | {' | '.join(f'{figures[name]:.2f}' for name in METRICS)} |")


def time(task: Task) -> None:
    """Print the milliseconds of one query, of each stage, on average."""
    queries = dict(list(task.collection.queries.items())[:TIMED])
    for stage in FIRST_STAGES:
        search = searcher(task, stage)
        search("what the first call needs is made by now")
        print(f"| {task.name} | {stage} | {1000 * seconds_of(search, list(queries.values())):,.1f} |", flush=True)
    found = first_stage(task, FIRST_STAGES[0])
    corpus, model = task.collection.corpus, cross_encoder()

    def rerank(query: str) -> None:
        passages = [corpus[passage] for passage in found[query][: task.candidates]]
        model.rank(queries[query], passages, show_progress_bar=False)

    seconds = seconds_of(rerank, list(queries)[::CHUNK])
    print(f"| {task.name} | cross-encoder, {task.candidates} candidates | {1000 * seconds:,.0f} |")


def seconds_of(work: Callable[[str], object], arguments: Sequence[str]) -> float:
    """What ``work`` takes, on average."""
    start = perf_counter()
    for argument in arguments:
        work(argument)
    return (perf_counter() - start) / len(arguments)


def main() -> None:
    wanted = tasks()
    parser = argparse.ArgumentParser(description="How good and how fast retrieving and re-ranking is.")
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(task.name for task in wanted)} (default: all)")
    parser.add_argument("--time", action="store_true", help="print how long a query takes, and no more")
    arguments = parser.parse_args()
    if not CROSS_ENCODER.is_dir():
        sys.exit("this needs the true cross-encoder: python benchmarks/ms_marco_weights.py")
    print(describe_machine(), file=sys.stderr)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    chosen = [task for task in wanted if not arguments.tasks or task.name in arguments.tasks]
    try:
        if arguments.time:
            print("| | | ms a query |\n|---|---|---:|")
            for task in chosen:
                time(task)
            return
        for stage in FIRST_STAGES:
            for task in chosen:
                score(task, first_stage(task, stage))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
    print(f"| | | {' | '.join(METRICS)} |")
    print("|---|---|---:|---:|---:|")
    for task in chosen:
        report(task)


if __name__ == "__main__":
    main()
