"""What holds for a model of any kind: saved and loaded in both layouts, on the network, and in any company."""

import json
from pathlib import Path

import numpy as np
import pytest

from likewise import SentenceTransformer, models
from likewise.checkpoint.write import LAYOUTS, Layout
from tests.models.made import MADE, TEXTS, all_vectors, made
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MADE)
def test_a_saved_model_gives_the_same_vectors(name: str, layout: Layout, encoder: Path, tmp_path: Path) -> None:
    model = made(name, encoder)
    model.save_pretrained(tmp_path / "saved", layout=layout)
    again = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    np.testing.assert_allclose(all_vectors(again), all_vectors(model), atol=1e-6)
    assert again.description.layout == layout
    assert again.description.modules == model.description.modules
    again.save_pretrained(tmp_path / "again", layout=layout)
    for file in (tmp_path / "saved").rglob("*"):
        if file.is_file() and file.name != "README.md":
            assert (tmp_path / "again" / file.relative_to(tmp_path / "saved")).read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("name", MADE)
def test_the_network_gives_the_same_vectors_and_is_saved(name: str, encoder: Path, tmp_path: Path) -> None:
    model = made(name, encoder)
    before = all_vectors(model)
    assert all(weight.requires_grad for weight in model.network.parameters())
    np.testing.assert_allclose(all_vectors(model), before, atol=1e-5)
    for weight in model.network.parameters():
        weight.data *= 1.5
    changed = all_vectors(model)
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_allclose(
        all_vectors(SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")), changed, atol=1e-4
    )
    if name not in ("static", "bag of words, each once"):  # normalised again; without weights
        assert not np.allclose(changed, before)


@pytest.mark.parametrize("name", MADE)
def test_a_texts_vector_does_not_depend_on_its_company(name: str, encoder: Path) -> None:
    model = made(name, encoder)
    together = all_vectors(model)
    for task, vectors in zip(model.description.routes or (None,), together, strict=True):
        alone = np.stack([model.encode(text, task=task) for text in TEXTS])
        np.testing.assert_allclose(alone, vectors, atol=2e-6)
        np.testing.assert_allclose(model.encode(TEXTS[::-1], task=task, batch_size=2)[::-1], vectors, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", MADE)
def test_weights_are_stored_in_the_precision_that_is_asked_for(
    name: str, dtype: str, encoder: Path, tmp_path: Path
) -> None:
    model = made(name, encoder)
    model.save_pretrained(tmp_path / "saved", dtype=dtype)
    again = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    if name not in ("weighted words", "bag of words, each once"):  # whose weights are numbers in a JSON file
        assert again.description.checkpoint_dtype == dtype
    np.testing.assert_allclose(all_vectors(again), all_vectors(model), atol=0.15)


def test_the_newer_layout_keeps_the_length_and_the_lower_casing(encoder: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((encoder / "tokenizer.json").read_text(encoding="utf-8"))
    cased = tmp_path / "cased"
    cased.mkdir()
    for file in encoder.iterdir():
        (cased / file.name).write_bytes(file.read_bytes())
    (cased / "tokenizer.json").write_text(json.dumps(tokenizer | {"normalizer": None}), encoding="utf-8")
    source = models.Transformer(cased, 9, do_lower_case=True)
    model = SentenceTransformer(modules=[source, models.Pooling(32)], dtype="float32", device="cpu")
    model.save_pretrained(tmp_path / "saved", layout="6")
    again = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    assert again.max_seq_length == 9
    np.testing.assert_array_equal(again.encode(["KETTLE tea"]), model.encode(["kettle tea"]))


def test_what_saving_does_not_know_is_told(encoder: Path, tmp_path: Path) -> None:
    model = made("words", encoder)
    with pytest.raises(ValueError, match="layout '5' is not known; use one of 'legacy', '6'"):
        model.save_pretrained(tmp_path / "saved", layout="5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stored in 'int4'; use one of float32, float16, bfloat16, int8"):
        model.save_pretrained(tmp_path / "saved", dtype="int4")
    with pytest.raises(ValueError, match='dtype="int8" is for transformers, and the model has none'):
        model.save_pretrained(tmp_path / "saved", dtype="int8")
    with pytest.raises(ValueError, match="a pickle can run code"):
        model.save_pretrained(tmp_path / "saved", safe_serialization=False)
    assert not (tmp_path / "saved").exists()


def test_a_card_that_somebody_wrote_stays(encoder: Path, tmp_path: Path) -> None:
    model = made("words", encoder)
    model.save_pretrained(tmp_path / "saved")
    readme = tmp_path / "saved" / "README.md"
    assert "# saved" in readme.read_text(encoding="utf-8")
    model.save_pretrained(tmp_path / "saved", "me/rainy", train_datasets=["me/weather"])
    assert 'SentenceTransformer("me/rainy")' in readme.read_text(encoding="utf-8")
    assert "me/weather" in readme.read_text(encoding="utf-8")
    readme.write_text("My own words.", encoding="utf-8")
    model.save_pretrained(tmp_path / "saved")
    assert readme.read_text(encoding="utf-8") == "My own words."
    readme.unlink()
    model.save_pretrained(tmp_path / "saved", create_model_card=False)
    assert not readme.exists()
