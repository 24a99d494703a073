"""config_sentence_transformers.json: what it says, what it asks for, and how a damaged one is told."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from likewise import SentenceTransformer
from likewise.checkpoint.model_settings import ModelSettings, read_model_settings
from tests.tiny_checkpoints import tiny_encoder


def settings_of(folder: Path, **settings: Any) -> ModelSettings:
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings), encoding="utf-8")
    return read_model_settings(folder)


def test_everything_is_read(tmp_path: Path) -> None:
    given = {"prompts": {"query": "q: ", "none": None}, "default_prompt_name": "query", "similarity_fn_name": "dot"}
    assert settings_of(tmp_path, **given, truncate_dim=8) == ModelSettings({"query": "q: "}, "query", "dot", 8)
    assert settings_of(tmp_path) == ModelSettings()


@pytest.mark.parametrize(
    ("saved", "warns"),
    [("6.2.0", False), ("2.2.2", False), ("6.3.0", True), ("10.0.1", True), (None, False), ("?", False)],
)
def test_a_newer_version_is_a_warning(
    saved: str | None, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_of(tmp_path, __version__={"sentence_transformers": saved})
    assert ("the newest known here" in caplog.text) == warns


@pytest.mark.parametrize("kind", ["CrossEncoder", "SparseEncoder", "MultiVectorEncoder"])
def test_another_kind_of_model_is_used_as_an_encoder(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_encoder(tmp_path)
    plain = SentenceTransformer(folder, dtype="float32", device="cpu").encode(["tea"])
    rows = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(rows), encoding="utf-8")
    task = {"transformer_task": "sequence-classification", "module_output_name": "scores"}
    (folder / "sentence_bert_config.json").write_text(json.dumps(task), encoding="utf-8")
    settings_of(folder, model_type=kind, prompts={"query": "rank: "}, default_prompt_name="query")
    with caplog.at_level(logging.WARNING):
        model = SentenceTransformer(folder, dtype="float32", device="cpu")
    assert f"was saved as a '{kind}'; its encoder is used with mean pooling" in caplog.text
    assert model.prompts == {"query": "", "document": ""}  # another task's would do harm
    assert (model.encode(["tea"]) == plain).all()


@pytest.mark.parametrize(
    "requirements",
    [
        {},
        None,
        {"torch": ">=2"},
        {"pytorch": ">=2"},
        {"python": ">=3.11"},
        {"numpy": {"specifier": ">=1", "reason": "arrays"}},
        {"numpy": None},
        {"numpy": "not a specifier"},  # a warning
        {"sentence-transformers": ">=6.0"},  # the format is what such a model asks for
    ],
)
def test_requirements_that_are_met(requirements: Any, tmp_path: Path) -> None:
    assert settings_of(tmp_path, requirements=requirements) == ModelSettings()


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ({"numpy": "<1"}, r"the model requires numpy <1, but here is \d"),
        ({"python": "<3"}, r"the model requires python <3, but here is 3\."),
        ({"no-such-package": ""}, "the model requires no-such-package, but here is none"),
        (
            {"no-such-package": {"specifier": ">=2", "reason": "for its kettle"}},
            r"no-such-package >=2 \(for its kettle\)",
        ),
        ({"sentence-transformers": ">=7"}, r"the model requires sentence-transformers >=7, but here is 6\.2\.0"),
    ],
)
def test_requirements_that_are_not_met_are_told(requirements: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=words) as found:
        settings_of(tmp_path, requirements=requirements)
    assert str(tmp_path) in str(found.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"truncate_dim": "short"}, "truncate_dim must be a whole number"),
        ({"truncate_dim": 0}, "truncate_dim must be a whole number from 1"),
        ({"default_prompt_name": 7}, "default_prompt_name must be a text, not 7"),
        ({"similarity_fn_name": []}, r"similarity_fn_name must be a text, not \[\]"),
        ({"prompts": 7}, "must be texts by name"),
        ({"requirements": [7]}, "requirements must be version specifiers by package"),
    ],
)
def test_what_is_not_right_is_told_with_the_file(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words) as found:
        settings_of(tmp_path, **settings)
    assert "config_sentence_transformers.json" in str(found.value)
