"""A model for tests of the index, which any process can make anew: each word is a direction drawn by its letters."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from likewise.passages import Passage


class WordHashes:
    """The vector of a text is the sum of those of its words."""

    def __init__(self, name: str = "hashes", dimension: int = 16, similarity: str = "cosine"):
        self.name, self.dimension, self.similarity_fn_name = name, dimension, similarity
        self.fingerprint = f"{crc32(name.encode()):08x}"
        self.embedded: list[str] = []

    def encode_query(self, inputs: Iterable[str]) -> NDArray[np.float32]:
        return np.array([self._vector(text) for text in inputs], dtype=np.float32)

    def encode_document(self, inputs: Iterable[str]) -> NDArray[np.float32]:
        texts = list(inputs)
        self.embedded += texts
        return self.encode_query(texts)

    def _vector(self, text: str) -> NDArray[np.float64]:
        words = re.findall(r"\w+", text.lower())
        drawn = [np.random.default_rng(crc32((self.name + word).encode())) for word in words]
        return np.sum([draw.standard_normal(self.dimension) for draw in drawn], axis=0) + np.zeros(self.dimension)


@dataclass(frozen=True)
class Page:
    """A passage with all that one can have."""

    text: str
    source: str
    line: int | None = 1
    heading: str = ""
    page: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def edition(source: str, number: int, passages: int) -> list[Passage]:
    """A source all of whose passages say which edition of it they are from."""
    return [
        Passage(f"{source} in edition {number} of passage {place}", source, place + 1, "") for place in range(passages)
    ]


def editions_in(texts: Sequence[str]) -> set[str]:
    """The editions that texts of ``edition`` are from."""
    return {text.split("edition ")[1].split()[0] for text in texts}
