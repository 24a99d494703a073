"""Evaluators give what those of sentence-transformers give for the same embeddings, and write the same files."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from likewise import evaluation, util
from tests.peer.evaluator_cases import CASES, outcome

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "evaluator_scores.json").read_text(encoding="utf-8"))["outcomes"]
OURS = SimpleNamespace(**vars(evaluation), cos_sim=util.cos_sim, dot_score=util.dot_score)


def largest_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Of the scores, of those larger than 1 (distances, squares) relative to them; everything else must be equal."""
    assert list(ours["scores"]) == list(theirs["scores"])
    assert ours["primary_metric"] == theirs["primary_metric"]
    assert ours["greater_is_better"] == theirs["greater_is_better"]
    assert ours["description"] == theirs["description"]
    assert list(ours["files"]) == list(theirs["files"])
    pairs = [(ours["scores"][key], value) for key, value in theirs["scores"].items()]
    for name, (header, *lines) in theirs["files"].items():
        found_header, *found_lines = ours["files"][name]
        assert found_header == header
        assert len(found_lines) == len(lines)
        pairs += [
            pair for line, found in zip(lines, found_lines, strict=True) for pair in zip(found, line, strict=True)
        ]
    ours_all, theirs_all = np.array(pairs).T
    return float(np.max(abs(ours_all - theirs_all) / np.maximum(1, abs(theirs_all))))


def test_every_case_was_recorded() -> None:
    assert list(CASES) == list(RECORDED)


@pytest.mark.parametrize("name", CASES)
def test_scores_and_files_are_those_recorded(name: str) -> None:
    make, settings = CASES[name]
    assert largest_difference(outcome(make, settings, OURS), RECORDED[name]) <= 1e-6


@pytest.mark.peer
def test_scores_and_files_are_theirs(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    out = tmp_path / "theirs.json"
    subprocess.run([python, "-m", "tests.peer.evaluator_cases", str(out)], cwd=HERE.parents[1], check=True)
    theirs = json.loads(out.read_text(encoding="utf-8"))["outcomes"]
    assert list(theirs) == list(CASES)
    for name, (make, settings) in CASES.items():
        difference = largest_difference(outcome(make, settings, OURS), theirs[name])
        print(f"{name}: {difference:.1e}")
        assert difference <= 1e-6, name
