"""Load cross-encoders with sentence-transformers, and write down what it gives.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.score_cross_encoders JOBS OUT
JOBS is a JSON file of [[name, folder, arguments, folder to save into or null], …]. OUT/scores.npz holds the scores by
"name | call", OUT/facts.json what each model says about itself, or the reason why it did not load.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.sentence_transformer.modules import Pooling

from tests.peer.cross_encoder_calls import facts_of, scores_of

ACTIVATIONS = {name: getattr(torch.nn, name) for name in ("Identity", "Sigmoid", "Tanh")}


def main() -> None:
    jobs, out = map(Path, sys.argv[1:])
    scores: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    out.mkdir(parents=True, exist_ok=True)
    for name, folder, arguments, save_to in json.loads(jobs.read_text(encoding="utf-8")):
        torch.manual_seed(7)  # of the layers that a model gets new
        try:
            model = made(folder, arguments)
            found = scores_of(model)
        except Exception as error:
            facts[name] = {"reason": str(error).strip().split("\n")[0] or type(error).__name__}
            continue
        facts[name] = facts_of(model)
        scores |= {f"{name} | {call}": values for call, values in found.items()}
        if save_to:
            model.save_pretrained(save_to)
    np.savez_compressed(out / "scores.npz", **scores)
    (out / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def made(folder: str, arguments: dict[str, Any]) -> CrossEncoder:
    """The cross-encoder.

    With "dense" among the arguments it is an encoder with a pooling and a Dense layer of that width, with "tokens" a
    language model that scores by these.
    """
    given = dict(arguments)
    if name := given.pop("activation_fn", None):
        given["activation_fn"] = ACTIVATIONS[name]()
    if width := given.pop("dense", None):
        encoder = Transformer(folder)
        pooling = Pooling(encoder.get_embedding_dimension(), "mean")
        dense = Dense(
            pooling.get_embedding_dimension(), width, activation_function=torch.nn.Tanh(), module_output_name="scores"
        )
        return CrossEncoder(modules=[encoder, pooling, dense], device="cpu", **given)
    if tokens := given.pop("tokens", None):
        modules = [Transformer(folder, transformer_task="text-generation"), LogitScore(*tokens)]
        return CrossEncoder(modules=modules, device="cpu", **given)
    return CrossEncoder(folder, device="cpu", model_kwargs={"dtype": "float32"}, **given)


if __name__ == "__main__":
    main()
