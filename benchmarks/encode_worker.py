"""One contestant of encode.py, in a process of its own: loads its model once, then does what each line of input says.

    python encode_worker.py LIBRARY DTYPE MODEL_FOLDER TEXTS.json

It says in a line of JSON what it is, and answers each further line with one: "encode" with the seconds that all texts
took, "save FILE.npy" with its peak memory and padding, when it has written its vectors there.
"""

import json
import resource
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage counts in kilobytes, on macOS in bytes


@dataclass
class Padding:
    """Sees what the incumbent hands to its network: how many tokens, and how many of them stand for text."""

    computed: int = 0
    real: int = 0

    def __call__(self, module: object, arguments: tuple[dict[str, Any]]) -> None:
        mask = arguments[0].get("attention_mask")  # (texts, longest of them), 1 where a token is real
        if mask is not None:  # a static embedding has none: it pads nothing
            self.computed += mask.numel()
            self.real += int(mask.sum())


def main(library: str, dtype: str, folder: str, texts_file: str) -> None:
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    padding = Padding()
    model: Any
    if library == "likewise":
        from likewise import SentenceTransformer

        model = SentenceTransformer(folder, dtype=dtype)
        _ = model.engine  # made here, like the incumbent's: loading is no part of encoding
        watching = None  # nothing to see: texts are laid end to end, no token is added
    else:
        import sentence_transformers
        import torch

        choice = {} if dtype == "default" else {"model_kwargs": {"torch_dtype": getattr(torch, dtype)}}
        model = sentence_transformers.SentenceTransformer(folder, **choice)
        watching = model.register_forward_pre_hook(padding)
    say(
        versions={name: version(name) for name in (library, "torch", "tokenizers", "numpy")},
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        threads=sys.modules["torch"].get_num_threads(),
    )
    vectors: Any = None
    for line in sys.stdin:
        command, _, path = line.rstrip("\n").partition(" ")
        if command == "encode":
            start = perf_counter()
            vectors = model.encode(texts)
            say(seconds=perf_counter() - start)
            if watching is not None:
                watching.remove()  # the first round only warms up, and is the only one that is watched
        elif command == "save":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
            import numpy as np

            np.save(path, vectors)
            say(peak_bytes=peak, padding=padding.computed / padding.real - 1 if padding.real else 0.0)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
