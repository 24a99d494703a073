"""Load models that we saved with sentence-transformers, and write down the vectors that it gives.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.reread JOBS OUT
JOBS is a JSON file of [[folder, routes, name of the output], …]. OUT/NAME.npz are the vectors by call, OUT/reasons.json
says why a model did not load.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer, __version__

from tests.peer.calls import vectors_of


def main() -> None:
    jobs, out = map(Path, sys.argv[1:])
    reasons = {}
    out.mkdir(parents=True)
    for folder, routes, name in json.loads(jobs.read_text(encoding="utf-8")):
        try:
            model = SentenceTransformer(folder, device="cpu").float()
            vectors = vectors_of(model, routes, by_key=int(__version__.split(".")[0]) < 5)
        except Exception as error:
            reasons[name] = str(error).strip().split("\n")[0] or type(error).__name__
            continue
        np.savez(out / f"{name}.npz", **vectors)
    (out / "reasons.json").write_text(json.dumps(reasons), encoding="utf-8")


if __name__ == "__main__":
    main()
