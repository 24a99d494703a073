"""The code of the guide to training runs as it stands, and its tables name all that there is."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from likewise import SentenceTransformerTrainingArguments, evaluation, losses
from likewise.training.arguments import NOT_NEEDED
from likewise.training.optimizers import OPTIMIZERS
from likewise.training.samplers import BatchSamplers, MultiDatasetBatchSamplers
from likewise.training.schedules import SCHEDULES
from tests.tiny_checkpoints import tiny_encoder

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "train.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ROWS = {line for line in PAGE.splitlines() if line.startswith("| ")}


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first block to the last, with a tiny model in place of the true one."""
    tiny_encoder(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block.replace("all-MiniLM-L6-v2", "tiny"), "docs/guides/train.md", "exec"), names)
    assert len(BLOCKS) > 8
    written = {path.parent.name for path in tmp_path.glob("*/modules.json")}
    assert {"my-model", "fitted"} <= written


def named_in_tables() -> set[str]:
    return {name for row in ROWS for name in re.findall(r"`(\w+)", row)}


def test_the_table_of_losses_is_whole() -> None:
    ours = {name for name in losses.__all__ if name.endswith("Loss") and name != "Loss"}
    first_cells = {name for row in ROWS if (name := row.split("|")[1].strip().strip("`")).endswith("Loss")}
    assert first_cells == ours
    not_yet = set(re.findall(r"`(\w+)`", next(line for line in PAGE.splitlines() if line.startswith("Not yet: "))))
    assert not not_yet & ours


def test_the_tables_of_arguments_are_whole() -> None:
    own = {field.name for field in fields(SentenceTransformerTrainingArguments)}
    assert own | set(NOT_NEEDED) <= named_in_tables()


@pytest.mark.parametrize("name", [*OPTIMIZERS, *SCHEDULES, *BatchSamplers, *MultiDatasetBatchSamplers])
def test_the_choices_are_named(name: str) -> None:
    assert name in PAGE or name == BatchSamplers.NO_DUPLICATES_HASHED


def test_the_evaluators_are_named() -> None:
    ours = {name for name in evaluation.__all__ if name.endswith("Evaluator")} - {"BaseEvaluator", "SentenceEvaluator"}
    assert all(f"`{name}`" in PAGE for name in ours)
