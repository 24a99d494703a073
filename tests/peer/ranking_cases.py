"""What the losses that rank within a batch are asked for, those in mini-batches, with a guide and of parts too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.peer.loss_batches import WIDTH, WITHOUT_LENGTH, Batch, batches, named, numbers, similarities

GUIDE = np.array([4, 1, 0.5, 2, 0.25, 1], np.float32)  # a guide's embedding is ours times this, without rounding

DIRECTIONS = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")


@dataclass(frozen=True)
class OfModel:
    """An argument that is made for the model: the loss within another."""

    make: Callable[[Any], Any]


GUIDE_OF_MODEL = OfModel(lambda model: model.guide())


def of_model(arguments: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The arguments of a loss of ``model``."""
    return {name: value.make(model) if isinstance(value, OfModel) else value for name, value in arguments.items()}


def guided(found: dict[str, Batch]) -> dict[str, Batch]:
    """With the guide's embeddings as labels, as ours take them; theirs take no labels, and ask the guide."""
    return {
        name: replace(batch, labels=np.stack([column * GUIDE for column in batch.columns]))
        for name, batch in found.items()
    }


PAIRS = batches(2, without=WITHOUT_LENGTH)
TRIPLETS = PAIRS | named("a negative", batches(3, without=WITHOUT_LENGTH))
RANKED = TRIPLETS | named("three negatives", batches(5))
RANKINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "scale": {"scale": 3.0},
    "joint": {"directions": DIRECTIONS},
    "queries alone": {"directions": DIRECTIONS[:2]},
    "documents alone": {"directions": (DIRECTIONS[0], DIRECTIONS[3])},
    "per direction": {"directions": (DIRECTIONS[0], DIRECTIONS[2]), "partition_mode": "per_direction"},
    "in_batch_negatives": {"hardness_mode": "in_batch_negatives", "hardness_strength": 9.0},
    "hard_negatives": {"hardness_mode": "hard_negatives", "hardness_strength": 5.0},
    "all_negatives": {"directions": DIRECTIONS, "hardness_mode": "all_negatives", "hardness_strength": 2.0},
}
GUIDED = guided(TRIPLETS)
GUIDES: dict[str, dict[str, Any]] = {
    "default": {},
    "warmer": {"temperature": 0.1},
    "absolute margin": {"margin": 0.2, "temperature": 0.1},
    "relative margin": {"margin_strategy": "relative", "margin": 0.3, "temperature": 0.1},
    "negative margin": {"margin": -0.2, "temperature": 0.1},
    "no anchors": {"contrast_anchors": False, "temperature": 0.1},
    "no positives": {"contrast_positives": False, "temperature": 0.1},
}
PARTS: dict[str, dict[str, Any]] = {
    "default": {"matryoshka_dims": (WIDTH, 4, 2)},
    "weights": {"matryoshka_dims": (2, 4, WIDTH), "matryoshka_weights": (0.5, 2, 1)},
}
IN_PARTS: dict[str, tuple[dict[str, Any], dict[str, Batch]]] = {  # the loss within → its arguments, its batches
    "CachedMultipleNegativesRankingLoss": ({"mini_batch_size": 3}, PAIRS),
    "CosineSimilarityLoss": ({}, batches(2, similarities, WITHOUT_LENGTH)),
    "GISTEmbedLoss": ({"guide": GUIDE_OF_MODEL, "temperature": 0.1}, GUIDED),
    "MSELoss": ({}, batches(2, numbers(WIDTH), WITHOUT_LENGTH)),
    "MultipleNegativesRankingLoss": ({}, PAIRS),
}
