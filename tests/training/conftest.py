"""A tiny model and a few pairs of sentences, for every test of training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likewise import SentenceTransformer, models
from tests.tiny_checkpoints import WORDS, tiny_encoder

Columns = dict[str, list[Any]]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def new_model(tiny_folder: Path) -> Callable[[], SentenceTransformer]:
    """Makes the same tiny model each time, on the CPU."""

    def make() -> SentenceTransformer:
        modules: list[models.Module] = [models.Transformer(tiny_folder), models.Pooling(32)]
        return SentenceTransformer(modules=modules, device="cpu", dtype="float32")

    return make


@pytest.fixture
def model(new_model: Callable[[], SentenceTransformer]) -> SentenceTransformer:
    return new_model()


def scored_pairs(count: int) -> Columns:
    """Pairs of sentences of one to seven words, alike where they share words."""
    left, right, scores = [], [], []
    for row in range(count):
        words = [WORDS[(row * 5 + place * 7) % len(WORDS)] for place in range(1 + row % 7)]
        others = [WORDS[(row * 3 + place * 11) % len(WORDS)] for place in range(1 + row % 5)]
        left.append(" ".join(words))
        right.append(" ".join(words if row % 3 == 0 else others) + " .")
        scores.append(1.0 if row % 3 == 0 else 0.2)
    return {"sentence1": left, "sentence2": right, "score": scores}


def classed_pairs(count: int) -> Columns:
    """The same with a class of three for each."""
    pairs = scored_pairs(count)
    return {"premise": pairs["sentence1"], "hypothesis": pairs["sentence2"], "label": [row % 3 for row in range(count)]}
