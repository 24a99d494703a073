"""How fast likewise trains, beside sentence-transformers: the same pairs, loss and steps, in turn, in one run.

    python benchmarks/train.py --peer .venv-peer/bin/python

The softmax objective of the paper on SNLI pairs. Each contestant is a process of its own (train_worker.py) with its own
defaults but for the precision and the batch size, and no two work at once.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from contestants import Contestant, Worker
from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.files import read_rows

HERE = Path(__file__).parent
PAIRS = HERE.parents[1] / "shared" / "data" / "nli" / "snli_train_from_ni.parquet"
COUNT = 512
ROUNDS = 5
BATCH_SIZES = (16, 64, 256)
PEER = "sentence-transformers"
PEER_FLOAT32, PEER_BFLOAT16 = Contestant(PEER, "float32"), Contestant(PEER, "bfloat16")
OURS_FLOAT32, OURS_BFLOAT16 = Contestant("likewise", "float32"), Contestant("likewise", "bfloat16")
CONTESTANTS = (PEER_FLOAT32, PEER_BFLOAT16, OURS_FLOAT32, OURS_BFLOAT16)
GOALS = (  # ours, theirs, how many times as fast ours is to be
    (OURS_FLOAT32, PEER_FLOAT32, 2.3),
    (OURS_BFLOAT16, PEER_BFLOAT16, 1.7),
    (OURS_BFLOAT16, PEER_FLOAT32, 3.0),
)


def trained(contestant: Contestant, worker: Worker, losses: dict[Contestant, float]) -> float:
    """The seconds of one training; the loss of a contestant's first one is kept."""
    answer = worker.ask("train")
    losses.setdefault(contestant, answer["loss"])
    return float(answer["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed beside sentence-transformers.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--pairs", type=Path, default=PAIRS, help="premise, hypothesis, label (default: SNLI)")
    parser.add_argument(
        "--count", type=int, default=COUNT, help=f"pairs that each trains on a round (default: {COUNT})"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often (default: {ROUNDS})")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    arguments = parser.parse_args()
    if (model := embedded_folder()) is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    columns: dict[str, list[object]] = {"premise": [], "hypothesis": [], "label": []}
    for row, _ in zip(read_rows(arguments.pairs, list(columns)), range(arguments.count), strict=False):
        for name, values in columns.items():
            values.append(row.values[name])
    print(f"{describe_machine()}\n{arguments.count:,} pairs of {arguments.pairs.name}, {arguments.rounds} rounds")
    with TemporaryDirectory() as name:
        pairs_file = Path(name) / "pairs.json"
        pairs_file.write_text(json.dumps(columns), encoding="utf-8")
        for batch_size in arguments.batch_sizes:
            workers = {}
            for contestant in CONTESTANTS:
                python = arguments.peer if contestant.library == PEER else sys.executable
                script = [python, str(HERE / "train_worker.py"), contestant.library, contestant.dtype]
                command = [*script, str(model), str(pairs_file), str(batch_size)]
                workers[contestant] = Worker(command, Path(name) / f"{contestant}.log")
            losses: dict[Contestant, float] = {}
            trainings = {c: partial(trained, c, worker, losses) for c, worker in workers.items()}
            seconds = interleaved(trainings, arguments.rounds)
            for worker in workers.values():
                worker.process.kill()
            print(
                f"\nBatches of {batch_size}:\n\n| | pairs/s | times {PEER}, float32 | times its bfloat16 | first loss |"
            )
            print("|---|---:|---:|---:|---:|")
            for c in CONTESTANTS:
                cells = [
                    str(c),
                    f"{arguments.count / median(seconds[c]):,.0f}",
                    spread(ratios(seconds[PEER_FLOAT32], seconds[c])),
                    spread(ratios(seconds[PEER_BFLOAT16], seconds[c])),
                    f"{losses[c]:.4f}",
                ]
                print(f"| {' | '.join(cells)} |")
            for ours, peer, goal in GOALS:
                reached = median(ratios(seconds[peer], seconds[ours]))
                print(f"goal: {ours}: at least {goal} times {peer}: {reached:.2f}, {verdict(reached, goal, True)}")


if __name__ == "__main__":
    main()
