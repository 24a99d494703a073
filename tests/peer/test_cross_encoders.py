"""Cross-encoders score as in sentence-transformers 6.2.0, which reads what we save, as we read what it saves.

cross_encoders.npz holds its scores of the checkpoints that are drawn here, and cross_encoders.tar.xz what it saves. To
write both anew: LIKEWISE_PEER=.venv-peer/bin/python LIKEWISE_RECORD=1 pytest -m peer tests/peer/test_cross_encoders.py
"""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from likewise import CrossEncoder
from likewise.files import whole_file
from tests.peer.cross_encoder_calls import facts_of, scores_of
from tests.peer.cross_encoder_cases import LOADED, SAVED
from tests.peer.test_live import ROOT

SCORES = Path(__file__).with_name("cross_encoders.npz")
ARCHIVE = Path(__file__).with_name("cross_encoders.tar.xz")
TOLERANCE = 1e-5
Scores = dict[str, dict[str, NDArray[Any]]]  # name of a model → name of a call → scores


def read_scores(file: Path) -> Scores:
    found: Scores = {}
    with np.load(file) as stored:
        for key in stored.files:
            name, call = key.split(" | ")
            found.setdefault(name, {})[call] = stored[key]
    return found


def load(folder: Path, arguments: dict[str, Any]) -> CrossEncoder:
    given = dict(arguments)
    if name := given.pop("activation_fn", None):
        given["activation_fn"] = getattr(torch.nn, name)()
    return CrossEncoder(folder, device="cpu", dtype="float32", **given)


def largest_difference(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> float:
    assert list(ours) == list(theirs)
    for call, values in theirs.items():
        assert ours[call].shape == values.shape, call
        if call.startswith("rank"):
            np.testing.assert_array_equal(ours[call][:, 0], values[:, 0], err_msg=call)
    return max(float(np.abs(ours[call] - values).max(initial=0)) for call, values in theirs.items())


def score_with_peer(jobs: list[list[Any]], folder: Path) -> tuple[Scores, dict[str, Any]]:
    """What sentence-transformers gives for each job of score_cross_encoders.py, and the facts of the models."""
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    arguments = [str(folder / "jobs.json"), str(folder)]
    subprocess.run([python, "-m", "tests.peer.score_cross_encoders", *arguments], cwd=ROOT, check=True)
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    assert not {name: fact for name, fact in facts.items() if "reason" in fact}
    return read_scores(folder / "scores.npz"), facts


@pytest.fixture(scope="module")
def recorded() -> Scores:
    return read_scores(SCORES)


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that sentence-transformers saved."""
    folder = tmp_path_factory.mktemp("saved-once")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_all_is_recorded(recorded: Scores) -> None:
    assert list(recorded) == [*LOADED, *SAVED]
    assert all(np.ptp(calls["activation"]) > 0.1 for calls in recorded.values())


@pytest.mark.parametrize("name", LOADED)
def test_it_scores_as_recorded(name: str, recorded: Scores, tmp_path: Path) -> None:
    model = load(LOADED[name].draw(tmp_path / "made"), LOADED[name].arguments)
    assert largest_difference(scores_of(model), recorded[name]) < TOLERANCE


@pytest.mark.parametrize("name", SAVED)
def test_what_they_saved_once_scores_as_recorded(name: str, recorded: Scores, saved_once: Path) -> None:
    model = load(saved_once / name, {})
    assert largest_difference(scores_of(model), recorded[name]) < TOLERANCE


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scores, dict[str, Any]]:
    """A folder with what was drawn, and in "saved" what sentence-transformers saves; its scores, and its facts."""
    folder = tmp_path_factory.mktemp("theirs")
    jobs = []
    for name, case in (LOADED | SAVED).items():
        drawn = case.draw(folder / "made" / name)
        jobs.append([name, str(drawn), case.arguments, str(folder / "saved" / name) if name in SAVED else None])
    scores, facts = score_with_peer(jobs, folder)
    if os.environ.get("LIKEWISE_RECORD"):
        shutil.copy(folder / "scores.npz", SCORES)
        with whole_file(ARCHIVE) as file, tarfile.open(file, "w:xz") as packed:
            for name in SAVED:
                packed.add(folder / "saved" / name, name, filter=_without_card)
    return folder, scores, facts


def _without_card(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if info.name.endswith("README.md") else info


@pytest.mark.peer
@pytest.mark.parametrize("name", [*LOADED, *SAVED])
def test_it_scores_as_theirs(name: str, theirs: tuple[Path, Scores, dict[str, Any]]) -> None:
    folder, scores, facts = theirs
    is_saved = name in SAVED
    model = load(folder / ("saved" if is_saved else "made") / name, {} if is_saved else LOADED[name].arguments)
    difference = largest_difference(scores_of(model), scores[name])
    print(f"{name}: largest difference {difference:.1e}")
    assert difference < TOLERANCE
    assert facts_of(model) == facts[name]


OURS = {  # what we save: its name → the model that it is read from, and the arguments
    **{f"{name}, with Tanh": name for name in LOADED if not name.startswith(("activation", "max", "prompts"))},
    **{f"{name}, read and with Tanh": name for name in SAVED},
}


@pytest.fixture(scope="module")
def read_by_them(
    theirs: tuple[Path, Scores, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Scores, Scores, dict[str, Any], dict[str, Any]]:
    """The folder of what we save; our scores and theirs of it by name, and our facts and theirs."""
    folder, scores, facts = tmp_path_factory.mktemp("ours"), {}, {}
    for name, source in OURS.items():
        drawn = theirs[0] / ("saved" if source in SAVED else "made") / source
        arguments = {"max_length": 70} if source in LOADED else {}
        model = load(drawn, arguments | {"activation_fn": "Tanh"})
        model.prompts["river"] = "the river: "
        model.default_prompt_name = "river"
        scores[name], facts[name] = scores_of(model), facts_of(model)
        model.save_pretrained(folder / "saved" / name)
    jobs: list[list[Any]] = [[name, str(folder / "saved" / name), {}, None] for name in OURS]
    their_scores, their_facts = score_with_peer(jobs, folder)
    return folder / "saved", scores, their_scores, facts, their_facts


@pytest.mark.peer
@pytest.mark.parametrize("name", OURS)
def test_they_read_what_we_save(
    name: str, read_by_them: tuple[Path, Scores, Scores, dict[str, Any], dict[str, Any]]
) -> None:
    folder, ours, theirs, our_facts, their_facts = read_by_them
    difference = largest_difference(ours[name], theirs[name])
    print(f"{name}: largest difference {difference:.1e}")
    assert difference < TOLERANCE
    assert their_facts[name] == our_facts[name]
    assert our_facts[name]["activation"] == "Tanh"
    tanh = "torch.nn.modules.activation.Tanh"
    settings = json.loads((folder / name / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    config = json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
    named = (settings["activation_fn"], config["sentence_transformers"]["activation_fn"])
    assert (*named, config["sbert_ce_default_activation_function"]) == (tanh, tanh, tanh)
