"""Make every model of the matrix with sentence-transformers, save it, and write down the vectors that it gives.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.fabricate SOURCES OUT
SOURCES is what tests.peer.sources.save_sources wrote. OUT/models/NAME is a model, OUT/vectors/NAME.npz its vectors by
call, OUT/facts.json what it says about itself, or the reason why this version cannot make it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, __version__

from tests.peer.calls import properties_of, vectors_of
from tests.peer.cases import CASES, Case


def fabricated(case: Case, sources: Path, folder: Path) -> Any:
    """The model, saved into ``folder``; in float32."""
    if reason := case.why_not_written(__version__):
        raise NotImplementedError(reason)
    torch.manual_seed(0)
    model = SentenceTransformer(modules=case.modules(sources), device="cpu", **case.settings).eval()
    if case.is_half:
        model.half()
    model.save_pretrained(str(folder), create_model_card=False, safe_serialization=not case.is_pickled)
    return model.float()


def main() -> None:
    sources, out = map(Path, sys.argv[1:])
    facts: dict[str, Any] = {}
    for name, case in CASES.items():
        folder = out / "models" / name
        try:
            model = fabricated(case, sources, folder)
            vectors = vectors_of(model, case.routes, by_key=int(__version__.split(".")[0]) < 5)
            facts[name] = properties_of(model)
        except Exception as error:
            facts[name] = {"reason": str(error).strip().split("\n")[0] or type(error).__name__}
            continue
        (out / "vectors").mkdir(exist_ok=True)
        np.savez(out / "vectors" / f"{name}.npz", **vectors)
    (out / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
