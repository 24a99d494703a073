"""How long likewise takes to start: fresh processes, in turn, beside the imports that it needs and the incumbent.

python benchmarks/startup.py --peer .venv-peer/bin/python
"""

import argparse
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder

ROUNDS = 9
TORCH = "import torch"
NEEDED = "import torch, tokenizers, safetensors"
IMPORT = "from likewise import SentenceTransformer"
HELP = "likewise --help"
BY_NAME = "first vector, likewise, by name"
BY_FOLDER = "first vector, likewise, by folder"
PEER = "first vector, sentence-transformers, by folder"
GOALS = (  # what, compared with what, at most how many times as long
    (IMPORT, TORCH, 0.4),
    (HELP, TORCH, 0.4),
    (BY_NAME, NEEDED, 1.3),
    (BY_FOLDER, NEEDED, 1.3),
    (PEER, NEEDED, None),
)


def first_vector(library: str, model: str) -> str:
    """A program that encodes one sentence."""
    return f"from {library} import SentenceTransformer; SentenceTransformer({model!r}).encode('Tea is ready.')"


def seconds_of(command: list[str]) -> float:
    # An installed package comes with its bytecode; a checkout must be allowed to keep what the first round compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = perf_counter()
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    taken = perf_counter() - start
    if finished.returncode:
        sys.exit(f"{' '.join(command)}  # failed\n{finished.stderr}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="The seconds that fresh processes take, beside sentence-transformers.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"processes of each kind (default: {ROUNDS})")
    arguments = parser.parse_args()
    if (model := embedded_folder()) is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    ours, peer = [sys.executable, "-c"], [arguments.peer, "-c"]
    commands = {
        "python -c pass": [*ours, "pass"],
        TORCH: [*ours, TORCH],
        NEEDED: [*ours, NEEDED],
        IMPORT: [*ours, IMPORT],
        HELP: [str(Path(sys.executable).with_name("likewise")), "--help"],
        BY_NAME: [*ours, first_vector("likewise", "all-MiniLM-L6-v2")],
        BY_FOLDER: [*ours, first_vector("likewise", str(model))],
        PEER: [*peer, first_vector("sentence_transformers", str(model))],
    }
    print(f"{describe_machine()}, {arguments.rounds} rounds\n")
    seconds = interleaved({name: partial(seconds_of, c) for name, c in commands.items()}, arguments.rounds)
    print("| a fresh process | seconds |\n|---|---:|")
    for name, taken in seconds.items():
        print(f"| {name} | {spread(taken, '.3f')} |")
    print("\n| compared | times as long | goal |\n|---|---:|---|")
    for name, base, bound in GOALS:
        times = ratios(seconds[name], seconds[base])
        goal = "" if bound is None else f"at most {bound}: {verdict(median(times), bound, at_least=False)}"
        print(f"| {name} / {base} | {spread(times)} | {goal} |")


if __name__ == "__main__":
    main()
