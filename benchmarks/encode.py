"""How fast likewise encodes, beside sentence-transformers: the same texts and weights, in turn, in one run.

    python benchmarks/encode.py --peer .venv-peer/bin/python

Each contestant is a process of its own with its own defaults (device, threads, batches), and no two work at once.
This process stays small: Linux counts what a process held when it started another in the other's peak memory.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.files import read_texts

HERE = Path(__file__).parent
TEXTS = HERE.parents[1] / "shared" / "data" / "nli" / "mnli_dev.parquet"
COLUMN = "premise"
COUNT = 2000
ROUNDS = 9
PEER = "sentence-transformers"
WORDS = (  # of made-up sentences
    *("the", "a", "of", "in", "to", "and", "that", "it", "was", "for", "on", "with", "as", "by", "at", "from", "they"),
    *("river", "market", "letter", "engine", "winter", "teacher", "harbour", "question", "garden", "morning", "answer"),
    *("government", "remember", "carefully", "possible", "understanding", "nevertheless", "according", "international"),
    *("built", "carried", "asked", "opened", "found", "written", "between", "village", "company", "station", "library"),
)
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")


@dataclass(frozen=True, slots=True)
class Contestant:
    library: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.library}, {self.dtype}"


PEER_DEFAULT = Contestant(PEER, "default")
PEER_BFLOAT16 = Contestant(PEER, "bfloat16")
OURS_FLOAT32 = Contestant("likewise", "float32")
OURS_DEFAULT = Contestant("likewise", "auto")
CONTESTANTS = (PEER_DEFAULT, PEER_BFLOAT16, OURS_FLOAT32, OURS_DEFAULT)
GOALS = ((PEER_DEFAULT, 5.0), (PEER_BFLOAT16, 1.5))  # how many times as fast likewise is to be by default


class Worker:
    """The process of a contestant (encode_worker.py), which answers each line with a line of JSON."""

    def __init__(self, command: list[str], log: Path):
        self.command = command
        self.log = log  # its warnings and progress bars, shown only if it fails
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.facts = self.answer()

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.command)}  # ended early\n{self.log.read_text()}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def seconds(self) -> float:
        return float(self.ask("encode")["seconds"])


def read_distinct(path: Path, column: str, count: int) -> tuple[list[str], str]:
    """The first ``count`` distinct texts, and in words where they come from; without the file they are made up."""
    if path.is_file():
        texts = list(dict.fromkeys(read_texts(path, column)))[:count]
        return texts, f"the first {len(texts):,} distinct texts in the column {column} of {path.name}"
    return made_up(count), f"{count:,} made-up sentences as long as MNLI's premises, because {path} is not there"


def made_up(count: int) -> list[str]:
    """Words at random; how many to a sentence is distributed as in MNLI's premises: log-normal, 16 in the middle."""
    draw = random.Random(0)
    lengths = (min(max(round(draw.lognormvariate(2.75, 0.72)), 1), 200) for _ in range(count))
    return [" ".join(draw.choices(WORDS, k=length)).capitalize() + "." for length in lengths]


def lowest_cosine(vectors: np.ndarray, reference: np.ndarray) -> float:
    """The lowest cosine between rows of the same index, (texts, dim) each, in float64."""
    left, right = vectors.astype(np.float64), reference.astype(np.float64)
    return float(((left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)).min())


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed, memory and padding beside sentence-transformers.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="a file of texts (default: MNLI dev)")
    parser.add_argument("--column", default=COLUMN, help=f"the column of it (default: {COLUMN})")
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many distinct texts (default: {COUNT})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each encodes them (default: {ROUNDS})")
    parser.add_argument("--breakdown", action="store_true", help="also show where the time of likewise goes")
    arguments = parser.parse_args()
    if (model := embedded_folder()) is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    texts, origin = read_distinct(arguments.texts, arguments.column, arguments.count)
    print(f"{describe_machine()}\n{origin}, {arguments.rounds} rounds")
    print("as set: " + ", ".join(f"{name} {os.environ.get(name, 'not set')}" for name in THREAD_SETTINGS))

    with TemporaryDirectory() as name:
        temporary = Path(name)
        texts_file = temporary / "texts.json"
        texts_file.write_text(json.dumps(texts), encoding="utf-8")
        workers: dict[Contestant, Worker] = {}
        for contestant in CONTESTANTS:
            python = arguments.peer if contestant.library == PEER else sys.executable
            script = [python, str(HERE / "encode_worker.py")]
            command = [*script, contestant.library, contestant.dtype, str(model), str(texts_file)]
            workers[contestant] = worker = Worker(command, temporary / f"{contestant}.log")
            versions = ", ".join(f"{package} {version}" for package, version in worker.facts["versions"].items())
            print(f"{contestant}: {versions}; {worker.facts['device']}, {worker.facts['threads']} threads")
        seconds = interleaved({contestant: worker.seconds for contestant, worker in workers.items()}, arguments.rounds)
        saved = {c: worker.ask(f"save {temporary / f'{c}.npy'}") for c, worker in workers.items()}
        vectors = {c: np.load(temporary / f"{c}.npy") for c in workers}

    print(f"\n| | sentences/s | times {PEER}' default | times its bfloat16 | peak memory | padding | lowest cosine |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for c, worker in workers.items():
        cells = [
            f"{c.library}, {c.dtype}" + f" ({worker.facts['dtype']})" * (c.dtype != worker.facts["dtype"]),
            f"{len(texts) / median(seconds[c]):,.0f}",
            spread(ratios(seconds[PEER_DEFAULT], seconds[c])),
            spread(ratios(seconds[PEER_BFLOAT16], seconds[c])),
            f"{saved[c]['peak_bytes'] / 2**20:,.0f} MiB",
            f"{saved[c]['padding']:.1%}",
            f"{lowest_cosine(vectors[c], vectors[PEER_DEFAULT]):.6f}",
        ]
        print(f"| {' | '.join(cells)} |")
    print(
        f"""
Ratios: the median of the rounds, from the lowest to the highest. Peak memory: of the process, libraries and model
included. Padding: tokens added for each real one; {PEER} sorts by characters and pads each batch of 32 to its longest
text, likewise lays texts end to end and adds none. Cosines: of the same text's vectors, to {PEER_DEFAULT}.
"""
    )
    for peer, goal in GOALS:
        reached = median(ratios(seconds[peer], seconds[OURS_DEFAULT]))
        print(f"goal: at least {goal} times {peer}: {reached:.2f}, {verdict(reached, goal, at_least=True)}")
    if arguments.breakdown:
        from breakdown import breakdown  # here, when all workers are gone: it imports torch and computes

        print(f"\nWhere the time of likewise goes:\n\n{breakdown(model, texts)}")


if __name__ == "__main__":
    main()
