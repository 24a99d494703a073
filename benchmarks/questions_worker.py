"""One contestant of questions.py, in a process of its own, which draws the vectors and then does what each line says.

    python questions_worker.py LIBRARY VECTORS

It says its version in a line of JSON. "find N" is answered with the seconds that N questions take, and with the numbers
of the vectors that the first of them find.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from time import perf_counter

from encode_worker import say

MODULES = {"likewise": "likewise.util", "sentence-transformers": "sentence_transformers.util"}
DIMENSION, TOP_K, TOLD = 384, 10, 5


def main(library: str, vectors: str) -> None:
    import numpy as np

    semantic_search = import_module(MODULES[library]).semantic_search
    draw = np.random.default_rng(0)
    corpus = draw.standard_normal((int(vectors), DIMENSION), dtype=np.float32)
    say(version=version(library))
    for line in sys.stdin:
        questions = np.random.default_rng(1).standard_normal((int(line.split()[1]), DIMENSION), dtype=np.float32)
        start = perf_counter()
        hits = semantic_search(questions, corpus, top_k=TOP_K)
        say(seconds=perf_counter() - start, found=[[hit["corpus_id"] for hit in row] for row in hits[:TOLD]])


if __name__ == "__main__":
    main(*sys.argv[1:])
