"""The JSON files of a checkpoint: what is read from them, and how a damaged one is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from likewise import SentenceTransformer, models
from likewise.checkpoint.model_settings import ModelSettings, read_model_settings
from likewise.checkpoint.settings import TRANSFORMER_SETTINGS, ModuleEntry, read_checkpoint, read_object
from tests.tiny_checkpoints import tiny_encoder

TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
TEXTS = ["The kettle boils.", "It was late.", ""]


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model, without the folder of the module that has no settings."""
    folder = tiny_encoder(tmp_path / "model")
    write(folder / "modules.json", [TRANSFORMER, POOLING, NORMALIZE])
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, "pooling_mode_cls_token": True})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 17, "do_lower_case": False})
    write(folder / "config_sentence_transformers.json", {"prompts": {"query": "question: "}})
    return folder


# What is read


def test_the_files_of_a_model_are_read(folder: Path) -> None:
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.folder, checkpoint.layout) == (folder, "legacy")
    assert checkpoint.modules == (
        ModuleEntry("Transformer", folder, {"max_seq_length": 17, "do_lower_case": False}),
        ModuleEntry("Pooling", folder / "1_Pooling", {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}),
        ModuleEntry("Normalize", folder / "2_Normalize", {}),
    )
    assert read_model_settings(folder).prompts == {"query": "question: "}


def test_a_missing_folder_of_a_module_without_settings_is_no_fault(folder: Path) -> None:
    assert not (folder / "2_Normalize").exists()
    model = SentenceTransformer(folder, dtype="float32", device="cpu")
    assert (model.encode(TEXTS) ** 2).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_plain_encoder_gets_mean_pooling(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    checkpoint = read_checkpoint(folder)
    assert checkpoint.modules == (ModuleEntry("Transformer", folder, {}),)
    assert read_model_settings(folder) == ModelSettings()
    plain = SentenceTransformer(folder, dtype="float32", device="cpu")
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32, "mean")]
    built = SentenceTransformer(modules=modules, dtype="float32", device="cpu")
    assert (plain.encode(TEXTS) == built.encode(TEXTS)).all()


@pytest.mark.parametrize(
    "kind",
    [
        "sentence_transformers.models.Pooling",
        "sentence_transformers.models.Pooling.Pooling",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    ],
)
def test_modules_are_known_by_their_last_name(kind: str, folder: Path) -> None:
    write(folder / "modules.json", [TRANSFORMER, POOLING | {"type": kind}])
    assert [entry.kind for entry in read_checkpoint(folder).modules] == ["Transformer", "Pooling"]
    assert SentenceTransformer(folder).encode(TEXTS).shape == (3, 32)


def test_the_newer_settings_of_the_pooling_win(folder: Path) -> None:
    settings = {"embedding_dimension": 32, "pooling_mode": ["lasttoken", "max"], "pooling_mode_cls_token": True}
    write(folder / "1_Pooling" / "config.json", settings)
    assert SentenceTransformer(folder).description.pooling == "lasttoken + max"


@pytest.mark.parametrize("name", TRANSFORMER_SETTINGS)
def test_the_length_limit_is_read_from_the_file_of_any_generation(name: str, folder: Path) -> None:
    (folder / "sentence_bert_config.json").rename(folder / name)
    assert SentenceTransformer(folder).max_seq_length == 17


def test_the_length_limit_is_the_tokenizers_where_there_is_no_other(folder: Path) -> None:
    write(folder / "sentence_bert_config.json", {"transformer_task": "feature-extraction"})
    assert SentenceTransformer(folder).max_seq_length == 80
    write(folder / "tokenizer_config.json", {"model_max_length": 23})
    assert SentenceTransformer(folder).max_seq_length == 23
    write(folder / "tokenizer_config.json", {"model_max_length": 10**30})
    assert SentenceTransformer(folder).max_seq_length == 80
    write(folder / "sentence_bert_config.json", {"max_seq_length": 9999})  # more than there are positions
    assert SentenceTransformer(folder).max_seq_length == 80


def test_texts_are_lower_cased_where_the_settings_say_so(folder: Path) -> None:
    tokenizer = read_object(folder / "tokenizer.json")
    write(folder / "tokenizer.json", tokenizer | {"normalizer": None})
    cased = SentenceTransformer(folder)
    assert cased.tokenize(["KETTLE"]).ids.tolist() != cased.tokenize(["kettle"]).ids.tolist()
    write(folder / "sentence_bert_config.json", {"do_lower_case": True})
    lower = SentenceTransformer(folder)
    assert lower.tokenize(["KETTLE"]).ids.tolist() == cased.tokenize(["kettle"]).ids.tolist()


def test_an_encoder_in_a_folder_of_its_own_is_read(folder: Path) -> None:
    own = folder / "0_Transformer"
    own.mkdir()
    for file in list(folder.iterdir()):
        if file.is_file() and file.name not in ("modules.json", "config_sentence_transformers.json"):
            file.rename(own / file.name)
    write(folder / "modules.json", [TRANSFORMER | {"path": "0_Transformer"}, POOLING, NORMALIZE])
    model = SentenceTransformer(folder, device="cpu")
    assert model.encode(TEXTS).shape == (3, 32)
    assert model.max_seq_length == 17


# What is damaged


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("{not JSON", "modules.json is not valid JSON"),
        ("", "modules.json is not valid JSON"),
        ("[" * 100_000, "modules.json is not valid JSON"),
        ({"0": TRANSFORMER}, "must hold a list of modules"),
        ([], "must hold a list of modules"),
        ("null", "must hold a list of modules"),
        ([TRANSFORMER, "Pooling"], "needs a 'type' and a 'path', but one is 'Pooling'"),
        ([TRANSFORMER, {"path": "1_Pooling"}], "needs a 'type' and a 'path'"),
        ([TRANSFORMER, POOLING | {"type": 7}], "needs a 'type' and a 'path'"),
        ([TRANSFORMER, POOLING | {"path": None}], "needs a 'type' and a 'path'"),
        ([TRANSFORMER, POOLING | {"path": "/etc"}], "'/etc' leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "../other"}], "'../other' leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "1_Pooling/../.."}], "leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "..\\other"}], "leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "C:\\models"}], "leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "C:models"}], "leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "\\\\server\\share"}], "leads out of the model's folder"),
        ([TRANSFORMER, POOLING | {"path": "1_Pooling\0"}], "is no path"),
        ([TRANSFORMER | {"path": "/"}, POOLING], "'/' leads out of the model's folder"),
    ],
)
def test_a_damaged_list_of_modules_is_told(rows: Any, words: str, folder: Path) -> None:
    write(folder / "modules.json", rows)
    with pytest.raises(ValueError, match=r"modules\.json") as found:
        read_checkpoint(folder)
    assert words in str(found.value)
    assert str(folder / "modules.json") in str(found.value)
    assert len(str(found.value)) < 400


def test_bytes_that_are_no_text_are_told(folder: Path) -> None:
    (folder / "modules.json").write_bytes(b"\xff\xfe[]")
    with pytest.raises(ValueError, match=r"modules\.json is not valid JSON"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "name", ["1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"]
)
@pytest.mark.parametrize("text", ["[]", "7", "{"])
def test_a_file_that_holds_no_object_is_told(name: str, text: str, folder: Path) -> None:
    write(folder / name, text)
    with pytest.raises(ValueError, match=r"must hold a JSON object|is not valid JSON") as found:
        SentenceTransformer(folder)
    assert str(folder / name) in str(found.value)
    with pytest.raises(ValueError, match="JSON"):
        read_object(folder / name)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no model: neither modules\.json nor config\.json is in it"):
        read_checkpoint(tmp_path)


def test_a_module_that_is_not_known_is_told(folder: Path) -> None:
    kind = "sentence_transformers.models.SpladePooling"
    write(folder / "modules.json", [TRANSFORMER, POOLING, {"path": "2_Other", "type": kind}])
    with pytest.raises(ValueError, match="a module 'SpladePooling', which is not supported; supported are Transformer"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    "kind", ["custom_code.modeling.Transformer", "Pooling", "os.system", "sentence_transformers", ""]
)
def test_a_class_of_the_models_own_is_refused(kind: str, folder: Path) -> None:
    write(folder / "modules.json", [TRANSFORMER, {"path": "1_Pooling", "type": kind}])
    with pytest.raises(ValueError, match=r"modules\.json: the module type .* never runs code of its own here"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    ("file", "settings", "words"),
    [
        ("1_Pooling/config.json", {"word_embedding_dimension": "wide"}, "1_Pooling are not right: Pooling needs"),
        ("1_Pooling/config.json", {}, "1_Pooling are not right: Pooling needs embedding_dimension"),
        ("1_Pooling/config.json", {"word_embedding_dimension": 32, "pooling_mode": "kettle"}, "'kettle' is not known"),
        ("1_Pooling/config.json", {"word_embedding_dimension": 33}, "expects token vectors of 33 dimensions"),
        ("sentence_bert_config.json", {"max_seq_length": "long"}, "the module Transformer in .* are not right"),
        ("config_sentence_transformers.json", {"prompts": ["question: "]}, "transformers.json must be texts by name"),
        ("config_sentence_transformers.json", {"prompts": {"query": 7}}, "transformers.json must be texts by name"),
        ("config_sentence_transformers.json", {"default_prompt_name": "kettle"}, "'kettle' is none of"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "kettle"}, "'kettle' is not known"),
    ],
)
def test_settings_that_are_not_right_are_told(file: str, settings: dict[str, Any], words: str, folder: Path) -> None:
    write(folder / file, settings)
    with pytest.raises(ValueError, match=words):
        SentenceTransformer(folder)


def test_a_setting_that_is_left_open_has_its_default(folder: Path) -> None:
    settings = {
        "prompts": {"query": None},
        "default_prompt_name": None,
        "similarity_fn_name": None,
        "truncate_dim": None,
    }
    write(folder / "config_sentence_transformers.json", settings)
    model = SentenceTransformer(folder)
    assert (model.prompts, model.similarity_fn_name) == ({"query": "", "document": ""}, "cosine")
    assert (model.default_prompt_name, model.truncate_dim) == (None, None)


def test_a_missing_config_is_told(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing; fetch the model again"):
        SentenceTransformer(folder)


def test_missing_weights_of_a_head_are_told(folder: Path) -> None:
    dense = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    write(folder / "modules.json", [TRANSFORMER, POOLING, dense])
    write(folder / "2_Dense" / "config.json", {"in_features": 32, "out_features": 4})
    with pytest.raises(FileNotFoundError, match="2_Dense holds no weights"):
        SentenceTransformer(folder)
