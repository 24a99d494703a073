"""A model's fingerprint is its own: the same for the same model wherever it lies, another after any change."""

from pathlib import Path

import pytest
import torch

from likewise import SentenceTransformer
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    SentenceTransformer(tiny_encoder(folder / "encoder")).save_pretrained(folder / "saved")
    return folder / "saved"


def test_a_copy_has_the_fingerprint_of_its_model(saved: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(saved)
    model.save_pretrained(tmp_path / "copy")
    assert SentenceTransformer(tmp_path / "copy").fingerprint == model.fingerprint
    assert len(model.fingerprint) == 32


def test_the_dtype_and_the_engine_are_not_part_of_it(saved: Path) -> None:
    fingerprints = {SentenceTransformer(saved, dtype=dtype).fingerprint for dtype in ("float32", "bfloat16", "int8")}
    assert len(fingerprints) == 1


def test_what_changes_the_vectors_changes_it(saved: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(saved)
    found = [model.fingerprint]
    model.max_seq_length = 11
    found.append(model.fingerprint)
    model.set_pooling_include_prompt(False)
    found.append(model.fingerprint)
    tokenizer = (saved / "tokenizer.json").read_text(encoding="utf-8")
    model.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "tokenizer.json").write_text(tokenizer.replace("kettle", "cattle"), encoding="utf-8")
    found.append(SentenceTransformer(tmp_path / "other").fingerprint)
    assert len(set(found)) == 4


def test_training_changes_it(saved: Path) -> None:
    model = SentenceTransformer(saved)
    before = model.fingerprint
    assert model.network is not None
    untrained = model.fingerprint
    with torch.no_grad():
        next(iter(model.parameters())).view(-1)[0] += 1e-3
    assert before == untrained != model.fingerprint
