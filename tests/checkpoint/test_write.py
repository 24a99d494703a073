"""Saved models: the layout that sentence-transformers 3.4 to 6.x and inference servers read, whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from likewise import SentenceTransformer, models
from likewise.checkpoint import write as room
from tests.tiny_checkpoints import MODEL_TYPES, tiny_encoder

TEXTS = ["The kettle boils.", "", "It was late, and the train was not in the station."]
ENCODER_FILES = {  # beside modules.json
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, by its path there."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "tiny")


def with_every_module(folder: Path) -> SentenceTransformer:
    modules: list[models.Module] = [
        models.Transformer(folder, max_seq_length=21, do_lower_case=True),
        models.Pooling(32, ["cls", "mean"], include_prompt=False),
        models.Dense(64, 8, False, torch.nn.Identity(), init_weight=np.eye(8, 64), init_bias=np.ones(8)),
        models.Dropout(0.25),
        models.Dense(8, 6, init_weight=np.ones((6, 8)), init_bias=np.arange(6)),
        models.LayerNorm(6, {"norm.weight": np.full(6, 2, "f"), "norm.bias": np.arange(6, dtype="f")}),
        models.Normalize(),
    ]
    return SentenceTransformer(
        modules=modules, prompts={"query": "question: "}, default_prompt_name="query", dtype="float32"
    )


# The layout


def test_a_saved_model_has_these_files_and_keys(folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with_every_module(folder).save_pretrained(saved)
    modules = ["1_Pooling", "2_Dense", "3_Dropout", "4_Dense", "5_LayerNorm", "6_Normalize"]
    weights = {f"{name}/model.safetensors" for name in ("2_Dense", "4_Dense", "5_LayerNorm")}
    assert (
        files(saved).keys() == ENCODER_FILES | {"modules.json"} | {f"{name}/config.json" for name in modules} | weights
    )
    assert read(saved / "modules.json") == [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    ] + [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{path[2:]}"}
        for index, path in enumerate(modules, 1)
    ]
    assert read(saved / "sentence_bert_config.json") == {"max_seq_length": 21, "do_lower_case": True}
    assert read(saved / "config_sentence_transformers.json") == {
        "prompts": {"query": "question: ", "document": ""},
        "default_prompt_name": "query",
        "similarity_fn_name": "cosine",
    }
    assert read(saved / "1_Pooling" / "config.json") == {
        "word_embedding_dimension": 64 // 2,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": False,
        "include_prompt": False,
    }
    assert read(saved / "2_Dense" / "config.json") == {
        "in_features": 64,
        "out_features": 8,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    assert read(saved / "4_Dense" / "config.json")["activation_function"] == "torch.nn.modules.activation.Tanh"
    assert read(saved / "3_Dropout" / "config.json") == {"dropout": 0.25}
    assert read(saved / "5_LayerNorm" / "config.json") == {"dimension": 6}
    assert read(saved / "6_Normalize" / "config.json") == {}
    without_bias = load_file(saved / "2_Dense" / "model.safetensors")
    assert without_bias.keys() == {"linear.weight"}
    np.testing.assert_array_equal(without_bias["linear.weight"], np.eye(8, 64))
    assert load_file(saved / "4_Dense" / "model.safetensors").keys() == {"linear.weight", "linear.bias"}
    assert load_file(saved / "5_LayerNorm" / "model.safetensors").keys() == {"norm.weight", "norm.bias"}


def test_an_order_of_poolings_that_booleans_cannot_say_is_kept(folder: Path, tmp_path: Path) -> None:
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32, ["mean", "cls"])]
    model = SentenceTransformer(modules=modules, dtype="float32")
    model.save_pretrained(tmp_path / "saved")
    assert read(tmp_path / "saved" / "1_Pooling" / "config.json")["pooling_mode"] == ["mean", "cls"]
    loaded = SentenceTransformer(tmp_path / "saved", dtype="float32")
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


def test_the_files_of_the_encoder_are_as_they_were(folder: Path, tmp_path: Path) -> None:
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "saved" / name).read_bytes() == (folder / name).read_bytes()
    assert read(tmp_path / "saved" / "config.json") == read(folder / "config.json")


def test_a_tokenizer_of_the_first_generation_gets_the_newer_file(folder: Path, tmp_path: Path) -> None:
    vocabulary = read(folder / "tokenizer.json")["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    model = SentenceTransformer(folder, dtype="float32")
    model.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").is_file()
    assert (tmp_path / "saved" / "tokenizer.json").is_file()
    loaded = SentenceTransformer(tmp_path / "saved", dtype="float32")
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


# Who reads it


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("trained", [False, True], ids=["as loaded", "as network"])
def test_transformers_reads_the_saved_encoder(model_type: str, trained: bool, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    model = SentenceTransformer(tiny_encoder(tmp_path / "tiny", model_type), dtype="float32", device="cpu")
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.01)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    theirs, unused = AutoModel.from_pretrained(saved, output_loading_info=True)
    assert not unused["unexpected_keys"]
    assert not {name for name in unused["missing_keys"] if "pooler" not in name}
    tokenizer = AutoTokenizer.from_pretrained(saved)
    for text, ours in zip(TEXTS, model.encode(TEXTS, output_value="token_embeddings"), strict=True):
        with torch.no_grad():
            hidden = theirs.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(ours, hidden.numpy(), atol=1e-5)


def test_stored_precision_is_kept(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    model = SentenceTransformer(folder, dtype="float32", device="cpu")
    model.save_pretrained(tmp_path / "saved")
    reloaded = AutoModel.from_pretrained(tmp_path / "saved", dtype="auto")
    assert {parameter.dtype for parameter in reloaded.parameters() if parameter.numel()} == {torch.bfloat16}
    loaded = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    assert loaded.description.checkpoint_dtype == "bfloat16"
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


# Whole or not at all


@pytest.fixture
def old(folder: Path, tmp_path: Path) -> Path:
    """A model that was saved before, with a file of somebody's own."""
    old = tmp_path / "models" / "old"
    SentenceTransformer(folder).save_pretrained(old)
    (old / "notes.txt").write_text("mine", encoding="utf-8")
    return old


def fail_at(turn: int, function: Callable[..., None], error: BaseException) -> Callable[..., None]:
    """``function``, which raises ``error`` the ``turn``-th time it is called."""
    turns = iter(range(turn))

    def failing(*arguments: Any) -> None:
        if next(turns, None) is None:
            raise error
        function(*arguments)

    return failing


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("function", "turn"), [("write_arrays", 0), ("write_arrays", 1), *(("_write_json", n) for n in range(8))]
)
def test_an_interrupted_save_leaves_the_old_model_whole(
    function: str, turn: int, error: BaseException, folder: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(old.parent)
    monkeypatch.setattr(room, function, fail_at(turn, getattr(room, function), error))
    with pytest.raises(type(error)):
        with_every_module(folder).save_pretrained(old)
    assert files(old.parent) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["old"]


def test_an_interrupted_first_save_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_write_json", fail_at(2, room._write_json, OSError("the disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        with_every_module(folder).save_pretrained(tmp_path / "models" / "new")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_save_replaces_the_old_model_and_leaves_other_files(folder: Path, old: Path) -> None:
    (old / "pytorch_model.bin").write_bytes(b"weights that would no longer fit")
    model = with_every_module(folder)
    model.save_pretrained(old)
    assert (old / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not (old / "pytorch_model.bin").exists()
    loaded = SentenceTransformer(old, dtype="float32")
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


def test_a_model_can_be_saved_onto_itself(old: Path) -> None:
    model = SentenceTransformer(old, dtype="float32")
    before = model.encode(TEXTS)
    contents = files(old)
    model.save_pretrained(old)
    assert files(old) == contents
    np.testing.assert_array_equal(model.encode(TEXTS), before)
    np.testing.assert_array_equal(SentenceTransformer(old, dtype="float32").encode(TEXTS), before)
