"""Losses and gradients of tiny models are those of sentence-transformers, recorded by record_model_losses.py."""

import copy
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from likewise import SentenceTransformer, losses, models
from likewise.network.decoder import named_weights
from tests.peer.model_losses import LOSSES, checkpoints, draw_by_name, told

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "model_losses.json"

Told = dict[str, list[float]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return checkpoints(tmp_path_factory.mktemp("models"))


def model_of(folder: Path) -> SentenceTransformer:
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32")


def gradients_of(encoder: nn.Module) -> dict[str, Tensor]:
    """The gradients of an encoder under Transformers' names."""
    gradients = copy.deepcopy(encoder)
    for weight, own in zip(gradients.parameters(), encoder.parameters(), strict=True):
        assert own.grad is not None
        weight.data = own.grad
    return {name: gradient.detach() for name, gradient in named_weights(gradients).items()}


def computed(name: str, folders: tuple[Path, Path]) -> Told:
    arguments, columns = LOSSES[name]
    model = model_of(folders[0])
    if "GIST" in name:
        arguments = arguments | {"guide": model_of(folders[1])}
    loss = getattr(losses, name)(model, **arguments).eval()
    own = {}
    if name == "DenoisingAutoEncoderLoss":
        own = dict(loss.decoder.language_model.named_parameters())
        draw_by_name(loss.decoder.language_model, set(own))
    value = loss(columns)
    value.backward()
    gradients = gradients_of(loss.network.encoder)
    gradients |= {part: weight.grad for part, weight in own.items() if weight.grad is not None}
    return told(value, gradients)


def largest_difference(some: Told, others: Told) -> float:
    """Of the loss, and of each gradient; where one is longer than 1, relative to its length."""
    assert some.keys() == others.keys(), "record the losses again: see record_model_losses.py"
    largest = 0.0
    for name, expected in others.items():
        differences = np.abs(np.array(some[name]) - expected)
        largest = max(largest, float(differences.max()) / max(1.0, abs(expected[0])))
    print(f"largest difference to sentence-transformers {largest:.1e}")
    return largest


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradients_are_theirs(name: str, folders: tuple[Path, Path]) -> None:
    found, recorded = computed(name, folders), json.loads(RECORDED.read_text(encoding="utf-8"))[name]
    assert largest_difference({"loss": found["loss"]}, {"loss": recorded["loss"]}) <= 1e-6
    # A gradient has gone through the network, packed here and padded there.
    assert largest_difference(found, recorded) <= 5e-6


@pytest.mark.peer
def test_what_is_recorded_is_what_they_give(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    into = tmp_path / "losses.json"
    subprocess.run([python, "-m", "tests.peer.record_model_losses", "--into", str(into)], cwd=ROOT, check=True)
    found, recorded = (json.loads(file.read_text(encoding="utf-8")) for file in (into, RECORDED))
    for name in LOSSES:
        assert largest_difference(found[name], recorded[name]) <= 5e-6
