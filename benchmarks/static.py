"""Static embeddings beside the tokenizer alone, which bounds them, and beside sentence-transformers, in one run.

python benchmarks/static.py --peer .venv-peer/bin/python
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from contestants import HERE, PEER, Worker
from encode import lowest_cosine
from interleaved import describe_machine, interleaved, peer_python, ratios, spread, verdict
from text_sets import COLUMN, TEXTS, read_distinct
from tokenizers import Tokenizer

from likewise import SentenceTransformer, models
from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.tokens import TEXTS_AT_ONCE

COUNT, ROUNDS, GOAL = 9000, 9, 0.8
WIDTHS = (256, 1024)  # of potion-base-8M and of static-retrieval-mrl-en-v1
ALONE, OURS = "tokenizers alone", "likewise"


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of all-MiniLM-L6-v2, without truncation and padding."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def compare(width: int, folder: Path, texts: list[str], peer: str, rounds: int) -> None:
    """Print what each contestant makes of ``texts`` with a random table of ``width`` dimensions."""
    tokenizer = tokenizer_of(folder)
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), width)).astype(np.float32)
    model = SentenceTransformer(modules=[models.StaticEmbedding(tokenizer_of(folder), table), models.Normalize()])

    def alone() -> float:
        start = perf_counter()
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            tokenizer.encode_batch_fast(texts[first : first + TEXTS_AT_ONCE], add_special_tokens=False)
        return perf_counter() - start

    def ours() -> float:
        start = perf_counter()
        model.encode(texts)
        return perf_counter() - start

    with TemporaryDirectory() as name:
        temporary = Path(name)
        model.save_pretrained(temporary / "model")
        (temporary / "texts.json").write_text(json.dumps({"texts": texts}), encoding="utf-8")
        script = [peer, str(HERE / "encode_worker.py"), PEER, "auto", "default"]
        worker = Worker([*script, str(temporary / "model"), str(temporary / "texts.json")], temporary / "log")
        seconds = interleaved({ALONE: alone, OURS: ours, PEER: partial(worker.seconds, "encode texts")}, rounds)
        worker.ask(f"save {temporary / 'vectors.npy'}")
        cosine = lowest_cosine(model.encode(texts), np.load(temporary / "vectors.npy"))
    print(f"\n{width} dimensions, {rounds} rounds, lowest cosine to {PEER}: {cosine:.6f}\n")
    print("| | texts/s | times the tokenizer alone | times the incumbent |\n|---|---:|---:|---:|")
    for contestant, taken in seconds.items():
        to_alone, to_peer = (spread(ratios(seconds[base], taken)) for base in (ALONE, PEER))
        print(f"| {contestant} | {len(texts) / median(taken):,.0f} | {to_alone} | {to_peer} |")
    reached = median(ratios(seconds[ALONE], seconds[OURS]))
    print(f"\ngoal: at least {GOAL} of the tokenizer alone: {reached:.2f}, {verdict(reached, GOAL, at_least=True)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The speed of static embeddings, beside the tokenizer alone.")
    parser.add_argument("--peer", type=peer_python, required=True, help="the Python that has sentence-transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each encodes (default: {ROUNDS})")
    arguments = parser.parse_args()
    if (folder := embedded_folder()) is None:
        sys.exit(f"this needs the tokenizer of all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    texts, origin = read_distinct(TEXTS, COLUMN, COUNT)
    print(f"{describe_machine()}\n{origin}")
    for width in WIDTHS:
        compare(width, folder, texts, arguments.peer, arguments.rounds)


if __name__ == "__main__":
    main()
