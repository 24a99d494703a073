"""What follows the pooling, or stands before it, is in the graph."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from likewise import models
from likewise.checkpoint.activations import CLASSES
from likewise.export.activations import ACTIVATIONS
from likewise.network.heads import ACTIVATIONS as OURS
from tests.export.graphs import assert_close, exported
from tests.tiny_checkpoints import tiny_encoder

TEXTS = [[2, 7, 9, 30, 3], [2, 3], [2, 40, 41, 42, 43, 44, 45, 46, 3], []]
CHAINS: dict[str, list[Any]] = {
    "dense": [models.Dense(32, 20)],
    "dense without bias, with a residual": [models.Dense(32, 32, bias=False, use_residual=True)],
    "residual of another width": [models.Dense(32, 12, use_residual=True)],
    "layer norm and dropout": [models.LayerNorm(32), models.Dropout(0.5)],
    "two dense, normalised": [models.Dense(32, 48), models.Dense(48, 8), models.Normalize()],
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("heads", CHAINS.values(), ids=CHAINS)
def test_heads_are_inside(heads: list[Any], encoder: Path, tmp_path: Path) -> None:
    graph = exported([models.Transformer(encoder), models.Pooling(32), *heads], tmp_path)
    assert_close(graph.theirs(TEXTS), graph.ours(TEXTS))


@pytest.mark.parametrize(
    "layer",
    [
        models.Dense(32, 24, module_input_name="token_embeddings"),
        models.Normalize(module_input_name="token_embeddings"),
    ],
)
def test_layers_before_the_pooling_are_inside(layer: Any, encoder: Path, tmp_path: Path) -> None:
    width = getattr(layer, "out_features", 32)
    graph = exported([models.Transformer(encoder), layer, models.Pooling(width, ["max", "mean"])], tmp_path)
    assert_close(graph.theirs(TEXTS), graph.ours(TEXTS))


@pytest.mark.parametrize("activation", [nn.ELU, nn.GELU, nn.LeakyReLU, nn.Mish, nn.SELU, nn.Sigmoid, nn.Tanh])
def test_every_activation_is_inside(activation: type[nn.Module], encoder: Path, tmp_path: Path) -> None:
    dense = models.Dense(32, 20, activation_function=activation())
    graph = exported([models.Transformer(encoder), models.Pooling(32), dense], tmp_path)
    assert_close(graph.theirs(TEXTS), graph.ours(TEXTS))


def test_the_same_activations_are_known_as_in_the_network() -> None:
    assert set(ACTIVATIONS) == {name.lower() for name in (*OURS, *CLASSES)}


@pytest.mark.parametrize("heads", [[], [models.Normalize()]], ids=["plain", "normalised"])
def test_vectors_are_cut_as_the_model_cuts_them(heads: list[Any], encoder: Path, tmp_path: Path) -> None:
    texts = ["the kettle is late", "tea", "water in the river, of the bridge and the station"]
    graph = exported([models.Transformer(encoder), models.Pooling(32), *heads], tmp_path, truncate_dim=10)
    batch = graph.model.tokenize(texts)
    ids = [part.tolist() for part in np.split(batch.ids, batch.offsets[1:-1])]
    assert_close(graph.theirs(ids), graph.model.encode(texts))
