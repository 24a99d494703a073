"""What every library and version is asked for of each model of the matrix. Needs none of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Without blanks around them: sentence-transformers stripped those before 5.4 and does so no more.
TEXTS = [
    "the kettle is boiling",
    "Water for the tea is nearly ready.",
    "THE TRAIN WAS LATE, and it rained on the green garden!",
    "?",
    "not a small river: music (on paper) - the winter, a bridge; we",
    "Straße im Frühling",
    " ".join(["the kettle boils late", "we walked to the station in the rain"] * 12),  # beyond every limit
    "",
    "tea",
]
PROMPT = "the river: "
PROMPTED = [text for text in TEXTS if text]  # a prompt alone would end in a blank


def vectors_of(model: Any, routes: Sequence[str], by_key: bool) -> dict[str, Any]:
    """By the name of each call, what ``model`` gives for the texts, (texts, dim).

    ``by_key``: sentence-transformers before 5.0 takes the route of a text as ``{route: text}`` and has neither
    ``encode_query`` nor ``encode_document``.
    """
    found = {}
    for route in routes:
        texts = [{route: text} for text in TEXTS] if by_key else TEXTS
        found[f"route {route}"] = model.encode(texts, **({} if by_key else {"task": route}))
    if not (routes and by_key):  # a text without a key then passes by the routes
        found["plain"] = model.encode(TEXTS)
        found["prompt"] = model.encode(PROMPTED, prompt=PROMPT)
        found |= {
            f"prompt {name}": model.encode(PROMPTED, prompt_name=name) for name, text in model.prompts.items() if text
        }
    if not by_key and (not routes or {"query", "document"} <= set(routes)):
        found["encode_query"] = model.encode_query(TEXTS)
        found["encode_document"] = model.encode_document(TEXTS)
    return {call: np.asarray(vectors, dtype=np.float32) for call, vectors in found.items()}


def properties_of(model: Any) -> dict[str, Any]:
    """What a model says about itself; prompts without the empty ones, which 5.0 began to add."""
    return {
        "max_seq_length": getattr(model, "max_seq_length", None),  # before 5.4 models such as BoW have none
        "prompts": {name: text for name, text in model.prompts.items() if text},
        "default_prompt_name": model.default_prompt_name,
        "similarity_fn_name": model.similarity_fn_name,
        "dimension": model.get_sentence_embedding_dimension(),
        "truncate_dim": model.truncate_dim,
    }
