"""What losses that need a model are asked for, here and in sentence-transformers. Needs neither.

Both read the same tiny checkpoints, without dropout, in float32.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.tiny_checkpoints import draw_weights, tiny_encoder

ANCHORS = ["the kettle boils", "a train is late in winter", "rain on the river", "small garden", "music, and tea"]
POSITIVES = ["water boiling", "the late train was at the station", "the river is in the rain", "green", "tea"]
NEGATIVES = ["it is not paper", "a bridge", "the garden was small", "rain on the river of the garden", "we boil"]
DAMAGED = ["kettle", "a late in", "on the", "small", "and tea"]

LOSSES: dict[str, tuple[dict[str, Any], list[list[str]]]] = {  # a loss → its arguments, its columns of text
    # The scale multiplies what the network rounds; that of 20 is compared on given embeddings.
    "MultipleNegativesRankingLoss": ({"scale": 5.0}, [ANCHORS, POSITIVES, NEGATIVES]),
    "CachedMultipleNegativesRankingLoss": ({"scale": 5.0, "mini_batch_size": 2}, [ANCHORS, POSITIVES, NEGATIVES]),
    "GISTEmbedLoss": ({"temperature": 0.1}, [ANCHORS, POSITIVES, NEGATIVES]),
    "CachedGISTEmbedLoss": ({"temperature": 0.1, "mini_batch_size": 2}, [ANCHORS, POSITIVES]),
    "DenoisingAutoEncoderLoss": ({}, [DAMAGED, ANCHORS]),
}


def checkpoints(folder: Path) -> tuple[Path, Path]:
    """The model and the guide, with the same tokenizer: to another's, theirs decodes tokens, which loses text."""
    return tiny_encoder(folder / "model"), tiny_encoder(folder / "guide", seed=1)


def draw_by_name(decoder: nn.Module, own: set[str]) -> None:
    """Draw the weights called ``own``, in the order of their names; others are the encoder's."""
    part = nn.Module()
    part.weights = nn.ParameterList([dict(decoder.named_parameters())[name] for name in sorted(own)])
    draw_weights(part, seed=2)


def told(value: torch.Tensor, gradients: Mapping[str, torch.Tensor]) -> dict[str, list[float]]:
    """A loss and, for each gradient, its length and its product with fixed numbers."""
    found = {"loss": [value.item()]}
    for name in sorted(gradients):
        numbers = gradients[name].double().numpy().ravel()
        fixed = np.random.RandomState(len(numbers)).standard_normal(len(numbers))
        found[name] = [float(np.linalg.norm(numbers)), float(numbers @ fixed)]
    return found
