"""The order of the rows is that of sentence-transformers for the same seed, which order.py has recorded.

To record it anew: LIKEWISE_PEER=.venv-peer/bin/python LIKEWISE_RECORD=1 pytest -m peer tests/peer/test_order.py
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from likewise.training.data import training_data
from likewise.training.samplers import batches, interleaved
from tests.peer.order import BATCH_SIZE, EPOCHS, PAIRS, SEEDS, SEVERAL, SINGLE, SIZES
from tests.tiny_checkpoints import tiny_encoder

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).parent / "order.json"


def read(file: Path) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sampler", SINGLE)
def test_the_rows_of_each_batch_are_theirs(sampler: str, seed: int) -> None:
    data = training_data(PAIRS)
    ours = [rows.tolist() for epoch in range(EPOCHS) for rows in batches(sampler, data, BATCH_SIZE, seed, epoch)]
    assert ours == read(RECORD)[f"{sampler} {seed}"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("strategy", SEVERAL)
def test_the_turns_of_several_data_sets_are_theirs(strategy: str, seed: int) -> None:
    counts = [-(-rows // BATCH_SIZE) for rows in SIZES.values()]
    ours = [place for epoch in range(EPOCHS) for place in interleaved(counts, strategy, seed, epoch).tolist()]
    assert ours == [rows[0] // 100 for rows in read(RECORD)[f"{strategy} {seed}"]]


@pytest.mark.peer
def test_what_is_recorded_is_their_order(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    folder = tiny_encoder(tmp_path / "tiny")
    subprocess.run([python, "-m", "tests.peer.order", str(folder), str(tmp_path / "order.json")], cwd=ROOT, check=True)
    if os.environ.get("LIKEWISE_RECORD"):
        shutil.copy(tmp_path / "order.json", RECORD)
    assert read(tmp_path / "order.json") == read(RECORD)
