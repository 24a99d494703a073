"""Every loss and its gradients are those of sentence-transformers, which record_losses.py has recorded."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise import losses, util
from tests.peer.loss_cases import LOSSES
from tests.peer.loss_values import ours, read, values

ROOT = Path(__file__).parents[2]
OURS = SimpleNamespace(losses=losses, util=util)
RECORDED = Path(__file__).parent / "losses"


def largest_difference(
    loss: str, some: dict[str, NDArray[np.float32]], others: dict[str, NDArray[np.float32]]
) -> float:
    """Of all cases; where numbers are greater than 1, relative to the greatest of their case."""
    assert some.keys() == others.keys(), "record the losses again: see record_losses.py"
    largest = 0.0
    for name, numbers in others.items():
        assert some[name].shape == numbers.shape
        difference = np.abs(some[name] - numbers).max() / max(1, np.abs(numbers).max())
        assert difference <= LOSSES[loss].tolerance, f"{name}: {difference}"
        largest = max(largest, float(difference))
    return largest


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_and_its_gradients_are_theirs(loss: str) -> None:
    difference = largest_difference(loss, values(OURS, loss, ours), read(RECORDED / f"{loss}.npz"))
    print(f"{loss}: largest difference to sentence-transformers {difference:.1e}")


@pytest.mark.peer
def test_what_is_recorded_is_what_they_give(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    subprocess.run([python, "-m", "tests.peer.record_losses", "--into", str(tmp_path)], cwd=ROOT, check=True)
    for loss in LOSSES:
        largest_difference(loss, read(tmp_path / f"{loss}.npz"), read(RECORDED / f"{loss}.npz"))
        largest_difference(loss, values(OURS, loss, ours), read(tmp_path / f"{loss}.npz"))
