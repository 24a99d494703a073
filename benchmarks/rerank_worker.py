"""One contestant of rerank.py, in a process of its own: loads its model once, then does what each line of input says.

    python rerank_worker.py LIBRARY DTYPE MODEL_FOLDER PAIRS.json

It says in a line of JSON what it is, and answers each further line with one: "score NAME" with the seconds that the
pairs called NAME took, "save NAME FILE.npy" with the tokens that its network computes for them, when it has written
their scores there.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from encode_engines import Padding
from encode_worker import say


def main(library: str, dtype: str, folder: str, pairs_file: str) -> None:
    pairs_by_name = json.loads(Path(pairs_file).read_text(encoding="utf-8"))
    model: Any
    if library == "likewise":
        from likewise import CrossEncoder

        model = CrossEncoder(folder, dtype=dtype)
        device, threads = model.engine.device, model.engine.threads  # made here: loading is no part of scoring
    else:
        import sentence_transformers
        import torch

        choice = {} if dtype == "default" else {"model_kwargs": {"torch_dtype": getattr(torch, dtype)}}
        model = sentence_transformers.CrossEncoder(folder, **choice)
        device, threads = str(model.device), torch.get_num_threads()
    say(
        versions={name: version(name) for name in (library, "tokenizers", "numpy")},
        device=device,
        threads=threads,
    )
    scores: dict[str, Any] = {}
    tokens: dict[str, int] = {}
    for line in sys.stdin:
        command, name, *path = line.split()
        pairs = pairs_by_name[name]
        if command == "score":
            watching = None
            if library != "likewise" and name not in tokens:  # the first round only warms up
                watching = model.register_forward_pre_hook(padding := Padding())
            start = perf_counter()
            scores[name] = model.predict(pairs)
            say(seconds=perf_counter() - start)
            if watching is not None:
                watching.remove()
                tokens[name] = padding.computed
        elif command == "save":
            import numpy as np

            np.save(path[0], scores[name])
            if library == "likewise":
                tokens[name] = int(model.tokenize(pairs).lengths.sum())  # it computes these and no others
            say(tokens=tokens[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
