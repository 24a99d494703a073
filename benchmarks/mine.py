"""The paper's headline: the most similar pairs of 10,000 sentences, beside sentence-transformers, in one run.

    python benchmarks/mine.py --peer .venv-peer/bin/python
    python benchmarks/mine.py --large int8

To find the most similar pair of 10,000 sentences takes about 65 hours with BERT, each pair through the network, and
about 5 seconds with SBERT (Reimers & Gurevych 2019, abstract and section 1; on a V100).

From text to the sorted list of the best pairs, by paraphrase_mining with its default top_k and max_pairs. Each
contestant is a process of its own (mine_worker.py), and no two work at once. With ``--large``, likewise alone mines
100,000 sentences, with the most memory that its process held.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from contestants import HERE, OURS, OURS_DEFAULT, PEER, PEER_DEFAULT, Contestant, Worker
from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.files import read_rows, read_texts

DATA = HERE.parents[1] / "shared" / "data" / "nli"
SENTENCES, LARGE = 10_000, 100_000
ROUNDS, GOAL = 3, 5.5
CONTESTANTS = (PEER_DEFAULT, OURS_DEFAULT, Contestant(OURS, "float32"), Contestant(OURS, "int8"))
FIRST = 500  # of the incumbent's pairs, looked for among as many of ours
LEAST_SHARED = 490  # in the default dtype
TIE = 1e-6  # pairs whose scores differ by no more may stand in any order
MIB = 2**20


def sentences_of(file: Path, columns: list[str], count: int) -> list[str]:
    """The first distinct texts of the ``columns``, row by row."""
    if not file.is_file():
        sys.exit(f"this needs the data set {file}, which is not there")
    if len(columns) == 1:
        texts = list(read_texts(file, columns[0]))
    else:
        texts = [str(row.values[column]) for row in read_rows(file, columns) for column in columns]
    found = list(dict.fromkeys(texts))[:count]
    print(
        f"the first {len(found):,} distinct texts of {' and '.join(columns)} in {file.name}, {pairs_of(found):,} pairs"
    )
    return found


def pairs_of(sentences: list[str]) -> int:
    return len(sentences) * (len(sentences) - 1) // 2


@dataclass
class Mine:
    """One contestant's mining, whose seconds of encoding are kept beside those of all."""

    worker: Worker
    encoding: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        answer = self.worker.ask("mine")
        self.encoding.append(answer["encoding"])
        return float(answer["seconds"])


def started(contestant: Contestant, peer: str, model: Path, sentences: Path, scratch: Path) -> Worker:
    python = peer if contestant.library == PEER else sys.executable
    script = [python, str(HERE / "mine_worker.py"), contestant.library, contestant.dtype, str(model), str(sentences)]
    worker = Worker(script, scratch / f"{contestant.slug}.log")
    facts = worker.facts
    print(f"{contestant}: version {facts['version']}; {facts['dtype']}, {facts['device']}, {facts['threads']} threads")
    return worker


def agreement(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[int, int]:
    """How many of the incumbent's first pairs are among as many of ours; and with those that are left out by a tie."""
    first = {tuple(pair) for pair in ours["pairs"][:FIRST].tolist()}
    is_shared = np.array([tuple(pair) in first for pair in theirs["pairs"][:FIRST].tolist()])
    is_tie = theirs["scores"][:FIRST] <= ours["scores"][:FIRST][-1] + TIE
    return int(is_shared.sum()), int((is_shared | is_tie).sum())


def headline(peer: str, model: Path, rounds: int, only: list[str] | None, count: int) -> None:
    sentences = sentences_of(DATA / "mnli_dev.parquet", ["premise", "hypothesis"], count)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        texts = scratch / "sentences.json"
        texts.write_text(json.dumps(sentences), encoding="utf-8")
        mines = {
            contestant: Mine(started(contestant, peer, model, texts, scratch))
            for contestant in CONTESTANTS
            if contestant == PEER_DEFAULT or only is None or contestant.slug in only
        }
        seconds = interleaved(mines, rounds, warm_up=False)  # each did by itself
        encoding = {contestant: mine.encoding for contestant, mine in mines.items()}
        results = {}
        for contestant, mine in mines.items():
            mine.worker.ask(f"save {scratch / contestant.slug}.npz")
            results[contestant] = dict(np.load(scratch / f"{contestant.slug}.npz"))
    mining = {c: [a - b for a, b in zip(seconds[c], encoding[c], strict=True)] for c in seconds}
    heads = [
        f"the best pairs of {len(sentences):,} sentences",
        "seconds",
        "of these mining",
        f"times {PEER}",
        "in mining alone",
        f"of its first {FIRST} pairs",
        "with ties",
    ]
    print(f"\n| {' | '.join(heads)} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print("| each pair through BERT, on a V100 (the paper, 2019) | 234,000 | | | | | |")
    print("| SBERT, on a V100 (the paper, 2019; the best pair only) | 5 | | | | | |")
    theirs = results[PEER_DEFAULT]
    for c in seconds:
        shared, with_ties = agreement(results[c], theirs)
        cells = [
            str(c),
            spread(seconds[c], ".1f"),
            spread(mining[c]),
            spread(ratios(seconds[PEER_DEFAULT], seconds[c])),
            spread(ratios(mining[PEER_DEFAULT], mining[c])),
            str(shared),
            str(with_ties),
        ]
        print(f"| {' | '.join(cells)} |")
    if OURS_DEFAULT in seconds:
        reached = median(ratios(seconds[PEER_DEFAULT], seconds[OURS_DEFAULT]))
        print(f"\ngoal: at least {GOAL} times {PEER}: {reached:.2f}, {verdict(reached, GOAL, at_least=True)}")
        shared, _ = agreement(results[OURS_DEFAULT], theirs)
        outcome = verdict(shared, LEAST_SHARED, at_least=True)
        print(f"goal: by default at least {LEAST_SHARED} of its first {FIRST} pairs: {shared}, {outcome}")
    for c in seconds:
        if mines[c].worker.facts["dtype"] == "float32" and c.library == OURS:
            shared = agreement(results[c], theirs)[1]
            outcome = verdict(shared, FIRST, at_least=True)
            print(f"goal: {c}, all of them up to ties of {TIE}: {shared}, {outcome}")


def large(dtype: str, model: Path, count: int) -> None:
    sentences = sentences_of(DATA / "nli_train_pool.parquet", ["premise"], count)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        texts = scratch / "sentences.json"
        texts.write_text(json.dumps(sentences), encoding="utf-8")
        worker = started(Contestant(OURS, dtype), sys.executable, model, texts, scratch)
        before = worker.ask("memory")["resident"]
        answer = worker.ask("mine")
        peak = worker.ask("memory")["peak"]
        pairs = worker.ask(f"save {scratch / 'pairs.npz'}")["pairs"]
        lowest = np.load(scratch / "pairs.npz")["scores"][-1]
    mining = answer["seconds"] - answer["encoding"]
    print(
        f"{answer['seconds']:,.1f} s, of which encoding {answer['encoding']:,.1f} s and mining {mining:,.1f} s; "
        f"{pairs:,} pairs, the last with {lowest:.4f}\n"
        f"peak resident memory {peak / MIB:,.0f} MiB, {before / MIB:,.0f} of them when model and sentences were loaded"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The most similar pairs of 10,000 sentences.")
    parser.add_argument("--peer", type=peer_python, help="the Python that has sentence-transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each mines (default: {ROUNDS})")
    names = [contestant.slug for contestant in CONTESTANTS[1:]]
    parser.add_argument("--only", nargs="+", choices=names, help="of likewise, only these")
    parser.add_argument("--large", metavar="DTYPE", help=f"likewise alone in this dtype, on {LARGE:,} sentences")
    parser.add_argument("--sentences", type=int, help="fewer sentences, for a short check")
    arguments = parser.parse_args()
    if (model := embedded_folder()) is None:
        sys.exit(f"this needs all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    if (arguments.peer is None) == (arguments.large is None):
        parser.error("give either --peer, to compare, or --large, for likewise alone")
    print(describe_machine())
    if arguments.large:
        large(arguments.large, model, arguments.sentences or LARGE)
    else:
        headline(arguments.peer, model, arguments.rounds, arguments.only, arguments.sentences or SENTENCES)


if __name__ == "__main__":
    main()
