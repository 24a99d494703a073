"""likewise augment: from a file of scored pairs to silver pairs and two models."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise import CrossEncoder, SentenceTransformer
from likewise.augment import gold_pairs
from tests.cli.conftest import Finished, Run
from tests.cli.test_train import write
from tests.tiny_checkpoints import tiny_classifier, tiny_encoder
from tests.training.conftest import scored_pairs


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny_encoder(tmp_path_factory.mktemp("base")), tiny_classifier(tmp_path_factory.mktemp("scorer"))


@pytest.fixture
def folder(checkpoints: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with both models and gold pairs with 0 to 5 points; a text holds what CSV must quote."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model computes fastest in one
    for name, checkpoint in zip(("base", "scorer"), checkpoints, strict=True):
        (tmp_path / name).symlink_to(checkpoint)
    pairs = scored_pairs(24)
    pairs["sentence1"][0] = 'the kettle\rthe "train"\n, and tea'
    write(tmp_path / "gold.csv", {**pairs, "score": [5 * score for score in pairs["score"]]})
    yield tmp_path
    torch.set_num_threads(threads)


def augment(run: Run, *changes: object, terminal: bool = False) -> Finished:
    flags = ("--model", "base", "--cross-encoder", "scorer", "--label-scale", 5)
    return run("augment", "gold.csv", "-o", "out", *flags, *changes, terminal=terminal)


def test_gold_becomes_silver_and_two_models(run: Run, folder: Path) -> None:
    finished = augment(run, "--sampling", "both", "--top-k", 2)
    assert finished.code == 0, finished.err
    with (folder / "out" / "silver.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert finished.out.splitlines() == [
        "gold pairs\t24",
        f"silver pairs\t{len(rows)}",
        "silver\tout/silver.csv",
        "cross-encoder\tout/cross-encoder",
        "bi-encoder\tout/bi-encoder",
    ]
    steps = [line for line in finished.err.splitlines() if " of 4: " in line]
    assert [step[:6] for step in steps] == ["1 of 4", "1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert "learns 24 gold pairs, each also swapped" in finished.err
    assert "step " in finished.err, "progress"

    gold, silver = gold_pairs("gold.csv", label_scale=5), gold_pairs("out/silver.csv")
    assert set(silver.texts) <= set(gold.texts), "what CSV quotes comes back as it was"
    assert not {frozenset(pair) for pair in silver.pairs} & {frozenset(pair) for pair in gold.pairs}
    scorer = CrossEncoder("out/cross-encoder", device="cpu", dtype="float32")
    np.testing.assert_allclose(scorer.predict(list(silver.pairs)), silver.scores, atol=1e-5)
    model, base = (SentenceTransformer(name, device="cpu", dtype="float32") for name in ("out/bi-encoder", "base"))
    assert not np.allclose(model.encode("green tea"), base.encode("green tea"))


def test_the_seed_decides_everything(run: Run, folder: Path) -> None:
    assert augment(run, "--cross-encoder", "base", "--seed", 3).code == 0  # a new head is drawn
    (folder / "out").rename(folder / "first")
    torch.manual_seed(0)
    assert augment(run, "--cross-encoder", "base", "--seed", 3).code == 0
    for file in ("silver.csv", "cross-encoder/model.safetensors", "bi-encoder/model.safetensors"):
        assert (folder / "out" / file).read_bytes() == (folder / "first" / file).read_bytes()
    (folder / "out").rename(folder / "second")
    assert augment(run, "--cross-encoder", "base", "--seed", 4).code == 0
    assert (folder / "out" / "silver.csv").read_bytes() != (folder / "first" / "silver.csv").read_bytes()


def test_people_are_told_numbers_and_places(run: Run, folder: Path) -> None:
    lines = augment(run, terminal=True).out.splitlines()
    assert lines[0].startswith("24 gold pairs, their scores 0.47 on average")
    assert " silver pairs, their scores 0." in lines[1]
    assert lines[2:] == [
        "silver         out/silver.csv",
        "cross-encoder  out/cross-encoder",
        "bi-encoder     out/bi-encoder",
    ]


def test_what_cannot_be_done_is_told_before_anything_is_trained(run: Run, folder: Path) -> None:
    finished = augment(run, "--label-scale", 1)
    assert finished.code == 1
    assert "the scores go from 1 to 5, and must be from 0 to 1; for scores from 0 to 5" in finished.err
    write(folder / "gold.csv", {"a": ["rain"], "b": ["rain again"], "score": [4]})
    finished = augment(run)
    assert finished.code == 1
    assert "no new pair was found among 2 texts: all neighbours are gold pairs; raise --top-k" in finished.err
    assert not (folder / "out").exists()
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").touch()
    finished = augment(run)
    assert finished.code == 1
    assert finished.err == (
        "likewise: out is there already and not an empty folder; remove it, or give another output\n"
    )


def test_a_loss_that_is_no_number_is_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise FloatingPointError("in step 1, the loss is NaN")

    monkeypatch.setattr("likewise.augment.train_cross_encoder", fail)
    finished = augment(run)
    assert finished.code == 1
    assert finished.err.splitlines()[-1] == "likewise: in step 1, the loss is NaN"
