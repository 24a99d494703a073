"""The export as a whole: what is written, what is refused, and that nothing is left when it fails."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

import likewise.export
from likewise import SentenceTransformer, models
from likewise.export import export_onnx
from likewise.export import graph as graphs
from likewise.export.encoders import ENCODERS
from tests.export.graphs import assert_close, exported, session
from tests.tiny_checkpoints import tiny_encoder

TEXTS = ["The kettle is boiling.", "tea", "", "the train was late in winter, and not a small river to be seen " * 9]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def model_of(encoder: Path, *others: Any, **settings: Any) -> SentenceTransformer:
    modules = [models.Transformer(encoder), *(others or [models.Pooling(32), models.Normalize()])]
    return SentenceTransformer(modules=modules, device="cpu", **settings)


def run(folder: Path, texts: list[str]) -> Any:
    """As docs/guides/export.md shows it: the folder is all that is needed."""
    encodings = Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(texts)
    feed = {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
    }
    return session(folder / "model.onnx").run(["sentence_embedding"], feed)[0]


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# What is written


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_the_folder_is_all_that_is_needed(model_type: str, tmp_path: Path) -> None:
    model = model_of(tiny_encoder(tmp_path / "model", model_type), dtype="float32")
    report = export_onnx(model, tmp_path / "out")
    assert report.path == tmp_path / "out" / "model.onnx"
    assert report.size == report.path.stat().st_size
    assert_close(run(tmp_path / "out", TEXTS), model.encode(TEXTS))


def test_a_shorter_limit_holds_in_the_folder_too(encoder: Path, tmp_path: Path) -> None:
    model = model_of(encoder, dtype="float32")
    model.max_seq_length = 9
    export_onnx(model, tmp_path / "out")
    assert_close(run(tmp_path / "out", TEXTS), model.encode(TEXTS))


def test_prompts_and_configuration_stand_beside_the_graph(encoder: Path, tmp_path: Path) -> None:
    export_onnx(model_of(encoder, prompts={"query": "find: "}), tmp_path / "out")
    assert {"config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"} <= set(left_in(tmp_path / "out"))
    settings = json.loads((tmp_path / "out" / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    assert settings["prompts"] == {"query": "find: ", "document": ""}
    assert settings["similarity_fn_name"] == "cosine"


def test_a_file_is_all_that_is_written_under_its_name(encoder: Path, tmp_path: Path) -> None:
    export_onnx(model_of(encoder), tmp_path / "new" / "small.onnx")
    assert left_in(tmp_path / "new") == ["small.onnx"]


def test_the_graph_is_valid_and_old_enough(encoder: Path, tmp_path: Path) -> None:
    export_onnx(model_of(encoder), tmp_path / "small.onnx")
    graph = onnx.load(tmp_path / "small.onnx")
    onnx.checker.check_model(graph, full_check=True)
    assert [(used.domain, used.version) for used in graph.opset_import] == [("", 17)]
    assert graph.ir_version == 8


def test_the_model_computes_as_before(encoder: Path, tmp_path: Path) -> None:
    model = model_of(encoder, dtype="bfloat16")
    before = model.encode(TEXTS)
    report = export_onnx(model, tmp_path / "small.onnx")
    assert report.difference < 1e-5  # to float32, not to bfloat16
    assert model.dtype == "bfloat16"
    np.testing.assert_array_equal(model.encode(TEXTS), before)


def test_weights_beyond_one_file_stand_in_a_second(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(encoder, dtype="float32")
    export_onnx(model, tmp_path / "one")
    monkeypatch.setattr(graphs, "LARGEST_FILE", 10_000)
    report = export_onnx(model, tmp_path / "two")
    assert (tmp_path / "two" / "model.onnx").stat().st_size < 40_000
    assert report.size > (tmp_path / "two" / "model.onnx.data").stat().st_size > 40_000
    np.testing.assert_array_equal(run(tmp_path / "two", TEXTS), run(tmp_path / "one", TEXTS))
    monkeypatch.undo()
    export_onnx(model, tmp_path / "two")
    assert not (tmp_path / "two" / "model.onnx.data").exists()  # no gigabytes of an older graph stay behind


def test_weights_beyond_one_file_need_a_folder(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(encoder)
    monkeypatch.setattr(graphs, "LARGEST_FILE", 10_000)
    with pytest.raises(ValueError, match=r"over 2 GB need a second file; give a folder instead of .*large\.onnx"):
        export_onnx(model, tmp_path / "large.onnx")


# Smaller weights


def test_float16_is_half_as_large_and_nearly_the_same(encoder: Path, tmp_path: Path) -> None:
    model = model_of(encoder)
    whole, half = export_onnx(model, tmp_path / "whole.onnx"), export_onnx(model, tmp_path / "half.onnx", "float16")
    assert half.cosine > 0.999
    assert tables_and_products(tmp_path / "half.onnx") == {"FLOAT16"}
    assert whole.cosine > 0.999999


def test_int8_stores_products_and_tokens_in_8_bits(encoder: Path, tmp_path: Path) -> None:
    report = export_onnx(model_of(encoder), tmp_path / "small.onnx", "int8")
    assert 0.95 < report.cosine < 0.99999
    assert tables_and_products(tmp_path / "small.onnx") == {"INT8"}


def test_int8_does_not_saturate_on_older_processors(encoder: Path, tmp_path: Path) -> None:
    export_onnx(model_of(encoder), tmp_path / "small.onnx", "int8")
    graph = onnx.load(tmp_path / "small.onnx").graph
    products = {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"}
    weights = [onnx.numpy_helper.to_array(array) for array in graph.initializer if array.name in products]
    assert len(weights) == 8  # 4 in each of 2 layers
    for weight in weights:
        assert 2 * 255 * np.abs(weight.astype(int)).max() < 2**15


def test_int8_gives_a_text_the_same_vector_in_any_batch(encoder: Path, tmp_path: Path) -> None:
    graph = exported([models.Transformer(encoder), models.Pooling(32)], tmp_path, "int8")
    texts = [[2, 7, 9, 30, 3], [2, 3], list(range(5, 60))]
    together = graph.theirs(texts)
    alone = np.concatenate([graph.theirs([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def tables_and_products(path: Path) -> set[str]:
    """The types in which the arrays of the graph that matter for its size are stored."""
    return {
        onnx.TensorProto.DataType.Name(array.data_type)
        for array in onnx.load(path).graph.initializer
        if array.name == "embeddings.tokens.weight" or (array.name.startswith("layers.") and len(array.dims) == 2)
    }


# What is refused


def refused(model: SentenceTransformer, path: Path, dtype: str = "float32") -> str:
    with pytest.raises((ValueError, OSError)) as refusal:
        export_onnx(model, path, dtype)
    assert not path.exists()
    return str(refusal.value)


def test_an_architecture_without_a_graph(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ENCODERS, "bert")
    message = refused(model_of(encoder), tmp_path / "out")
    assert message.startswith("the architecture 'bert' cannot be exported; those that can: camembert, distilbert, ")


def test_a_model_that_is_no_transformer(tmp_path: Path, encoder: Path) -> None:
    static = models.StaticEmbedding(models.Transformer(encoder).tokenizer, embedding_dim=8)
    message = refused(SentenceTransformer(modules=[static]), tmp_path / "out")
    assert message == "a model made of StaticEmbedding cannot be exported: only transformers can"


def test_a_router(encoder: Path, tmp_path: Path) -> None:
    route: list[models.Module] = [models.Transformer(encoder), models.Pooling(32)]
    router = models.Router({"query": route, "document": route})
    message = refused(SentenceTransformer(modules=[router]), tmp_path / "out")
    assert message == "a model with a Router cannot be exported: a graph has no routes"


def test_layers_that_look_at_neighbours(encoder: Path, tmp_path: Path) -> None:
    message = refused(model_of(encoder, models.LSTM(32, 8), models.Pooling(16)), tmp_path / "out")
    assert message == "a model with LSTM before the pooling cannot be exported"


def test_a_pooling_that_leaves_prompts_out(encoder: Path, tmp_path: Path) -> None:
    pooling = models.Pooling(32, include_prompt=False)
    message = refused(model_of(encoder, pooling, prompts={"query": "find: "}), tmp_path / "out")
    assert "leaves out the tokens of its prompts (query), and a graph is not told which these are" in message
    assert export_onnx(model_of(encoder, pooling), tmp_path / "out").difference < 1e-5  # without prompts it may be


def test_an_unknown_type_of_weights(encoder: Path, tmp_path: Path) -> None:
    message = refused(model_of(encoder), tmp_path / "out", "int4")
    assert message == "weights of a graph cannot be stored in 'int4'; use one of float32, float16, int8"


def test_the_folder_of_a_saved_model(encoder: Path, tmp_path: Path) -> None:
    model = model_of(encoder)
    model.save_pretrained(tmp_path / "model")
    before = left_in(tmp_path / "model")
    with pytest.raises(FileExistsError, match=r"holds a model already .*give another folder, such as .*model.onnx$"):
        export_onnx(model, tmp_path / "model")
    assert left_in(tmp_path / "model") == before
    export_onnx(model, tmp_path / "model" / "onnx")
    assert SentenceTransformer(str(tmp_path / "model")).encode("tea").shape == (32,)


# When it goes wrong


@pytest.mark.parametrize("name", ["out", "small.onnx"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_graph_that_differs_is_not_written(
    name: str, dtype: str, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_attention(graph: Any, settings: Any) -> str:
        return str(graph.rows("embeddings.tokens.weight", "input_ids"))

    monkeypatch.setitem(ENCODERS, "bert", without_attention)
    message = refused(model_of(encoder), tmp_path / name, dtype)
    assert f"the graph in {dtype} gives other vectors than the model" in message
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["out", "small.onnx"])
def test_an_interrupted_export_leaves_what_was_there(
    name: str, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(encoder)
    first = export_onnx(model, tmp_path / name)
    before = first.path.read_bytes()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(likewise.export, "agreement", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(model, tmp_path / name, "int8")
    assert left_in(tmp_path) == [name]
    assert first.path.read_bytes() == before


def test_a_graph_that_onnxruntime_does_not_load(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "IR_VERSION", 99)
    message = refused(model_of(encoder), tmp_path / "out")
    assert message.startswith(("onnxruntime ", "the graph is not valid ONNX"))
    assert left_in(tmp_path) == []


def test_a_missing_package_is_named(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"export to ONNX needs the package 'onnxruntime'; .*likewise\[onnx\]"):
        export_onnx(model_of(encoder), tmp_path / "out")


# The true model


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_true_minilm(dtype: str, minilm_folder: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(str(minilm_folder), dtype="float32")
    report = export_onnx(model, tmp_path / "out", dtype)
    vectors, expected = run(tmp_path / "out", TEXTS), model.encode(TEXTS)
    if dtype == "float32":
        assert_close(vectors, expected)
        assert report.difference < 1e-5
    else:
        assert (vectors * expected).sum(axis=1).min() > 0.95
        assert report.size < 25_000_000
