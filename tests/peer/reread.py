"""Load models that we saved with sentence-transformers, and write down the vectors that it gives.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.reread JOBS OUT
JOBS is a JSON file of [[folder, routes, name of the output], …]. OUT/NAME.npz are the vectors by call, OUT/facts.json
holds what each model says about itself, or the reason why it did not load.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer, __version__

from tests.peer.calls import properties_of, vectors_of


def main() -> None:
    jobs, out = map(Path, sys.argv[1:])
    facts: dict[str, Any] = {}
    out.mkdir(parents=True)
    for folder, routes, name in json.loads(jobs.read_text(encoding="utf-8")):
        try:
            model = SentenceTransformer(folder, device="cpu").float()
            vectors = vectors_of(model, routes, by_key=int(__version__.split(".")[0]) < 5)
            facts[name] = properties_of(model)
        except Exception as error:
            facts[name] = {"reason": str(error).strip().split("\n")[0] or type(error).__name__}
            continue
        np.savez(out / f"{name}.npz", **vectors)
    (out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
