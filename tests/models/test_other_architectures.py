"""Whole models whose encoder Transformers computes: encoded, saved, and read without modules.json."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from likewise import SentenceTransformer, models
from tests.other_checkpoints import save_other_encoder
from tests.tiny_checkpoints import save_tokenizer, vocabulary

TEXTS = ["The kettle boils.", "", "It was late, and the train was not in the station.", "tea"] * 3


@pytest.mark.parametrize("variant", ["qwen3", "t5", "deberta", "deberta-v2", "marian"])
def test_a_model_is_encoded_and_saved(variant: str, tmp_path: Path) -> None:
    save_other_encoder(tmp_path / "model", variant, vocab_size=len(vocabulary()))
    save_tokenizer(tmp_path / "model")
    source = models.Transformer(tmp_path / "model")
    modules: list[models.Module] = [source, models.Pooling(source.get_embedding_dimension(), "lasttoken")]
    model = SentenceTransformer(modules=modules, dtype="float32", device="cpu")
    vectors = model.encode(TEXTS)
    for size in (1, 5):
        np.testing.assert_allclose(model.encode(TEXTS, batch_size=size), vectors, atol=1e-5)
    with ThreadPoolExecutor(4) as threads:
        for other in threads.map(lambda _: model.encode(TEXTS), range(8)):
            np.testing.assert_allclose(other, vectors, atol=1e-5)
    model.save_pretrained(tmp_path / "saved")
    _ = model.network  # from now on it is the model
    model.save_pretrained(tmp_path / "trained")
    for folder in ("saved", "trained"):
        again = SentenceTransformer(tmp_path / folder, dtype="float32", device="cpu")
        np.testing.assert_allclose(again.encode(TEXTS), vectors, atol=1e-5)
    rounded = SentenceTransformer(tmp_path / "saved", dtype="bfloat16", device="cpu").encode(TEXTS)
    assert rounded.shape == vectors.shape


def test_a_decoder_without_modules_json_gives_its_last_tokens_vector(tmp_path: Path) -> None:
    save_other_encoder(tmp_path, "qwen3", vocab_size=len(vocabulary()))
    save_tokenizer(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    for architecture, causal, pooling in (
        ("Qwen3ForCausalLM", None, "lasttoken"),
        ("Qwen3ForCausalLM", False, "mean"),
        ("Qwen3Model", None, "mean"),
    ):
        changed = config | {"architectures": [architecture], "is_causal": causal}
        (tmp_path / "config.json").write_text(json.dumps(changed), encoding="utf-8")
        assert SentenceTransformer(tmp_path, device="cpu").description.pooling == pooling
