"""Vectors kept on disk: read again only where nothing that they depend on has changed, whole or not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import SentenceTransformer, models
from likewise.search import kept_vectors
from likewise.search.hard_negatives import mine_hard_negatives
from likewise.search.kept_vectors import key_of
from tests.models.made import static
from tests.tiny_checkpoints import tiny_encoder

ROWS = {"query": ["tea", "rain", "the green garden"], "answer": ["kettle", "winter", "the train"]}
TEXTS = ["tea", "rain"]


@pytest.fixture
def model(tmp_path: Path) -> SentenceTransformer:
    folder = tiny_encoder(tmp_path / "tiny")
    return SentenceTransformer(modules=[models.Transformer(folder), models.Pooling(32)], dtype="float32")


def mined(model: SentenceTransformer, folder: Path, **arguments: Any) -> Any:
    settings: dict[str, Any] = {"num_negatives": 1, "output_scores": True, "verbose": False, "cache_folder": folder}
    return mine_hard_negatives(ROWS, model, **(settings | arguments)).to_dict()


def test_vectors_are_made_once(model: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mined(model, tmp_path / "kept")
    assert first == mined(model, tmp_path, cache_folder=None)
    files = sorted((tmp_path / "kept").iterdir())
    assert [file.name.split("_")[0] for file in files] == ["corpus", "query"]
    assert np.load(files[0]).shape == (3, 32)

    def never(*arguments: object, **settings: object) -> None:
        raise AssertionError("the vectors are there")

    monkeypatch.setattr(model, "encode", never)
    assert mined(model, tmp_path / "kept") == first
    with pytest.raises(AssertionError, match="the vectors are there"):
        mined(model, tmp_path / "kept", query_prompt="other: ")


def test_what_is_written_in_parts_is_what_is_written_at_once(
    model: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["tea", "rain and rain", "the kettle", "late", "a train"]
    whole = kept_vectors.kept_vectors(tmp_path / "whole.npy", model.encode, texts)
    monkeypatch.setattr(kept_vectors, "TEXTS_AT_ONCE", 2)
    parts = kept_vectors.kept_vectors(tmp_path / "parts.npy", model.encode, texts)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert isinstance(parts, np.memmap)


def test_an_interrupt_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_vectors, "TEXTS_AT_ONCE", 2)
    calls = []

    def encode(texts: Any) -> Any:
        calls.append(texts)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return np.zeros((len(texts), 3), np.float32)

    with pytest.raises(KeyboardInterrupt):
        kept_vectors.kept_vectors(tmp_path / "kept" / "some.npy", encode, ["a", "b", "c"])
    assert list((tmp_path / "kept").iterdir()) == []


def other_weights(model: SentenceTransformer) -> None:
    with torch.no_grad():
        next(iter(model.parameters()))[0, 0] += 1


CHANGES: dict[str, Callable[[SentenceTransformer], Any]] = {
    "weights": other_weights,
    "limit": lambda model: setattr(model, "max_seq_length", 5),
    "dimension": lambda model: setattr(model, "truncate_dim", 9),
    "precision": lambda model: model.to(torch.bfloat16),
    "prompts": lambda model: model.prompts.update(query="ask: "),
    "default prompt": lambda model: setattr(model, "default_prompt_name", "query"),
    "pooling": lambda model: model.set_pooling_include_prompt(False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_key_changes_with(name: str, model: SentenceTransformer) -> None:
    _ = model.network
    before = key_of(model, TEXTS, "query")
    assert key_of(model, TEXTS, "query") == before
    CHANGES[name](model)
    assert key_of(model, TEXTS, "query") != before


def test_the_key_changes_with_texts_and_settings(model: SentenceTransformer) -> None:
    keys = [
        key_of(model, texts, *settings) for texts in (TEXTS, TEXTS[::-1], ["tear", "ain"]) for settings in ("a", "b")
    ]
    assert len(set(keys)) == 6


def test_the_key_is_that_of_the_same_model_loaded_again(model: SentenceTransformer, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "saved")
    keys = {key_of(SentenceTransformer(tmp_path / "saved", dtype="float32"), TEXTS) for _ in range(2)}
    assert len(keys) == 1


def test_the_key_changes_with_routes_and_adapters(model: SentenceTransformer, tmp_path: Path) -> None:
    from peft import LoraConfig

    model.add_adapter(LoraConfig(target_modules=["query"], r=2, init_lora_weights=False))
    enabled = key_of(model, TEXTS)
    model.disable_adapters()
    assert key_of(model, TEXTS) != enabled
    folder = tmp_path / "tiny"
    tables = [static(folder, 8), static(folder, 8)]
    with torch.no_grad():
        keys = {
            key_of(SentenceTransformer(modules=[models.Router({"query": [one], "document": [two]}, default)]), TEXTS)
            for one, two in (tables, tables[::-1])
            for default in ("query", "document")
        }
    assert len(keys) == 2  # the tables are alike, the default routes are not
