"""Every argument of sentence-transformers 6.2 is honoured, or refused by an error that says what to use instead."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import SentenceTransformer, models
from likewise.models.pooling import OLDER_POOLING_NAMES
from tests.tiny_checkpoints import tiny_encoder

SIGNATURES = json.loads((Path(__file__).parent / "signatures_6.2.json").read_text(encoding="utf-8"))
OLDER = SIGNATURES.pop("older spellings")  # method → older name → the name in its signature
TEXTS = ["The kettle boils.", "It was late.", "rain"]

HONOURED: dict[str, dict[str, list[Any]]] = {  # method → argument → values that are understood
    "__init__": {
        "device": [None, "cpu", torch.device("cpu")],
        "prompts": [None, {}, {"query": "question: "}],
        "default_prompt_name": [None, "document"],
        "cache_folder": [None, "models"],
        "trust_remote_code": [False],
        "revision": [None, "main"],
        "local_files_only": [False, True],
        "token": [None, False, "token"],
        "use_auth_token": [None, False, "token"],
        "model_kwargs": [None, {}, {"dtype": torch.bfloat16}, {"torch_dtype": "float32"}],
        "processor_kwargs": [None, {}, {"model_max_length": 20}],
        "tokenizer_kwargs": [None, {"model_max_length": 20}],
        "config_kwargs": [None, {}],
        "model_card_data": [None],
        "backend": ["torch"],
        "similarity_fn_name": [None, "dot", "cosine"],
        "truncate_dim": [None, 5],
    },
    "encode": {
        "prompt_name": [None, "query"],
        "prompt": [None, "", "question: "],
        "batch_size": [1, 32, np.int64(2)],
        "show_progress_bar": [None, False, True],
        "output_value": ["sentence_embedding", "token_embeddings"],
        "precision": ["float32", "int8", "uint8", "binary", "ubinary", None],
        "convert_to_numpy": [True, False],
        "convert_to_tensor": [False, True],
        "device": [None, "cpu", torch.device("cpu")],
        "normalize_embeddings": [False, True],
        "truncate_dim": [None, 5],
        "pool": [None],  # and others: tests/encoding/test_processes.py
        "chunk_size": [None, 100],
    },
}
REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {  # method → arguments, and what the error says to do
    "__init__": [
        ({"trust_remote_code": True}, "leave it out"),
        ({"backend": "onnx"}, "leave it out"),
        ({"backend": "openvino"}, "leave it out"),
        ({"model_card_data": object()}, "write README.md into the saved folder"),
        ({"config_kwargs": {"hidden_dropout_prob": 0.3}}, "change the model's config.json"),
        ({"model_kwargs": {"attn_implementation": "sdpa"}}, "attention is always packed"),
        ({"model_kwargs": {"device_map": "auto"}}, "give device= instead"),
        ({"model_kwargs": {"load_in_8bit": True}}, "give dtype="),
        ({"model_kwargs": {"file_name": "onnx/model.onnx"}}, "weights in model.safetensors"),
        ({"model_kwargs": {"kettle": 1}}, "only dtype, torch_dtype is"),
        ({"processor_kwargs": {"padding_side": "left"}}, "texts are never padded"),
        ({"processor_kwargs": {"max_length": 128}}, "give model_max_length"),
        ({"tokenizer_kwargs": {"max_length": 128}}, "give model_max_length"),
        ({"similarity_fn_name": "maxsim"}, "use one of cosine, dot, euclidean, manhattan"),
        ({"default_prompt_name": "kettle"}, "is none of 'document', 'query'"),
        ({"prompts": ["question: "]}, "must be texts by name"),
        ({"device": "kettle"}, "cannot be used here"),
    ],
    "encode": [
        ({"batch_size": 0}, "1 or more"),
        ({"batch_size": "32"}, "1 or more"),
        ({"truncate_dim": 0}, "1 or more"),
        ({"token_budget": 0}, "1 or more"),
        ({"prompt_name": "kettle"}, "it has query, document"),
        ({"prompt": 7}, "must be a text"),
        ({"output_value": None}, "use 'sentence_embedding' or 'token_embeddings'"),
        ({"output_value": "words"}, "use 'sentence_embedding' or 'token_embeddings'"),
        ({"precision": "float16"}, "use one of 'float32', 'int8', 'uint8', 'binary', 'ubinary'"),
        ({"pool": {"processes": []}}, "must be what model.start_multi_process_pool"),
        ({"chunk_size": 0}, "1 or more"),
        ({"device": []}, "must be a list of one or more"),
        ({"device": "kettle"}, "cannot be used here"),
        ({"processing_kwargs": {"text": {"max_length": 128}}}, "set model.max_seq_length"),
    ],
}
ENCODERS = ("encode", "encode_query", "encode_document")
for method in ENCODERS[1:]:
    HONOURED[method], REFUSED[method] = HONOURED["encode"], REFUSED["encode"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


def call(method: str, folder: Path, arguments: dict[str, Any]) -> Any:
    """Make a model and encode texts, with ``arguments`` given to ``method``."""
    if method == "__init__":
        return SentenceTransformer(folder, **arguments).encode(TEXTS)
    return getattr(SentenceTransformer(folder, device="cpu"), method)(TEXTS, **arguments)


@pytest.mark.parametrize("method", SIGNATURES)
def test_no_argument_is_forgotten(method: str) -> None:
    given_first = {"model_name_or_path", "modules", "inputs", "sentences", "kwargs"}  # tested by themselves
    names = {*SIGNATURES[method], *OLDER[method]} - given_first
    assert names == HONOURED[method].keys()
    refused = {name for arguments, _ in REFUSED[method] for name in arguments}
    assert refused <= names | {"processing_kwargs", "token_budget", "task"}  # kwargs, and ours


@pytest.mark.parametrize("method", SIGNATURES)
def test_the_defaults_are_the_same(method: str) -> None:
    ours = inspect.signature(getattr(SentenceTransformer, method)).parameters
    theirs = {name: default for name, default in SIGNATURES[method].items() if default != "<required>"}
    if method == "encode":
        assert theirs.pop("batch_size") == 32  # here the token budget cuts
    for name, default in theirs.items():
        if name in ours:
            assert ours[name].default == default, name
        else:  # encode_query and encode_document hand on to encode
            assert "arguments" in ours, name


def test_arguments_have_the_same_order() -> None:
    for method in ENCODERS:
        ours = list(inspect.signature(getattr(SentenceTransformer, method)).parameters)[1:]  # without self
        theirs = [name for name in SIGNATURES[method] if name != "kwargs"]
        places = min(len(theirs), ours.index("arguments") if "arguments" in ours else len(theirs))
        assert ours[:places] == theirs[:places]


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [(method, name, value) for method in SIGNATURES for name in HONOURED[method] for value in HONOURED[method][name]],
)
def test_an_argument_is_honoured(method: str, name: str, value: Any, folder: Path) -> None:
    assert len(call(method, folder, {name: value})) == len(TEXTS)


@pytest.mark.parametrize(
    ("method", "arguments", "advice"),
    [(method, arguments, advice) for method in SIGNATURES for arguments, advice in REFUSED[method]],
)
def test_an_argument_is_refused_by_what_to_do_instead(
    method: str, arguments: dict[str, Any], advice: str, folder: Path
) -> None:
    with pytest.raises(ValueError, match=advice):
        call(method, folder, arguments)


@pytest.mark.parametrize("method", ENCODERS)
def test_older_spellings_of_encode(method: str, folder: Path) -> None:
    encode = getattr(SentenceTransformer(folder, dtype="float32", device="cpu"), method)
    np.testing.assert_array_equal(encode(sentences=TEXTS), encode(inputs=TEXTS))
    with pytest.raises(TypeError, match="sentences is the older name of inputs"):
        encode(TEXTS, sentences=TEXTS)


def test_older_spellings_of_the_constructor(folder: Path) -> None:
    older, newer = {"tokenizer_kwargs": {"model_max_length": 20}}, {"processor_kwargs": {"model_max_length": 20}}
    assert SentenceTransformer(folder, **older).max_seq_length == 20  # type: ignore[arg-type]
    assert SentenceTransformer(folder, **newer).max_seq_length == 20  # type: ignore[arg-type]


def test_an_argument_that_nobody_has_is_named(folder: Path) -> None:
    model = SentenceTransformer(folder, device="cpu")
    for encode in (model.encode, model.encode_query, model.encode_document):
        with pytest.raises(TypeError, match="encode has no argument 'batchsize'"):
            encode(TEXTS, batchsize=3)


def test_older_spellings_of_the_pooling() -> None:
    for older, mode in OLDER_POOLING_NAMES.items():
        arguments: dict[str, Any] = {"word_embedding_dimension": 32, older: True}
        pooling = models.Pooling(**arguments)
        assert (pooling.modes, pooling.embedding_dimension) == ((mode,), 32)
    assert models.Pooling(32).modes == models.Pooling(32, pooling_mode_mean_tokens=True).modes == ("mean",)
    assert models.Pooling(32, pooling_mode_mean_tokens=True, pooling_mode_cls_token=True).modes == ("cls", "mean")
    with pytest.raises(TypeError, match="does not know pooling_mode_kettle"):
        models.Pooling(32, pooling_mode_kettle=True)
    with pytest.raises(ValueError, match="'kettle' is not known"):
        models.Pooling(32, "kettle")
    with pytest.raises(TypeError, match="needs embedding_dimension"):
        models.Pooling()
