"""How fast likewise scores pairs, beside sentence-transformers: the same pairs and weights, in turn, in one run.

    python benchmarks/rerank.py --peer .venv-peer/bin/python

The true ms-marco-MiniLM-L-12-v2 scores pairs of the STS benchmark, which are short, and of MS MARCO, a question and a
passage each. Each contestant is a process of its own (rerank_worker.py) with its own defaults (device, threads,
batches), and no two work at once.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from contestants import HERE, OURS, OURS_DEFAULT, PEER, PEER_BFLOAT16, PEER_DEFAULT, Contestant, Worker
from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict
from ms_marco_weights import FOLDER as MODEL

from likewise.engine.processor import has_native_bfloat16
from likewise.files import read_rows

DATA = HERE.parents[1] / "shared" / "data"
ROUNDS = 5
CONTESTANTS = (PEER_DEFAULT, PEER_BFLOAT16, Contestant(OURS, "float32"), Contestant(OURS, "int8"), OURS_DEFAULT)


@dataclass(frozen=True, slots=True)
class Task:
    file: Path
    columns: tuple[str, str]
    count: int  # pairs
    goal: float  # how many times as fast as the incumbent likewise is to be, both by default


TASKS = {
    "stsb": Task(DATA / "sts" / "stsb_test.parquet", ("sentence1", "sentence2"), 512, 5.0),
    "msmarco": Task(DATA / "retrieval" / "msmarco_sample.parquet", ("query", "passage"), 160, 4.0),
}


def read_pairs(task: Task) -> list[list[object]]:
    """The pairs of ``task``, evenly spread over its file, whose rows may be in an order."""
    rows = [[row.values[column] for column in task.columns] for row in read_rows(task.file, list(task.columns))]
    return [rows[place] for place in np.linspace(0, len(rows) - 1, task.count).round().astype(int)]


def compare(name: str, workers: Mapping[Contestant, Worker], rounds: int, scratch: Path) -> None:
    """Print what each contestant makes of the pairs of the task ``name``."""
    task = TASKS[name]
    seconds = interleaved({c: partial(worker.seconds, f"score {name}") for c, worker in workers.items()}, rounds)
    tokens, scores = {}, {}
    for contestant, worker in workers.items():
        file = scratch / f"{contestant.library}-{contestant.dtype}.npy"
        tokens[contestant] = worker.ask(f"save {name} {file}")["tokens"]
        scores[contestant] = np.load(file).astype(np.float64)
    print(f"\n{task.count:,} pairs of {task.file.name}, {rounds} rounds:\n")
    print(f"| | pairs/s | times {PEER}' default | times its bfloat16 | tokens/pair | largest difference of a score |")
    print("|---|---:|---:|---:|---:|---:|")
    for c in workers:
        cells = [
            str(c),
            f"{task.count / median(seconds[c]):,.0f}",
            spread(ratios(seconds[PEER_DEFAULT], seconds[c])),
            spread(ratios(seconds[PEER_BFLOAT16], seconds[c])) if PEER_BFLOAT16 in seconds else "–",
            f"{tokens[c] / task.count:.1f}",
            f"{np.abs(scores[c] - scores[PEER_DEFAULT]).max():.4f}",
        ]
        print(f"| {' | '.join(cells)} |")
    reached = median(ratios(seconds[PEER_DEFAULT], seconds[OURS_DEFAULT]))
    outcome = verdict(reached, task.goal, at_least=True)
    print(f"\ngoal: at least {task.goal} times {PEER_DEFAULT}: {reached:.2f}, {outcome}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The speed of cross-encoders beside sentence-transformers.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each scores them (default: {ROUNDS})")
    arguments = parser.parse_args()
    if not MODEL.is_dir():
        sys.exit(f"this needs the true cross-encoder: python {HERE / 'ms_marco_weights.py'}")
    if missing := [task.file for task in TASKS.values() if not task.file.is_file()]:
        sys.exit(f"this needs the data in {DATA}; there is no {missing[0]}")
    pairs = {name: read_pairs(task) for name, task in TASKS.items()}
    print(describe_machine())
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        pairs_file = scratch / "pairs.json"
        pairs_file.write_text(json.dumps(pairs), encoding="utf-8")
        workers = {}
        for contestant in CONTESTANTS:
            if contestant == PEER_BFLOAT16 and not has_native_bfloat16():
                print(f"{contestant}: left out, this processor does not multiply bfloat16")
                continue
            python = arguments.peer if contestant.library == PEER else sys.executable
            script = [python, str(HERE / "rerank_worker.py"), contestant.library, contestant.dtype]
            workers[contestant] = worker = Worker([*script, str(MODEL), str(pairs_file)], scratch / f"{contestant}.log")
            versions = ", ".join(f"{package} {version}" for package, version in worker.facts["versions"].items())
            print(f"{contestant}: {versions}; {worker.facts['device']}, {worker.facts['threads']} threads")
        for name in TASKS:
            compare(name, workers, arguments.rounds, scratch)
        print(
            f"""
Ratios: the median of the rounds, from the lowest to the highest. Tokens: what the network computes, padding included.
Differences: of the same pair's score, which lies between -11 and 11 or so, to {PEER_DEFAULT}."""
        )


if __name__ == "__main__":
    main()
