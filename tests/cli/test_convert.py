"""likewise convert: a model in another layout or precision."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from likewise import SentenceTransformer
from likewise.engine.library import are_there
from tests.cli.conftest import Run
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny") / "model")


@pytest.mark.parametrize("layout", ["legacy", "6"])
def test_a_plain_encoder_becomes_a_saved_model(run: Run, model: Path, tmp_path: Path, layout: str) -> None:
    finished = run("convert", model, tmp_path / "out", "--layout", layout)
    assert (finished.code, finished.err) == (0, "")
    words = rf"{re.escape(str(model))} in .*out: layout {layout}, weights in their precision, 0\.\d MB\n"
    assert re.fullmatch(words, finished.out)
    again = SentenceTransformer(tmp_path / "out", dtype="float32", device="cpu")
    assert again.description.layout == layout
    expected = SentenceTransformer(model, dtype="float32", device="cpu").encode(["tea", "rain"])
    np.testing.assert_array_equal(again.encode(["tea", "rain"]), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_are_stored_in_half(run: Run, model: Path, tmp_path: Path, dtype: str) -> None:
    assert run("convert", model, tmp_path / "out", "--dtype", dtype).code == 0
    assert SentenceTransformer(tmp_path / "out").description.checkpoint_dtype == dtype
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "out", model)]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")
def test_a_model_for_int8(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("title,text\na,tea and rain\nb,a green station\n")
    (tmp_path / "none.csv").write_text("title,text\n")
    options = ["--dtype", "int8", "--packed", "--calibrate", tmp_path / "texts.csv", "--column", "text"]
    finished = run("convert", model, tmp_path / "out", *options)
    assert (finished.code, finished.err) == (0, "")
    assert "weights in their precision, computed in int8" in finished.out
    SentenceTransformer(model).save_pretrained(
        tmp_path / "same", dtype="int8", calibration=["tea and rain", "a green station"], packed=True
    )
    for file in (tmp_path / "same").glob("*.safetensors"):
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    assert SentenceTransformer(tmp_path / "out", device="cpu").description.dtype == "int8"
    finished = run("convert", model, tmp_path / "more", "--dtype", "int8", "--calibrate", tmp_path / "none.csv")
    assert finished.code == 1
    assert finished.err.endswith("none.csv holds no texts to calibrate with\n")
    assert not (tmp_path / "more").exists()


def test_the_original_is_not_written_over(run: Run, model: Path) -> None:
    before = (model / "model.safetensors").read_bytes()
    finished = run("convert", model, model)
    assert finished.code == 1
    assert finished.err == f"likewise: {model} is the model itself; give another folder, so that the original stays\n"
    assert (model / "model.safetensors").read_bytes() == before
    assert not (model / "modules.json").exists()


def test_a_damaged_model_is_one_line_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "modules.json").write_text(
        json.dumps([{"path": "../x", "type": "sentence_transformers.models.T5"}])
    )
    finished = run("convert", tmp_path / "model", tmp_path / "out")
    assert finished.code == 1
    assert finished.err.count("\n") == 1
    assert "leads out of the model's folder" in finished.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--layout", "5"), ("--dtype", "int4")])
def test_another_layout_or_precision_is_wrong_usage(run: Run, model: Path, tmp_path: Path, option: tuple[str]) -> None:
    finished = run("convert", model, tmp_path / "out", *option)
    assert finished.code == 2
    assert "is not one of" in finished.err
