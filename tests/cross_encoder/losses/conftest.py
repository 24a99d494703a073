"""A tiny cross-encoder, for every test of its losses that needs texts."""

import json
from pathlib import Path

import pytest

from likewise.cross_encoder.cross_encoder import CrossEncoder
from tests.tiny_checkpoints import POSITIONS, draw_weights, save_tokenizer, vocabulary


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers with one label, saved as Hugging Face saves it."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    path = tmp_path_factory.mktemp("pairs")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    of_tokens = {"vocab_size": len(vocabulary()), "max_position_embeddings": POSITIONS, "pad_token_id": 0}
    config = AutoConfig.for_model("bert", **sizes, **of_tokens, num_labels=1)
    network = AutoModelForSequenceClassification.from_config(config)
    draw_weights(network, seed=0)
    network.save_pretrained(path)
    save_tokenizer(path)
    settings = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_input_names"].append("token_type_ids")
    (path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return path


@pytest.fixture
def model(folder: Path) -> CrossEncoder:
    """In float32 on the CPU; the same weights each time."""
    return CrossEncoder(folder, device="cpu", dtype="float32")
