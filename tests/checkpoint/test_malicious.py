"""What a malicious or mismatched model is told, word for word; none of them runs code, hangs or takes much memory."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from likewise import SentenceTransformer
from likewise.checkpoint.adapter import merged
from likewise.checkpoint.arrays import NamedArrays
from tests.checkpoint.damages import (
    ChangeArray,
    Content,
    Damage,
    Damaged,
    HeaderLength,
    RemoveKey,
    RenameKey,
    SetValue,
    Truncate,
    pickles,
)
from tests.checkpoint.saved_models import TEXTS, Files, saved_model
from tests.checkpoint.watched import load, write

WEIGHT = "encoder.layer.0.output.dense.weight"
POST_PROCESSOR = ("post_processor", "special_tokens", "[SEP]")
KINDS = "Transformer, Pooling, Dense, LayerNorm, Dropout, Normalize, StaticEmbedding, Router, WeightedLayerPooling, "
KINDS += "WordEmbeddings, WordWeights, BoW, CNN, LSTM"
NO_CODE = "is none of sentence-transformers' own; a model never runs code of its own here"
SMALLER = "but the arrays are those of a smaller model"
ACTIVATIONS = "ELU, GELU, Identity, LeakyReLU, Mish, ReLU, SELU, SiLU, Sigmoid, Tanh, gelu, gelu_python, mish, relu, "
ACTIVATIONS += "silu, swish, tanh"
NO_TENSORS = "model.safetensors is not a whole safetensors file: Error while deserializing header:"

CASES: dict[str, tuple[str, Damage, str]] = {  # what is wrong → the model, what is done to it, what it is told
    "an absolute path": (
        "bert",
        SetValue("modules.json", (1, "path"), "/etc"),
        "modules.json: the module path '/etc' leads out of the model's folder",
    ),
    "a path that leads out": (
        "bert",
        SetValue("modules.json", (1, "path"), "1_Pooling/../../other"),
        "modules.json: the module path '1_Pooling/../../other' leads out of the model's folder",
    ),
    "a Windows path": (
        "bert",
        SetValue("modules.json", (1, "path"), "C:\\models"),
        "modules.json: the module path 'C:\\\\models' leads out of the model's folder",
    ),
    "a path that cannot be": (
        "bert",
        SetValue("modules.json", (1, "path"), "a\0b"),
        "modules.json: the module path 'a\\x00b' is no path",
    ),
    "half a character in a prompt": (
        "bert",
        SetValue("config_sentence_transformers.json", ("prompts", "query"), "\ud800"),
        "config_sentence_transformers.json: prompts in config_sentence_transformers.json hold half of a character, "
        "which has no UTF-8 form: {'query': '\\ud800', 'document': ''}",
    ),
    "a custom class": (
        "bert",
        SetValue("modules.json", (1, "type"), "my_code.MyPooling"),
        f"modules.json: the module type 'my_code.MyPooling' {NO_CODE}",
    ),
    "a module of another kind of model": (
        "bert",
        SetValue("modules.json", (1, "type"), "sentence_transformers.models.CLIPModel"),
        f"1_Pooling: modules.json names a module 'CLIPModel', which is not supported; supported are {KINDS}",
    ),
    "a function for an activation": (
        "bert",
        SetValue("2_Dense/config.json", ("activation_function",), "os.system"),
        f"2_Dense/model.safetensors: the activation function 'os.system' is not known; known are {ACTIVATIONS}",
    ),
    "an encoder's array of another shape": (
        "bert",
        ChangeArray("model.safetensors", WEIGHT, "transposed"),
        "model.safetensors: the array layers.0.contract.weight has the shape (48, 32), but config.json means (32, 48)",
    ),
    "a head's array that is missing": (
        "bert",
        ChangeArray("2_Dense/model.safetensors", "linear.weight", None),
        "2_Dense/model.safetensors lacks 1 of the arrays the model needs, such as linear.weight",
    ),
    "half a file of weights": (
        "bert",
        Truncate("model.safetensors", 0.5),
        f"{NO_TENSORS} incomplete metadata, file not fully covered; fetch it again",
    ),
    "a header longer than any file": (
        "bert",
        HeaderLength("model.safetensors", 2**63),
        f"{NO_TENSORS} header too large; fetch it again",
    ),
    "a billion layers": (
        "bert",
        SetValue("config.json", ("num_hidden_layers",), 10**9),
        "config.json: num_hidden_layers must be a whole number from 0 to 1,000, not 1000000000",
    ),
    "hundreds of layers": (
        "bert",
        SetValue("config.json", ("num_hidden_layers",), 900),
        "model.safetensors lacks 10776 of the arrays the model needs, such as layers.10.attention_norm.bias",
    ),
    "a billion tokens": (
        "bert",
        SetValue("config.json", ("vocab_size",), 10**9),
        "config.json: vocab_size must be a whole number from 1 to 10,000,000, not 1000000000",
    ),
    "a billion dimensions": (
        "bert",
        SetValue("2_Dense/config.json", ("out_features",), 10**9),
        "2_Dense/model.safetensors: the array linear.weight has the shape (16, 64), but config.json means "
        "(1000000000, 64)",
    ),
    "a token beyond the table": (
        "bert",
        SetValue("tokenizer.json", ("model", "vocab", "the"), 5000),
        ": the tokenizer gives the token 5000, but the model has 122 tokens",
    ),
    "a tokenizer that panics": (
        "bert",
        RemoveKey("tokenizer.json", POST_PROCESSOR),
        "tokenizer.json makes no tokenizer: the tokenizer fails: 'no entry found for key'; fetch it again",
    ),
    "a module without a type": (
        "bert",
        RenameKey("modules.json", (4, "type"), "kind"),
        "modules.json: a module needs a 'type' and a 'path', but one is {'idx': 4, 'name': '4', "
        "'path': '4_Dropout', 'kind': 'sentence_transformers.m...",
    ),
    "a billion groups of layers": (
        "albert",
        SetValue("config.json", ("num_hidden_groups",), 10**9),
        f"model.safetensors: config.json means num_hidden_groups=1000000000, {SMALLER}",
    ),
    "heads that cannot be": (
        "albert",
        SetValue("config.json", ("num_attention_heads",), -1),
        "config.json describes a albert that computes nothing: "
        "RuntimeError: 'invalid shape dimension -16 at index 3 of shape [1, 1, -1, -16]'",
    ),
    "a billion dimensions inside": (
        "albert",
        SetValue("config.json", ("intermediate_size",), 10**9),
        f"model.safetensors: config.json means intermediate_size=1000000000, {SMALLER}",
    ),
    "a shard elsewhere": (
        "sharded",
        SetValue("model.safetensors.index.json", ("weight_map", WEIGHT), "../../secret.safetensors"),
        "model.safetensors.index.json: '../../secret.safetensors' is no name of a file beside it",
    ),
    "a custom class in a Router": (
        "router",
        SetValue("0_Asym/router_config.json", ("types", "query_0_StaticEmbedding"), "my_code.Table"),
        f"0_Asym/router_config.json: the module type 'my_code.Table' {NO_CODE}",
    ),
    "a Router's module elsewhere": (
        "router",
        RenameKey("0_Asym/router_config.json", ("types", "query_0_StaticEmbedding"), "../../secret"),
        "0_Asym/router_config.json: the module folder '../../secret' is no plain name",
    ),
    "a Router in a Router": (
        "router",
        SetValue(
            "0_Asym/router_config.json",
            ("types", "query_0_StaticEmbedding"),
            "sentence_transformers.models.Router",
        ),
        "0_Asym/router_config.json: a Router within a Router is not supported",
    ),
    "JSON without end": (
        "router",
        Content("0_Asym/router_config.json", "brackets", b"[" * 10**6),
        "0_Asym/router_config.json is not valid JSON: maximum recursion depth exceeded while decoding a JSON array "
        "from a unicode string; it may be damaged, fetch it again",
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    names = ("bert", "distilbert", "sharded", "albert", "router")
    return {name: saved_model(name, tmp_path_factory.mktemp("saved")) for name in names}


def told(files: Files, folder: Path, *wrong: Damage) -> str:
    """What loading the model in ``files`` says once they are damaged; ``watched.load`` checks what it does."""
    damaged: Damaged = dict(files)
    for damage in wrong:
        damage.apply(damaged)
    write(folder, damaged)
    message = load(folder)
    assert isinstance(message, str), "it loads"
    return message


@pytest.mark.parametrize("what", CASES)
def test_what_is_wrong_is_told(what: str, saved: dict[str, Files], tmp_path: Path) -> None:
    name, damage, message = CASES[what]
    separator = "" if message.startswith(":") else "/"
    assert told(saved[name], tmp_path / "model", damage) == f"{tmp_path / 'model'}{separator}{message}"


def test_no_pickle_runs_code(saved: dict[str, Files], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    files = saved["distilbert"]
    malicious = {
        what: content for what, content in pickles(marker, files["pytorch_model.bin"]).items() if " with " in what
    }
    assert len(malicious) > 20
    for what, content in malicious.items():
        message = told(files, tmp_path / "model", Content("pytorch_model.bin", what, content))
        expected = f"{tmp_path}/model/pytorch_model.bin holds no plain weights (NAME); nothing in it was run"
        assert message in [expected.replace("NAME", name) for name in ("UnpicklingError", "ValueError")], what
        assert not marker.exists(), what


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("a zip that is a bomb", " holds no plain weights (ValueError); nothing in it was run"),
        (
            "an expanded weight",
            ": the array 'embeddings.LayerNorm.bias' is no plain one: its values are not all there",
        ),
        (
            "a sparse weight",
            ": the array 'embeddings.LayerNorm.bias' is no plain one: its values are not all there",
        ),
        (
            "a weight without data",
            ": the array 'embeddings.LayerNorm.bias' is no plain one: its values are not all there",
        ),
        ("another number", " must hold named tensors, but holds a int"),
    ],
)
def test_weights_that_would_unfold_are_refused(
    what: str, message: str, saved: dict[str, Files], tmp_path: Path
) -> None:
    files = saved["distilbert"]
    content = pickles(tmp_path / "marker", files["pytorch_model.bin"])[what]
    found = told(files, tmp_path / "model", Content("pytorch_model.bin", what, content))
    assert found == f"{tmp_path}/model/pytorch_model.bin{message}"


def test_a_router_that_holds_itself_is_refused(saved: dict[str, Files], tmp_path: Path) -> None:
    write(tmp_path / "model", dict(saved["router"]))
    router = tmp_path / "model" / "0_Asym"
    for name in ("one", "two"):  # 2⁴⁰ Routers, would it follow them
        (router / name).symlink_to(router)
    kind = "sentence_transformers.models.Router"
    settings = {"types": {"one": kind, "two": kind}, "structure": {"query": ["one"], "document": ["two"]}}
    (router / "router_config.json").write_text(json.dumps(settings))
    assert load(tmp_path / "model") == f"{router}/router_config.json: a Router within a Router is not supported"


def test_of_a_key_that_is_there_twice_the_last_counts(saved: dict[str, Files], tmp_path: Path) -> None:
    """As in Transformers and the incumbent."""
    write(tmp_path / "model", dict(saved["bert"]))
    (tmp_path / "model" / "config_sentence_transformers.json").write_text('{"truncate_dim": 4, "truncate_dim": 7}')
    assert SentenceTransformer(tmp_path / "model", device="cpu").encode(TEXTS).shape == (3, 7)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|aa)*", ".*.*.*", "a{9}{9}{9}"])
def test_a_pattern_that_matches_for_ever_is_refused(pattern: str, tmp_path: Path) -> None:
    low = {f"base_model.model.{'a' * 60}.lora_{part}.weight": np.ones((2, 2), np.float32) for part in "AB"}
    save_file(low, tmp_path / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "base_model_name_or_path": "x", "alpha_pattern": {pattern: 1}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    base = NamedArrays.of({f"{'a' * 60}.weight": np.ones((2, 2), np.float32)}, tmp_path)
    with pytest.raises(ValueError, match=r"adapter_config\.json: alpha_pattern .* is too intricate"):
        merged(base, tmp_path, "bert")
