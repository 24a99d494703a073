"""LoRA adapters: merged as their formula says, and told where they do not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from likewise import SentenceTransformer
from tests.tiny_checkpoints import save_tokenizer, tiny_encoder

TEXTS = ["The kettle boils.", "It was late, and the train was not in the station."]
RANK, ALPHA = 4, 6.0
QUERY, EXPAND = "encoder.layer.0.attention.self.query", "encoder.layer.1.intermediate.dense"
SHAPES = {QUERY: (32, 32), EXPAND: (48, 32)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "base")


def drawn(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def adapter(folder: Path, base: Path, arrays: dict[str, NDArray[Any]] | None = None, **settings: Any) -> Path:
    """An adapter to the query of the first layer and the feed-forward part of the second, as peft saves it."""
    folder.mkdir()
    save_tokenizer(folder)
    if arrays is None:
        arrays = {}
        for module, (outputs, inputs) in SHAPES.items():
            arrays[f"base_model.model.{module}.lora_A.weight"] = drawn(RANK, inputs)
            arrays[f"base_model.model.{module}.lora_B.weight"] = drawn(outputs, RANK)
    save_file(arrays, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "base_model_name_or_path": str(base)} | settings
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    rows = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    rows.append({"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})
    (folder / "modules.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"embedding_dimension": 32}), encoding="utf-8")
    return folder


def expected(tmp_path: Path, base: Path, scales: dict[str, float]) -> NDArray[np.float32]:
    """The vectors of the base model with the products added by hand."""
    weights = load_file(base / "model.safetensors")
    for module, (outputs, inputs) in SHAPES.items():
        weights[f"{module}.weight"] += scales[module] * drawn(outputs, RANK) @ drawn(RANK, inputs)
    changed = tiny_encoder(tmp_path / "changed")
    save_file(weights, changed / "model.safetensors", {"format": "pt"})
    vectors: NDArray[np.float32] = SentenceTransformer(changed, dtype="float32", device="cpu").encode(TEXTS)
    return vectors


@pytest.mark.parametrize(
    ("settings", "scales"),
    [
        ({}, {QUERY: 1.5, EXPAND: 1.5}),
        ({"use_rslora": True}, {QUERY: 3.0, EXPAND: 3.0}),
        ({"alpha_pattern": {"query": 2}}, {QUERY: 0.5, EXPAND: 1.5}),
        ({"alpha_pattern": {r"layer\.1\..*dense": 8}}, {QUERY: 1.5, EXPAND: 2.0}),
    ],
)
def test_an_adapter_is_added_to_its_base_model(
    settings: dict[str, Any], scales: dict[str, float], base: Path, tmp_path: Path
) -> None:
    model = SentenceTransformer(adapter(tmp_path / "adapter", base, **settings), dtype="float32", device="cpu")
    np.testing.assert_allclose(model.encode(TEXTS), expected(tmp_path, base, scales), atol=1e-5)
    assert (model.max_seq_length, model.description.architecture) == (80, "bert")


def test_it_is_saved_merged(base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", base)
    model = SentenceTransformer(folder, dtype="float32", device="cpu")
    vectors = model.encode(TEXTS)
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_allclose(
        SentenceTransformer(tmp_path / "saved", dtype="float32").encode(TEXTS), vectors, atol=1e-6
    )
    model.save_pretrained(folder)  # over the adapter itself, which must not be added a second time
    np.testing.assert_allclose(SentenceTransformer(folder, dtype="float32").encode(TEXTS), vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "settings", "words"),
    [
        (None, {"peft_type": "IA3"}, "an adapter of the kind 'IA3' is not supported, only LORA is"),
        (None, {"use_dora": True}, "lacks the array .*query.lora_magnitude_vector"),
        (None, {"base_model_name_or_path": None}, "must name the base model, not None"),
        (None, {"lora_alpha": "much"}, "lora_alpha must be a number"),
        ({f"{QUERY}.lora_A.weight": drawn(4, 32)}, {}, "lora_B"),
        ({f"{QUERY}.lora_embedding_A": drawn(4, 32)}, {}, "lacks the array .*query.lora_embedding_B"),
        ({f"{QUERY}.lora_kettle": drawn(4, 32)}, {}, "is no part of a LoRA adapter"),
        ({f"{QUERY}.bias": drawn(9)}, {}, r"query.bias is \(9,\), but the base model's is \(32,\)"),
        ({"kettle.lora_A.weight": drawn(4, 32), "kettle.lora_B.weight": drawn(32, 4)}, {}, "changes kettle, which the"),
        ({f"{QUERY}.lora_A.weight": drawn(4, 9), f"{QUERY}.lora_B.weight": drawn(32, 4)}, {}, "has parts of"),
    ],
)
def test_an_adapter_that_does_not_fit_is_told(
    arrays: dict[str, NDArray[Any]] | None, settings: dict[str, Any], words: str, base: Path, tmp_path: Path
) -> None:
    if arrays is not None:
        arrays = {f"base_model.model.{name}": array for name, array in arrays.items()}
    folder = adapter(tmp_path / "adapter", base, arrays, **settings)
    with pytest.raises(ValueError, match=words) as found:
        SentenceTransformer(folder, device="cpu").encode(TEXTS)
    assert str(folder) in str(found.value)


def test_a_folder_with_nothing_but_an_adapter_is_a_plain_encoder(base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", base)
    expected = SentenceTransformer(folder, dtype="float32", device="cpu").encode(TEXTS)
    (folder / "modules.json").unlink()  # as peft itself saves it
    model = SentenceTransformer(folder, dtype="float32", device="cpu")
    assert model.description.layout == "plain encoder"
    np.testing.assert_array_equal(model.encode(TEXTS), expected)
