"""The description of a cross-encoder's head: from the vector of a pair to a score for each label."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import check_shapes
from likewise.checkpoint.classification import ARCHITECTURES, HeadSettings, head_settings, labels_of, our_head_names
from likewise.models.transformer import Transformer

logger = logging.getLogger(__name__)

DRAWN_WIDTH = 0.02  # the standard deviation of new weights, as in BERT


class ClassificationHead:
    """Two linear layers that score the vector of a pair, with their weights."""

    def __init__(self, settings: HeadSettings, arrays: Mapping[str, NDArray[Any]]):
        self.settings = settings
        self.arrays = arrays

    def __repr__(self) -> str:
        labels = self.settings.labels
        return f"ClassificationHead({labels} label{'s' * (labels != 1)})"

    def get_embedding_dimension(self) -> int:
        """The number of scores."""
        return self.settings.labels


def read_head(transformer: Transformer, labels: int | None) -> ClassificationHead:
    """The head that lies beside the encoder; what the checkpoint lacks, or has for another number, is drawn by torch.

    ``labels`` takes the place of the number in config.json.

    Raises:
        ValueError: The checkpoint is damaged.
    """
    config, stored = transformer.config, transformer.stored
    settings = head_settings(config, transformer.settings.hidden, labels_of(config) if labels is None else labels)
    arrays = stored.renamed(our_head_names(config["model_type"], stored))
    if "out.weight" in arrays and arrays["out.weight"].shape[0] != settings.labels:
        was = arrays["out.weight"].shape[0]
        logger.warning("%s scores %d labels, not %d: its last layer begins anew", stored.origin, was, settings.labels)
        arrays = arrays.renamed({name: name for name in arrays if not name.startswith("out.")})
    missing = {name: shape for name, shape in settings.shapes.items() if name not in arrays}
    if missing:
        if labels is None:
            logger.warning(
                "%s has no %s: they begin anew, and the scores mean nothing before a training",
                *(stored.origin, ", ".join(missing)),
            )
        arrays = arrays.with_changed({name: _drawn(name, shape) for name, shape in missing.items()})
    check_shapes(arrays, settings.shapes, str(stored.origin))
    return ClassificationHead(settings, arrays.renamed({name: name for name in settings.shapes}))


def has_own_head(transformer: Transformer) -> bool:
    """Whether the head of this architecture is computed here."""
    return transformer.settings.model_type in ARCHITECTURES


def _drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name == "norm.weight":
        return np.ones(shape, dtype=np.float32)
    if name.endswith(".bias"):
        return np.zeros(shape, dtype=np.float32)
    import torch  # its seed decides

    drawn: NDArray[np.float32] = torch.empty(shape).normal_(0.0, DRAWN_WIDTH).numpy()
    return drawn
