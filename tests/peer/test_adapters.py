"""Models with a LoRA adapter: sentence-transformers and we read what the other one saves, and give the same vectors.

adapters.tar.xz is what record_adapters.py wrote with sentence-transformers 6.2.0, without the encoders: these are drawn
again here. It is written anew with LIKEWISE_WRITE_ADAPTERS=1.
"""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig

from likewise import SentenceTransformer, models
from likewise.files import whole_file
from tests.peer.adapter_cases import CASES, SEED
from tests.peer.calls import vectors_of
from tests.peer.inputs import TWO
from tests.peer.sources import save_sources
from tests.peer.test_live import ROOT

ARCHIVE = Path(__file__).with_name("adapters.tar.xz")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoders, in folders of their architectures' names."""
    folder = tmp_path_factory.mktemp("encoders") / "bases"
    save_sources(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(bases: Path) -> Path:
    """The folder that record_adapters.py writes now."""
    subprocess.run([peer(), "-m", "tests.peer.record_adapters", str(bases.parent)], cwd=ROOT, check=True)
    if os.environ.get("LIKEWISE_WRITE_ADAPTERS"):
        with whole_file(ARCHIVE) as file, tarfile.open(file, "w:xz") as packed:
            for name in ("saved", "vectors.npz"):
                packed.add(bases.parent / name, name)
    return bases.parent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return folder


def check_vectors(folder: Path, name: str, bases: Path) -> None:
    saved = folder / "saved" / name
    base = bases / CASES[name][0]
    settings = json.loads((saved / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = str(base)
    (saved / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    expected = np.load(folder / "vectors.npz")[name]
    merged = SentenceTransformer(saved, dtype="float32", device="cpu")
    assert largest(merged.encode(TWO), expected) < 1e-5
    merged.load_adapter(saved, is_trainable=True)
    assert largest(merged.encode(TWO), expected) < 1e-5


def peer() -> str:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    return python


def largest(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max())


@pytest.mark.parametrize("name", CASES)
def test_what_they_saved_once_loads(name: str, recorded: Path, bases: Path) -> None:
    check_vectors(recorded, name, bases)


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_what_they_save_loads(name: str, theirs: Path, bases: Path) -> None:
    check_vectors(theirs, name, bases)


@pytest.fixture(scope="module")
def reread(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with our vectors and theirs of each model that we saved."""
    folder = tmp_path_factory.mktemp("ours")
    jobs: list[tuple[str, list[str], str]] = []
    for number, name in enumerate(CASES):
        model = adapted(name, bases)
        np.savez(folder / f"{name}.npz", **vectors_of(model, [], by_key=False))
        model.save_pretrained(folder / "saved" / name, layout="6" if number % 2 else "legacy")
        jobs.append((str(folder / "saved" / name), [], name))
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    subprocess.run([peer(), "-m", "tests.peer.reread", folder / "jobs.json", folder / "theirs"], cwd=ROOT, check=True)
    return folder


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_they_load_what_we_save(name: str, reread: Path) -> None:
    ours = np.load(reread / f"{name}.npz")
    facts = json.loads((reread / "theirs" / "facts.json").read_text(encoding="utf-8"))
    assert "reason" not in facts[name], facts[name]
    theirs = np.load(reread / "theirs" / f"{name}.npz")
    differences = {call: largest(ours[call], theirs[call]) for call in ours}
    print(f"{name}: {max(differences.values()):.1e}")
    assert max(differences.values()) < 1e-5


def adapted(name: str, bases: Path) -> SentenceTransformer:
    """One of our models with an adapter whose weights are drawn."""
    architecture, arguments = CASES[name]
    torch.manual_seed(SEED)
    encoder = models.Transformer(bases / architecture)
    width = encoder.get_embedding_dimension()
    modules: list[models.Module] = [encoder, models.Pooling(width), models.Dense(width, 8)]
    model = SentenceTransformer(modules=modules, dtype="float32", device="cpu")
    before = model.encode(TWO)
    model.add_adapter(LoraConfig(r=4, task_type="FEATURE_EXTRACTION", **arguments))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    assert largest(model.encode(TWO), before) > 1e-2
    return model
