"""Every loss and its gradients are those of sentence-transformers, which record.py has recorded."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cross_encoder.losses.cases import Case, cases
from tests.cross_encoder.losses.given_logits import our_values
from tests.peer.loss_values import read

ROOT = Path(__file__).parents[3]
RECORDED = Path(__file__).parent / "recorded.npz"
TOLERANCE = 1e-6  # in float32; where numbers are greater than 1, relative to the greatest of their case
CASES = cases()


def difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / max(1, np.abs(theirs).max()))


@pytest.fixture(scope="module")
def recorded() -> dict[str, NDArray[np.float32]]:
    return read(RECORDED)


def test_all_cases_are_recorded(recorded: dict[str, NDArray[np.float32]]) -> None:
    assert list(recorded) == list(CASES), "record the losses again: see record.py"
    assert sum(bool(numbers.any()) for numbers in recorded.values()) > len(CASES) / 2


@pytest.mark.parametrize("loss", sorted({case.loss for case in CASES.values()}))
def test_a_loss_and_its_gradients_are_theirs(loss: str, recorded: dict[str, NDArray[np.float32]]) -> None:
    own = {name: case for name, case in CASES.items() if case.loss == loss}
    differences = {name: difference(our_values(case), recorded[name]) for name, case in own.items()}
    worst = max(differences, key=differences.__getitem__)
    print(f"{loss}: largest difference to sentence-transformers {differences[worst]:.1e}, {worst}")
    assert differences[worst] <= TOLERANCE, worst


def test_a_changed_loss_is_seen(recorded: dict[str, NDArray[np.float32]]) -> None:
    name = "RankNetLoss, {'sigma': 2.5}, lists, whole labels"
    case = CASES[name]
    other = Case(case.loss, case.logits, case.columns, case.labels, {"sigma": 2.6})
    assert difference(our_values(other), recorded[name]) > 1e-3


@pytest.mark.peer
def test_what_is_recorded_is_what_they_give(tmp_path: Path, recorded: dict[str, NDArray[np.float32]]) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    file = tmp_path / "now.npz"
    subprocess.run([python, "-m", "tests.cross_encoder.losses.record", str(file)], cwd=ROOT, check=True)
    for name, theirs in read(file).items():
        assert difference(recorded[name], theirs) <= TOLERANCE
        assert difference(our_values(CASES[name]), theirs) <= TOLERANCE
