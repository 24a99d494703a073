"""One contestant of mine.py, in a process of its own: loads its model once, then does what each line of input says.

    python mine_worker.py LIBRARY DTYPE FOLDER SENTENCES.json

It says in a line of JSON what it is, and answers each further line:

    mine           the seconds from the sentences to the sorted list of pairs, and those of them that encoding took
    save FILE.npz  the number of pairs of the last mine, when these are written there
    memory         the bytes that the process holds, and the most that it held
"""

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from encode_engines import load
from encode_worker import memory, say

MODULES = {"likewise": "likewise.search", "sentence-transformers": "sentence_transformers.util"}
WARM_UP = 200  # sentences that are mined before it says what it is


def main(library: str, dtype: str, folder: str, sentences_file: str) -> None:
    import numpy as np

    loaded = load(library, "auto", dtype, folder, None)
    paraphrase_mining = import_module(MODULES[library]).paraphrase_mining
    sentences: list[str] = json.loads(Path(sentences_file).read_text(encoding="utf-8"))
    model = Timed(loaded.encode)
    paraphrase_mining(model, sentences[:WARM_UP])
    say(dtype=loaded.dtype, device=loaded.device, threads=loaded.threads, version=version(library))
    pairs: list[list[float | int]] = []
    for line in sys.stdin:
        command, _, value = line.rstrip("\n").partition(" ")
        if command == "mine":
            pairs = []  # of the last time, which would count among the memory
            start = perf_counter()
            pairs = paraphrase_mining(model, sentences)
            say(seconds=perf_counter() - start, encoding=model.seconds)
        elif command == "save":
            scores = np.array([pair[0] for pair in pairs])
            np.savez(value, scores=scores, pairs=np.array([pair[1:] for pair in pairs], np.int64))
            say(pairs=len(pairs))
        elif command == "memory":
            resident, peak = memory()
            say(resident=resident, peak=peak)


class Timed:
    """A model, of which mining asks only that it encodes, and how long that took the last time."""

    def __init__(self, encode: Any):
        self._encode = encode
        self.seconds = 0.0

    def encode(self, sentences: list[str], **settings: Any) -> Any:
        start = perf_counter()
        vectors = self._encode(sentences, **settings)
        self.seconds = perf_counter() - start
        return vectors


if __name__ == "__main__":
    main(*sys.argv[1:])
