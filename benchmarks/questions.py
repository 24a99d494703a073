"""semantic_search in memory, beside sentence-transformers': how long do a few questions take among 100,000 vectors?

    python benchmarks/questions.py --peer .venv-peer/bin/python [--vectors 100000] [--rounds 9]

The vectors are drawn at random, 384 numbers each; both libraries draw the same and find the same. Each is a process of
its own (questions_worker.py), and no two work at once.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from contestants import HERE, OURS, PEER, Worker
from interleaved import describe_machine, interleaved, peer_python, ratios, spread

AT_ONCE = (1, 16, 256)  # questions


def main() -> None:
    parser = argparse.ArgumentParser(description="semantic_search beside sentence-transformers'.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{describe_machine()}\n")
    with TemporaryDirectory() as folder:
        workers = {}
        for library, python in ((PEER, options.peer), (OURS, sys.executable)):
            command = [python, str(HERE / "questions_worker.py"), library, str(options.vectors)]
            workers[library] = Worker(command, Path(folder) / f"{library}.log")
            print(f"{library} {workers[library].facts['version']}")
        print(f"\n| questions at once, {options.vectors:,} vectors | {PEER}, ms | {OURS}, ms | times |")
        print("|---:|---:|---:|---:|")
        for number in AT_ONCE:
            found = [workers[library].ask(f"find {number}")["found"] for library in (PEER, OURS)]
            assert found[0] == found[1], f"of {number} questions they find different vectors"
            turns = {library: partial(worker.seconds, f"find {number}") for library, worker in workers.items()}
            seconds = interleaved(turns, options.rounds)
            peer, ours = ([1000 * value for value in seconds[library]] for library in (PEER, OURS))
            print(
                f"| {number} | {spread(peer, '.0f')} | {spread(ours, '.0f')} | {spread(ratios(peer, ours))} |",
                flush=True,
            )
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main()
