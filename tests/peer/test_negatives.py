"""The negatives are those of sentence-transformers 6.2.0, which negative_cases.py has recorded.

To record them anew: LIKEWISE_PEER=.venv-peer/bin/python LIKEWISE_RECORD=1 pytest -m peer tests/peer/test_negatives.py
"""

import json
import lzma
import os
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.util import mine_hard_negatives
from tests.peer.negative_cases import CASES, outcome

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).parent / "negatives.json.xz"


@cache
def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lzma.decompress(file.read_bytes()))
    return found


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """The largest of the scores; everything else must be equal."""
    assert ours["features"] == theirs["features"]
    assert list(ours["columns"]) == list(theirs["columns"])
    largest = 0.0
    for name, values in theirs["columns"].items():
        found = ours["columns"][name]
        if name not in ("score", "scores"):
            assert found == values, name
            continue
        assert [np.shape(row) for row in found] == [np.shape(row) for row in values]
        pairs = (np.hstack(rows) if rows else np.empty(0) for rows in (found, values))
        largest = max(largest, abs(np.subtract(*pairs)).max(initial=0))
    return largest


def ours_of(name: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ of [0-9]+ queries have")
        return outcome(mine_hard_negatives, CASES[name])


def test_every_case_was_recorded() -> None:
    assert list(CASES) == list(read(RECORD))


@pytest.mark.parametrize("name", CASES)
def test_the_negatives_are_those_recorded(name: str) -> None:
    assert difference(ours_of(name), read(RECORD)[name]) <= 1e-6


@pytest.mark.peer
def test_the_negatives_are_theirs(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    out = tmp_path / "theirs.json.xz"
    subprocess.run([python, "-m", "tests.peer.negative_cases", str(out)], cwd=ROOT, check=True, capture_output=True)
    if os.environ.get("LIKEWISE_RECORD"):
        shutil.copy(out, RECORD)
    theirs = read(out)
    assert list(theirs) == list(CASES)
    largest = max(difference(ours_of(name), theirs[name]) for name in CASES)
    print(f"largest difference of a score in {len(CASES)} cases: {largest:.1e}")
    assert largest <= 1e-6
