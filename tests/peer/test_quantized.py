"""Quantised vectors are those of sentence-transformers, bit for bit."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from likewise.quantize import quantize_embeddings
from tests.peer.quantized import given, made

pytestmark = pytest.mark.peer


def test_every_code_is_theirs(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    np.savez(tmp_path / "given.npz", **given())  # type: ignore[arg-type]
    files = [str(tmp_path / "given.npz"), str(tmp_path / "made.npz")]
    subprocess.run([python, "-m", "tests.peer.quantized", *files], cwd=Path(__file__).parents[2], check=True)
    ours = made(given(), quantize_embeddings)
    with np.load(tmp_path / "made.npz") as theirs:
        assert set(ours) == set(theirs)
        for name in theirs:
            assert ours[name].dtype == theirs[name].dtype, name
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
