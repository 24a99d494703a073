"""What only the kernels read beside a checkpoint: how int8 was calibrated, and the weights as they are packed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise import CrossEncoder, SentenceTransformer, models
from likewise.checkpoint.arrays import NamedArrays, read_arrays, write_arrays
from likewise.checkpoint.model_files import CALIBRATION, needed_files
from likewise.engine.calibration import calibration_texts, scales_of
from likewise.engine.library import are_there, instruction_set, is_native
from tests.tiny_checkpoints import tiny_classifier, tiny_encoder

pytestmark = pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")

SENTENCES = ["The kettle boils.", "", "A small train was late in the winter rain.", "tea " * 30]
FAMILIES = ["bert", "mpnet", "modernbert", "nomic_bert"]


def packed_name(dtype: str) -> str:
    return f"packed_{dtype}_{instruction_set()}.safetensors"


def rewrite(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    file.unlink()  # which is mapped: writing into it would take the ground from under the arrays
    write_arrays(file, arrays)


@pytest.fixture(params=FAMILIES)
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "plain", request.param)


def test_a_converted_model_is_computed_in_int8_with_the_same_bits(plain: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(plain, device="cpu")
    model.save_pretrained(tmp_path / "converted", dtype="int8", packed=True)
    expected = SentenceTransformer(plain, dtype="int8", device="cpu").encode(SENTENCES)
    again = SentenceTransformer(tmp_path / "converted", device="cpu")
    np.testing.assert_array_equal(again.encode(SENTENCES), expected)
    assert again.description.dtype == "int8"
    assert packed_name("int8") in again.description.engine_note
    # Its weights are what they were: for others, and for other precisions.
    for engine in ("native", "torch"):
        both = [
            SentenceTransformer(folder, dtype="float32", engine=engine, device="cpu").encode(SENTENCES)
            for folder in (tmp_path / "converted", plain)
        ]
        np.testing.assert_array_equal(*both)


def test_packed_weights_are_mapped_and_their_originals_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    SentenceTransformer(tiny_encoder(tmp_path / "plain", "bert")).save_pretrained(folder, packed=True)
    dtype = "bfloat16" if is_native(instruction_set(), "bfloat16") else "float32"
    expected = SentenceTransformer(folder, device="cpu").encode(SENTENCES)
    # The products are zeros now, but the values that tell whether the file fits are those of before.
    arrays = dict(read_arrays(folder))
    for name, values in arrays.items():
        if "layer." in name and values.ndim == 2:
            flat = values.reshape(-1).copy()
            flat[64:400] = 0
            arrays[name] = flat.reshape(values.shape)
    rewrite(folder / "model.safetensors", NamedArrays.of(arrays))
    model = SentenceTransformer(folder, device="cpu")
    np.testing.assert_array_equal(model.encode(SENTENCES), expected)
    assert packed_name(dtype) in repr(model)
    with (folder / packed_name(dtype)).open("rb") as file:
        assert (8 + int.from_bytes(file.read(8), "little")) % 64 == 0  # as the kernels ask for


def test_texts_that_are_given_calibrate(tmp_path: Path) -> None:
    plain = tiny_encoder(tmp_path / "plain", "bert")
    model = SentenceTransformer(plain, device="cpu")
    model.save_pretrained(tmp_path / "shipped", dtype="int8")
    model.save_pretrained(tmp_path / "given", dtype="int8", calibration=["tea and rain"] * 300 + ["a green station"])
    model.save_pretrained(tmp_path / "as shipped", dtype="int8", calibration=calibration_texts())
    stored = {name: (tmp_path / name / CALIBRATION).read_bytes() for name in ("shipped", "given", "as shipped")}
    assert stored["shipped"] == stored["as shipped"] != stored["given"]
    vectors = [SentenceTransformer(tmp_path / name, device="cpu").encode(SENTENCES) for name in ("shipped", "given")]
    assert (vectors[0] != vectors[1]).any()


def test_the_texts_decide_the_scales(tmp_path: Path) -> None:
    SentenceTransformer(tiny_encoder(tmp_path / "plain", "bert")).save_pretrained(tmp_path / "out", dtype="int8")
    stored = dict(read_arrays(tmp_path / "out", (Path(CALIBRATION).stem,) * 2))
    before = scales_of(models.Transformer(tmp_path / "out"), instruction_set())
    changed = stored["layers.1.expand"].copy()
    changed[3] *= 100
    rewrite(tmp_path / "out" / CALIBRATION, stored | {"layers.1.expand": changed})
    after = scales_of(models.Transformer(tmp_path / "out"), instruction_set())
    differing = {place for place in before if (before[place] != after[place]).any()}
    assert differing == {(1, "expand")}
    np.testing.assert_allclose(before[1, "expand"][3] / after[1, "expand"][3], 10, rtol=1e-6)  # the square root


def test_weights_of_another_model_are_packed_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("one", "other")
    for seed, name in enumerate(names):
        encoder = tiny_encoder(tmp_path / f"plain {name}", "bert", seed=seed)
        SentenceTransformer(encoder).save_pretrained(tmp_path / name, dtype="int8", packed=True)
    file = packed_name("int8")
    (tmp_path / "one" / file).write_bytes((tmp_path / "other" / file).read_bytes())
    with caplog.at_level(logging.WARNING):
        vectors = SentenceTransformer(tmp_path / "one", device="cpu").encode(SENTENCES)
    assert "likewise convert --packed" in caplog.text
    expected = SentenceTransformer(tmp_path / "plain one", dtype="int8", device="cpu").encode(SENTENCES)
    np.testing.assert_array_equal(vectors, expected)


def test_what_no_longer_fits_goes_when_a_model_is_saved_again(tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path / "plain", "bert"))
    model.save_pretrained(tmp_path / "out", dtype="int8", packed=True)
    assert {CALIBRATION, packed_name("int8")} <= {file.name for file in (tmp_path / "out").iterdir()}
    model.save_pretrained(tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").glob("*.safetensors")} == {"model.safetensors"}


def test_a_model_to_be_computed_in_int8_stays_one_when_it_is_saved_again(tmp_path: Path) -> None:
    SentenceTransformer(tiny_encoder(tmp_path / "plain", "bert")).save_pretrained(
        tmp_path / "int8", dtype="int8", calibration=["tea and rain"] * 3
    )
    converted = SentenceTransformer(tmp_path / "int8", device="cpu")
    converted.save_pretrained(tmp_path / "copy")
    again = SentenceTransformer(tmp_path / "copy", device="cpu")
    assert again.description.dtype == "int8"
    np.testing.assert_array_equal(again.encode(SENTENCES), converted.encode(SENTENCES))
    converted.save_pretrained(tmp_path / "copy", dtype="float32")
    assert SentenceTransformer(tmp_path / "copy", device="cpu").description.dtype != "int8"
    assert converted.network is not None  # from now on it may be trained, and what was observed is of other weights
    converted.save_pretrained(tmp_path / "trained")
    assert not (tmp_path / "trained" / CALIBRATION).exists()


@pytest.mark.parametrize("damage", ["cut", "smaller", "missing", "wrong shape"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "out"
    SentenceTransformer(tiny_encoder(tmp_path / "plain", "bert")).save_pretrained(folder, dtype="int8", packed=True)
    file = folder / (CALIBRATION if damage == "wrong shape" else packed_name("int8"))
    arrays = dict(read_arrays(folder, (file.stem,) * 2))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "smaller":
        rewrite(file, arrays | {"layers.0.qkv": arrays["layers.0.qkv"][:-64]})
    elif damage == "missing":
        rewrite(file, {name: values for name, values in arrays.items() if name != "layers.0.qkv"})
    else:
        (folder / packed_name("int8")).unlink()
        rewrite(file, arrays | {"layers.0.qkv": arrays["layers.0.qkv"][:-1]})
    with pytest.raises(ValueError, match=file.name):
        SentenceTransformer(folder, device="cpu").encode("tea")


def test_a_cross_encoder_is_kept_so_too(tmp_path: Path) -> None:
    plain = tiny_classifier(tmp_path / "plain", "bert", 1)
    CrossEncoder(plain).save_pretrained(tmp_path / "out", dtype="int8", packed=True)
    pairs = [("tea", "rain"), ("a green station", "the train was late")]
    again = CrossEncoder(tmp_path / "out", device="cpu")
    np.testing.assert_array_equal(again.predict(pairs), CrossEncoder(plain, dtype="int8", device="cpu").predict(pairs))
    assert packed_name("int8") in repr(again)


def test_what_the_kernels_do_not_compute_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    encoder = models.Transformer(tiny_encoder(tmp_path / "plain", "bert"))
    words = models.CNN(encoder.get_embedding_dimension(), 6)
    unknown = SentenceTransformer(modules=[encoder, words, models.Pooling(18)], device="cpu")
    static = SentenceTransformer(modules=[models.StaticEmbedding(encoder.tokenizer, embedding_dim=8)], device="cpu")
    for model, wanted in ((unknown, "between the encoder and the pooling"), (static, "the model has none")):
        with pytest.raises(ValueError, match=wanted):
            model.save_pretrained(tmp_path / "out", dtype="int8")
        with pytest.raises(ValueError, match=f"packed=True .*{wanted}"):
            model.save_pretrained(tmp_path / "out", packed=True)
    with pytest.raises(ValueError, match='calibrate with are for dtype="int8"'):
        SentenceTransformer(tmp_path / "plain").save_pretrained(tmp_path / "out", calibration=["tea"])
    with pytest.raises(ValueError, match="cannot be stored in 'int4'"):
        SentenceTransformer(tmp_path / "plain").save_pretrained(tmp_path / "out", dtype="int4")
    assert not (tmp_path / "out").exists()


def test_the_calibration_is_fetched_from_the_hub_but_not_what_one_machine_packed() -> None:
    names = ["config.json", "model.safetensors", "tokenizer.json", CALIBRATION, "packed_int8_avx2.safetensors"]
    assert needed_files(names, None) == sorted(set(names) - {"packed_int8_avx2.safetensors"})
