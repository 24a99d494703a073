"""The constructors of the incumbent's modules: each argument is here, or refused by an error that says what to do."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise import models
from tests.tiny_checkpoints import tiny_encoder

SIGNATURES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signatures_6.2.json").read_text(encoding="utf-8")
)
REFUSED: dict[str, Any] = {  # an argument of Transformer that is not at its default
    "transformer_task": "sequence-classification",
    "model_kwargs": {"torch_dtype": "float16"},
    "processing_kwargs": {"text": {}},
    "backend": "onnx",
    "modality_config": {"image": {}},
    "module_output_name": "sentence_embedding",
    "unpad_inputs": True,
    "query_length": 32,
    "document_length": 180,
    "query_expansion": {"token": "[MASK]"},
}
ELSEWHERE = {"StaticEmbedding": {"kwargs"}}  # base_model, for the incumbent's own card


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("kind", SIGNATURES)
def test_no_argument_is_forgotten(kind: str) -> None:
    ours = inspect.signature(getattr(models, kind)).parameters
    refused = REFUSED.keys() if kind == "Transformer" else ELSEWHERE.get(kind, set())
    assert SIGNATURES[kind].keys() - ours.keys() == refused
    for name, default in SIGNATURES[kind].items():
        if name in ours and isinstance(default, bool | int | float):
            assert ours[name].default == default, name


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_transformer_does_not_have_is_refused_by_what_to_do_instead(name: str, encoder: Path) -> None:
    models.Transformer(encoder, **{name: SIGNATURES["Transformer"][name]})  # at its default
    with pytest.raises(ValueError, match=f"{name} is not supported by Transformer: "):
        models.Transformer(encoder, **{name: REFUSED[name]})
    with pytest.raises(TypeError, match="Transformer has no argument 'kettle'"):
        models.Transformer(encoder, kettle=True)


def test_older_spellings(encoder: Path, tmp_path: Path) -> None:
    older = models.Transformer(
        encoder,
        config_args={"hidden_act": "relu"},
        tokenizer_args={"model_max_length": 9},
        cache_dir=tmp_path,
    )
    assert older.settings == models.Transformer(encoder, config_kwargs={"hidden_act": "relu"}).settings
    assert older.max_seq_length == models.Transformer(encoder, processor_kwargs={"model_max_length": 9}).max_seq_length
    assert older.max_seq_length == 9
    assert older.config["hidden_act"] == "relu"
    assert models.CNN(in_word_embedding_dimension=7).in_embedding_dimension == 7
    assert models.LSTM(word_embedding_dimension=7, hidden_dim=3).embedding_dimension == 7
    assert models.WeightedLayerPooling(word_embedding_dimension=7).embedding_dimension == 7
    np.testing.assert_array_equal(models.WeightedLayerPooling(7).arrays["layer_weights"], np.ones(9))
