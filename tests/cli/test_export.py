"""likewise export: a model to the graph that is deployed."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny") / "model")


def test_a_line_says_where_how_large_and_how_near(run: Run, model: Path, tmp_path: Path) -> None:
    finished = run("export", model, tmp_path / "out", "--format", "onnx")
    assert finished.code == 0
    assert finished.err == ""
    assert re.fullmatch(
        rf"0\.\d MB in {re.escape(str(tmp_path))}/out/model\.onnx; to the model's own vectors: "
        r"largest difference \d\.\de-0[5-9], lowest cosine 1\.00000\n",
        finished.out,
    )
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_weights_in_8_bits(run: Run, model: Path, tmp_path: Path) -> None:
    finished = run("export", model, tmp_path / "small.onnx", "--dtype", "int8")
    assert "lowest cosine 0.9" in finished.out
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.onnx"]


def test_a_folder_with_a_model_is_refused_in_one_line(run: Run, model: Path) -> None:
    finished = run("export", model, model)
    assert finished.code == 1
    assert finished.out == ""
    assert re.fullmatch(r"likewise: .* holds a model already \(model.safetensors\), .*\n", finished.err)


@pytest.mark.parametrize("option", [("--format", "torchscript"), ("--dtype", "int4")])
def test_another_format_or_precision_is_wrong_usage(run: Run, model: Path, tmp_path: Path, option: tuple[str]) -> None:
    finished = run("export", model, tmp_path / "out", *option)
    assert finished.code == 2
    assert "is not one of" in finished.err
    assert not (tmp_path / "out").exists()
