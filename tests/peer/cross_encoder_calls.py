"""What both libraries are asked for of each cross-encoder. Needs neither library."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LONG = " ".join(["the kettle boils late", "we walked to the station in the rain"] * 4)  # half a pair's limit, or more
PAIRS = [
    ("the kettle is on", "tea is not late"),
    ("rain", "the river was in the garden, and the bridge was small"),
    ("", "music"),
    ("the train is late in winter, it was late to the station", ""),
    ("", ""),
    ("Straße im Frühling", "THE TRAIN WAS LATE, and it rained on the green garden!"),
    (LONG, "a small green bridge"),
    ("a small green bridge", LONG),
    (LONG, LONG + " in winter, on paper"),
]
QUERY = "is the river green in winter?"
DOCUMENTS = ["a green river", "the kettle", "", "rain (in winter) on the river", LONG, "music"]
PROMPT = "the question: "


def scores_of(model: Any) -> dict[str, NDArray[Any]]:
    """By the name of each call, the scores that ``model`` gives; for ``rank`` rows of document and score."""
    import torch

    found = {
        "pairs": model.predict(PAIRS),
        "one pair": np.asarray(model.predict(PAIRS[1])),
        "no pair": model.predict([]),
        "softmax": model.predict(PAIRS, apply_softmax=True),
        "activation": model.predict(PAIRS, activation_fn=torch.nn.Identity()),
        "prompt": model.predict(PAIRS, prompt=PROMPT),
        "tensor": model.predict(PAIRS, batch_size=2, convert_to_tensor=True).float().numpy(),
        "list": np.array([np.asarray(row) for row in model.predict(PAIRS, convert_to_numpy=False)]),
    }
    found |= {f"prompt {name}": model.predict(PAIRS, prompt_name=name) for name, text in model.prompts.items() if text}
    if model.num_labels == 1:
        ranked = model.rank(QUERY, DOCUMENTS)
        found["rank"] = np.array([(row["corpus_id"], row["score"]) for row in ranked])
        best = model.rank(QUERY, DOCUMENTS, top_k=2, return_documents=True)
        assert [row["text"] for row in best] == [DOCUMENTS[row["corpus_id"]] for row in ranked[:2]]
        found["rank of 2"] = np.array([(row["corpus_id"], row["score"]) for row in best])
    return found


def facts_of(model: Any) -> dict[str, Any]:
    """What a model says about itself; prompts without the empty ones."""
    return {
        "num_labels": model.num_labels,
        "max_seq_length": model.max_seq_length,
        "activation": type(model.activation_fn).__name__,
        "prompts": {name: text for name, text in model.prompts.items() if text},
        "default_prompt_name": model.default_prompt_name,
    }
