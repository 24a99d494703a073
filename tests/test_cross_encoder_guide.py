"""The code of the guide to cross-encoders runs as it stands, prints what it says, and its table names all losses."""

import re
from pathlib import Path

import pytest

from likewise.cross_encoder import evaluation, losses
from tests.tiny_checkpoints import tiny_classifier, tiny_encoder
from tests.tiny_language_models import tiny_language_model

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "cross-encoder.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PRINTED = re.findall(r"^```\n\n```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)  # behind a block of code
BI_ENCODER = "all-MiniLM-L6-v2"
RERANKER = "cross-encoder/ms-marco-MiniLM-L12-v2"
LANGUAGE_MODEL = "Qwen/Qwen3-Reranker-0.6B"
START = "nreimers/MiniLM-L12-H384-uncased"


def run(block: str, models: dict[str, Path], names: dict[str, object]) -> None:
    for name, folder in models.items():
        block = block.replace(f'"{name}"', f'"{folder}"')
    exec(compile(block, "docs/guides/cross-encoder.md", "exec"), names)


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first block to the last, with tiny models in place of the true ones."""
    models = {
        BI_ENCODER: tiny_encoder(tmp_path / "bi-encoder"),
        RERANKER: tiny_classifier(tmp_path / "reranker"),
        START: tiny_encoder(tmp_path / "start"),
        LANGUAGE_MODEL: tiny_language_model(tmp_path / "language-model"),
    }
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        run(block, models, names)
    assert len(BLOCKS) == 6
    assert (tmp_path / "my-cross-encoder" / "modules.json").is_file()


def test_it_prints_what_the_page_says(
    minilm_folder: Path, ms_marco_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(BLOCKS[0], {BI_ENCODER: minilm_folder, RERANKER: ms_marco_folder}, {})
    printed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    said = [line.split(maxsplit=1) for line in PRINTED[0].splitlines()]
    assert [text for _, text in printed] == [text for _, text in said]
    assert [float(score) for score, _ in printed] == pytest.approx([float(score) for score, _ in said], abs=0.11)


def test_losses_and_evaluators_are_named() -> None:
    ours = {name for name in losses.__all__ if name.endswith("Loss")} - {"CrossEncoderLoss"}
    ours |= {name for name in evaluation.__all__ if name.startswith("CrossEncoder")}
    assert {name for name in ours if f"`{name}`" not in PAGE} == set()
