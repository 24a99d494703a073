"""A tiny model, for every test of losses that needs texts."""

from pathlib import Path

import pytest

from likewise import SentenceTransformer, models
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(tiny_folder: Path) -> SentenceTransformer:
    """In float32 on the CPU; the same weights each time."""
    modules: list[models.Module] = [models.Transformer(tiny_folder), models.Pooling(32)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    """A second model, which a loss asks what is alike."""
    folder = tiny_encoder(tmp_path_factory.mktemp("guide"), seed=1)
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32")
