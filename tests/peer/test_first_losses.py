"""From the same weights, in the same order, without dropout: the losses of a training, step by step.

The record first_losses.json is what sentence-transformers 6.2.0 gave for the tiny model. To make it anew:
LIKEWISE_PEER=.venv-peer/bin/python LIKEWISE_RECORD=1 pytest -m peer tests/peer/test_first_losses.py
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from likewise.files import read_rows
from tests.peer.first_losses import BATCH_SIZE, OBJECTIVES, STEPS, first_losses
from tests.tiny_checkpoints import WORDS, tiny_encoder
from tests.training.conftest import classed_pairs, scored_pairs

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).parent / "first_losses.json"
ROWS = STEPS * BATCH_SIZE
NO_DROPOUT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), **NO_DROPOUT)


@pytest.fixture(scope="module")
def made_up() -> dict[str, dict[str, list[Any]]]:
    triplets: dict[str, list[Any]] = {"anchor": [], "positive": [], "negative": []}
    for row in range(ROWS):
        for column, step in zip(triplets.values(), (3, 5, 7), strict=True):
            column.append(" ".join(WORDS[(row * step + place * 5) % len(WORDS)] for place in range(1 + row % step)))
    return {"scored": scored_pairs(ROWS), "classed": classed_pairs(ROWS), "triplets": triplets}


def theirs(folder: Path, data: dict[str, dict[str, list[Any]]], scratch: Path) -> dict[str, list[float]]:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    (scratch / "data.json").write_text(json.dumps(data), encoding="utf-8")
    arguments = ["sentence-transformers", str(folder), str(scratch / "data.json"), str(scratch / "losses.json")]
    subprocess.run([python, "-m", "tests.peer.first_losses", *arguments], cwd=ROOT, check=True)
    found: dict[str, list[float]] = json.loads((scratch / "losses.json").read_text(encoding="utf-8"))
    return found


def compare(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> None:
    for name in OBJECTIVES:
        assert len(ours[name]) == len(theirs[name]) == STEPS
        difference = max(abs(a - b) for a, b in zip(ours[name], theirs[name], strict=True))
        print(f"{name}: from {ours[name][0]:.4f} to {ours[name][-1]:.4f}, largest difference {difference:.1e}")
        assert difference < 1e-4, name


def test_the_first_losses_are_those_recorded(tiny: Path, made_up: dict[str, dict[str, list[Any]]]) -> None:
    compare(first_losses("likewise", str(tiny), made_up), json.loads(RECORD.read_text(encoding="utf-8")))


@pytest.mark.peer
def test_the_record_is_theirs(tiny: Path, made_up: dict[str, dict[str, list[Any]]], tmp_path: Path) -> None:
    found = theirs(tiny, made_up, tmp_path)
    if os.environ.get("LIKEWISE_RECORD"):
        rounded = {name: [round(loss, 7) for loss in losses] for name, losses in found.items()}
        RECORD.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
    compare(json.loads(RECORD.read_text(encoding="utf-8")), found)


@pytest.mark.peer
def test_the_first_losses_of_the_true_model_on_real_data(
    minilm_folder: Path, shared_data: Path, tmp_path: Path
) -> None:
    def columns(file: str, names: list[str]) -> dict[str, list[Any]]:
        rows = [row.values for row, _ in zip(read_rows(shared_data / file, names), range(ROWS), strict=False)]
        return {name: [row[name] for row in rows] for name in names}

    scored = columns("sts/stsb_train.parquet", ["sentence1", "sentence2", "score"])
    data = {
        "classed": columns("nli/snli_train_from_ni.parquet", ["premise", "hypothesis", "label"]),
        "scored": scored | {"score": [float(score) / 5 for score in scored["score"]]},
        "triplets": columns("nli/nli_triplets.parquet", ["anchor", "positive", "negative"]),
    }
    folder = tmp_path / "minilm"
    shutil.copytree(minilm_folder, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | NO_DROPOUT), encoding="utf-8")
    compare(first_losses("likewise", str(folder), data), theirs(folder, data, tmp_path))
