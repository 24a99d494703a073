"""How fast everybody encodes: the same texts and weights, every contestant in turn, in one run.

    python benchmarks/encode.py --peer .venv-peer/bin/python --engines .venv-engines/bin/python

Each contestant is a process of its own with its own defaults (device, threads, batches), and no two work at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from contestants import (
    GRAPH_ENGINES,
    OURS_BFLOAT16,
    OURS_DEFAULT,
    OURS_FLOAT32,
    OURS_IN_TORCH,
    OURS_INT8,
    OURS_NATIVE,
    PEER,
    PEER_BFLOAT16,
    PEER_DEFAULT,
    Contestant,
    Worker,
)
from encode_contest import Contest
from encode_tables import Costs, Measured, costs_table, speed_table, verdicts
from encode_worker import SENTENCE
from interleaved import describe_machine, interleaved, peer_python
from native_parts import native_parts
from text_sets import COLUMN, COUNTS, POOL, TEXTS, TextSet, read_distinct, text_sets

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.engine.processor import has_native_bfloat16, has_torch

ROUNDS = 9
FEW_ROUNDS = 3  # at most, of fresh processes and of the parts of the native engine
LATENCY_CALLS = 40  # in each turn
LATENCY_TURNS = 6  # of which the first warms up and is not counted
TABLES = ("speed", "costs", "peak")
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")
CONTESTANTS = (
    *(PEER_DEFAULT, PEER_BFLOAT16, *GRAPH_ENGINES),
    *(*OURS_IN_TORCH, OURS_FLOAT32, OURS_BFLOAT16, OURS_INT8, OURS_DEFAULT),
)


def reason_against(contestant: Contestant, has_engines: bool, device: str | None) -> str | None:
    """Why ``contestant`` takes no part here; None where it does."""
    is_on_gpu = device not in (None, "cpu")
    if is_on_gpu and (contestant in GRAPH_ENGINES or contestant in OURS_NATIVE):
        return f"it computes on the CPU, not on {device}"
    if contestant in GRAPH_ENGINES and not has_engines:
        return "no --engines; `make .venv-engines/installed` makes .venv-engines/bin/python"
    if contestant in OURS_IN_TORCH and not has_torch():
        return "torch is not installed beside likewise"
    if contestant in (OURS_BFLOAT16, OURS_IN_TORCH[1]) and not (is_on_gpu or has_native_bfloat16()):
        return "this processor does not multiply bfloat16; likewise would widen it to float32"
    return None


def measure(texts: TextSet, workers: Mapping[Contestant, Worker], rounds: int, scratch: Path) -> Measured:
    """What each contestant makes of one set of texts."""
    command = f"encode {texts.name}"
    seconds = interleaved({c: partial(worker.seconds, command) for c, worker in workers.items()}, rounds)
    padding = {c: worker.ask(f"save {scratch / f'{c.slug}.npy'}")["padding"] for c, worker in workers.items()}
    vectors = {c: np.load(scratch / f"{c.slug}.npy") for c in workers}
    cosines = {c: lowest_cosine(vectors[c], vectors[PEER_DEFAULT]) for c in workers}
    return Measured(texts, seconds, {c: worker.facts["dtype"] for c, worker in workers.items()}, padding, cosines)


def lowest_cosine(vectors: np.ndarray, reference: np.ndarray) -> float:
    """The lowest cosine between rows of the same index, (texts, dim) each, in float64."""
    left, right = vectors.astype(np.float64), reference.astype(np.float64)
    return float(((left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)).min())


def all_costs(contest: Contest, workers: Mapping[Contestant, Worker], rounds: int) -> dict[Contestant, Costs]:
    """What each contestant asks for besides the time of many texts; its process has encoded all sets by now."""
    held = {c: worker.ask("memory") for c, worker in workers.items()}
    latencies: dict[Contestant, list[float]] = {c: [] for c in workers}
    for turn in range(LATENCY_TURNS):
        for c, worker in workers.items():
            milliseconds = worker.ask(f"latency {LATENCY_CALLS}")["milliseconds"]
            latencies[c] += milliseconds if turn else []
    first = interleaved({c: partial(contest.seconds_to_first_vector, c) for c in workers}, min(rounds, FEW_ROUNDS))
    return {
        c: Costs(first[c], latencies[c], held[c]["resident"], held[c]["peak"], contest.installed(c)[0]) for c in workers
    }


def main() -> None:
    arguments = parse()
    if (model := embedded_folder()) is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    pool, origin = read_distinct(arguments.texts, arguments.column, POOL)
    sets = text_sets(pool, model / "tokenizer.json", arguments.sets, arguments.scale)
    print(f"{describe_machine()}\n{arguments.rounds} rounds, of {origin}:")
    print("\n".join(f"- {texts}" for texts in sets))
    print("as set: " + ", ".join(f"{name} {os.environ.get(name, 'not set')}" for name in THREAD_SETTINGS) + "\n")
    with TemporaryDirectory() as name:
        scratch = Path(name)
        texts_file = scratch / "texts.json"
        texts_file.write_text(json.dumps({texts.name: texts.texts for texts in sets}), encoding="utf-8")
        contest = Contest(arguments.peer, arguments.engines, model, scratch, arguments.device)
        chosen = [c for c in CONTESTANTS if c == PEER_DEFAULT or c.slug in arguments.only]
        reasons = {c: reason_against(c, arguments.engines is not None, arguments.device) for c in chosen}
        for c, reason in reasons.items():
            if reason is not None:
                print(f"{c}: left out, {reason}")
        present = [c for c in chosen if reasons[c] is None]
        if not {"speed", "costs"}.isdisjoint(arguments.tables):
            run_contest(contest, present, sets, texts_file, arguments)
        if "peak" in arguments.tables and arguments.device in (None, "cpu"):
            dtypes = [c.dtype for c in present if c in (OURS_FLOAT32, OURS_BFLOAT16, OURS_INT8)]
            which = "natural" if "natural" in arguments.sets else arguments.sets[0]
            rounds = min(arguments.rounds, FEW_ROUNDS)
            print(f"\nThe native engine on the set {which}, {rounds} rounds:\n")
            print(native_parts(dtypes, model, texts_file, which, rounds, scratch))
    if arguments.breakdown:
        from breakdown import breakdown  # here, when all workers are gone: it imports torch and computes

        print(f"\nWhere the time of the torch engine goes:\n\n{breakdown(model, sets[0].texts)}")


def run_contest(
    contest: Contest,
    present: list[Contestant],
    sets: list[TextSet],
    texts_file: Path,
    arguments: argparse.Namespace,
) -> None:
    """Start everybody, and print what they make of the sets and what they cost."""
    if any(c in GRAPH_ENGINES for c in present):
        contest.export_graphs()
    workers = {}
    for c in present:
        workers[c] = worker = contest.start(c, texts_file)
        versions = ", ".join(f"{package} {version}" for package, version in contest.installed(c)[1].items())
        print(f"{c}: {versions}; {worker.facts['dtype']}, {worker.facts['device']}, {worker.facts['threads']} threads")
    results = {}
    if "speed" in arguments.tables:
        for texts in sets:
            results[texts.name] = measured = measure(texts, workers, arguments.rounds, contest.scratch)
            print(f"\n{speed_table(measured)}", flush=True)
    if "costs" in arguments.tables:
        print(f"\n{costs_table(all_costs(contest, workers, arguments.rounds))}")
        print(f'\nThe one sentence: "{SENTENCE}"')
    for worker in workers.values():
        worker.close()
    print(f"\nRatios: the median of the rounds, from the lowest to the highest. Cosines: to {PEER_DEFAULT}.\n")
    print("\n".join(verdicts(results)))


def device_there(name: str) -> str:
    """The value of ``--device``, where torch finds it here."""
    if name != "cpu":
        from likewise.engine.torch import check_device  # here: it imports torch

        try:
            check_device(name)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return name


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Speed, memory and size beside {PEER} and the engines of graphs.")
    parser.add_argument("--peer", type=peer_python, required=True, help=f"the Python that has {PEER}")
    parser.add_argument("--engines", type=peer_python, help="the Python that has ONNX Runtime, OpenVINO and fastembed")
    on = "where to compute: cpu, cuda, mps (default: where each library does by itself)"
    parser.add_argument("--device", type=device_there, help=on)
    parser.add_argument("--texts", type=Path, default=TEXTS, help="a file of texts (default: MNLI dev)")
    parser.add_argument("--column", default=COLUMN, help=f"the column of it (default: {COLUMN})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each encodes them (default: {ROUNDS})")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times as many texts in each set (default: 1)")
    parser.add_argument(
        "--sets", nargs="+", choices=COUNTS, default=list(COUNTS), metavar="SET", help=", ".join(COUNTS)
    )
    slugs = [c.slug for c in CONTESTANTS]
    only = f"these and {PEER_DEFAULT.slug}, which all are compared with; there are {', '.join(slugs)}"
    parser.add_argument("--only", nargs="+", choices=slugs, default=slugs, metavar="CONTESTANT", help=only)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), help="what to measure")
    parser.add_argument("--breakdown", action="store_true", help="also show where the time of our torch engine goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
