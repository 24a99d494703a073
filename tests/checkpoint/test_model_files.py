"""Which files of a repository are fetched, and what is missing from a folder, for every kind of model."""

import json
from pathlib import Path

import pytest

from likewise.checkpoint.locate import Location, locate
from tests.checkpoint.hub_server import MODEL, OLD_MODEL, FakeHub, Repository, cached, model, rows

pytestmark = pytest.mark.usefixtures("apart")

WITH_DENSE = rows("Transformer", "1_Pooling", "2_Dense", "3_Normalize")


# Fetched


def test_a_repository_without_weights_is_no_model(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model("modules.json", "config.json", "flax_model.msgpack")
    with pytest.raises(FileNotFoundError, match="someone/encoder: FileNotFoundError: there are no weights in it"):
        locate("someone/encoder")


def test_nothing_superfluous_is_fetched(hub: FakeHub) -> None:
    others = (
        *("pytorch_model.bin", "model.fp16.safetensors", "consolidated.00.safetensors", "flax_model.msgpack"),
        *("tf_model.h5", "rust_model.ot", "model.gguf", "training_args.bin", "optimizer.pt", "trainer_state.json"),
        *("eval_results.json", "data_config.json", "requirements.txt", "pytorch_model.bin.index.json"),
        *("onnx/model.onnx", "onnx/config.json", "openvino/openvino_model.xml", "checkpoint-500/model.safetensors"),
        *("checkpoint-500/config.json", "2_Dense_512/model.safetensors", "eval/results.csv", "picture.png"),
    )
    of_the_model = (*MODEL, "vocab.txt", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors")
    hub.repositories["someone/encoder"] = model(*of_the_model, *others, modules=WITH_DENSE)
    locate("someone/encoder")
    assert hub.downloaded() == sorted([*of_the_model, "modules.json"])


STATIC = ("tokenizer.json", "model.safetensors")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
LAYOUTS: dict[str, tuple[Repository, tuple[str, ...]]] = {  # what each kind of model needs; what else may lie there
    "old weights": (model(*OLD_MODEL, modules=rows("Transformer")), ("flax_model.msgpack",)),
    "old weights of one module": (
        model(*MODEL, "2_Dense/config.json", "2_Dense/pytorch_model.bin", modules=rows("Transformer", "2_Dense")),
        ("pytorch_model.bin",),
    ),
    "version 0": (model(*(f"0_BERT/{name}" for name in OLD_MODEL), modules=rows("0_BERT")), ("pytorch_model.bin",)),
    "sentencepiece": (model("sentencepiece.bpe.model", *MODEL, modules=rows("Transformer")), ("flax_model.msgpack",)),
    "language model": (
        model("chat_template.jinja", "1_LogitScore/config.json", *MODEL, modules=rows("Transformer", "1_LogitScore")),
        ("pytorch_model.bin",),
    ),
    "static": (model(*(f"0_StaticEmbedding/{name}" for name in STATIC), modules=rows("0_StaticEmbedding")), STATIC[1:]),
    "static in the root": (model(*STATIC, modules=rows("StaticEmbedding")), ("pytorch_model.bin",)),
    "model2vec": (
        model("config.json", *STATIC, modules=[{"path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]),
        ("pytorch_model.bin",),
    ),
    "model2vec without modules": (model("config.json", *STATIC), ("onnx/tokenizer.json", "onnx/model.onnx")),
    "words": (
        model(
            "0_WordEmbeddings/wordembedding_config.json",
            "0_WordEmbeddings/whitespacetokenizer_config.json",
            "0_WordEmbeddings/pytorch_model.bin",
            "1_Pooling/config.json",
            modules=rows("0_WordEmbeddings", "1_Pooling"),
        ),
        ("pytorch_model.bin",),
    ),
    "router": (
        model(
            *(f"query_0_StaticEmbedding/{name}" for name in STATIC),
            *(f"document_0_Transformer/{name}" for name in MODEL),
            modules=rows("Router"),
            router_config={
                "types": {"query_0_StaticEmbedding": "a.StaticEmbedding", "document_0_Transformer": "a.Transformer"}
            },
        ),
        ("old_0_Transformer/model.safetensors", "document_0_Transformer/pytorch_model.bin"),
    ),
    "asym": (
        model(
            *MODEL,
            "1_Asym/7_Dense/config.json",
            "1_Asym/7_Dense/pytorch_model.bin",
            modules=rows("Transformer", "1_Asym"),
            **{"1_Asym/config": {"types": {"7_Dense": "sentence_transformers.models.Dense.Dense"}}},
        ),
        ("1_Asym/8_Dense/pytorch_model.bin",),
    ),
    "shards": (
        model(
            *("config.json", "tokenizer.json", *SHARDS),
            **{"model.safetensors.index": {"weight_map": dict.fromkeys("ab", SHARDS[0]) | {"c": SHARDS[1]}}},
        ),
        ("pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json", "consolidated.safetensors"),
    ),
    "adapter": (
        model("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", modules=rows("Transformer")),
        ("adapter_model.bin",),
    ),
}


def test_a_model_is_not_taken_as_plain_because_its_modules_could_not_be_fetched(hub: FakeHub) -> None:
    files = (*MODEL, "1_Pooling/config.json")
    repository = hub.repositories["someone/encoder"] = model(*files, modules=rows("Transformer", "1_Pooling"))
    repository.failing = "modules.json"
    with pytest.raises(FileNotFoundError, match="someone/encoder: "):
        locate("someone/encoder")
    repository.failing = None
    assert (locate("someone/encoder").folder / "1_Pooling" / "config.json").is_file()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_kind_of_model_is_fetched_whole_and_then_cached(layout: str, hub: FakeHub) -> None:
    needed, others = LAYOUTS[layout]
    hub.repositories["someone/model"] = Repository(needed.files | dict.fromkeys(others, b"{}"))
    fetched = locate("someone/model")
    assert hub.downloaded() == sorted(needed.files)
    requests = len(hub.requests)
    assert locate("someone/model") == Location(fetched.folder, "Hugging Face cache (someone/model)")
    assert len(hub.requests) == requests


# Missing


PARTS: dict[str, tuple[tuple[str, ...], str]] = {  # what is there of a model with a Dense → what the error names
    "nothing but settings": ((), "config.json, tokenizer.json, model.safetensors, 1_Pooling/config.json, 2_Dense/"),
    "no weights": (("config.json", "tokenizer.json"), "without model.safetensors, 1_Pooling/config.json"),
    "no folder of a module": ((*MODEL, "1_Pooling/config.json"), "without 2_Dense/config.json, 2_Dense/model.saf"),
    "no weights of a module": ((*MODEL, "1_Pooling/config.json", "2_Dense/config.json"), "without 2_Dense/model.saf"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_model_is_completed_or_what_it_lacks_is_named(part: str, cache: Path, hub: FakeHub) -> None:
    files, named = PARTS[part]
    snapshot = cached(cache, "someone/encoder", files)
    (snapshot / "modules.json").write_text(json.dumps(WITH_DENSE), encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=f"only a part of it is in {snapshot}, without ") as found:
        locate("someone/encoder", local_files_only=True)
    assert named in str(found.value)
    assert hub.requests == []
    whole = (*MODEL, "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors")
    hub.repositories["someone/encoder"] = model(*whole, modules=WITH_DENSE)
    assert locate("someone/encoder") == Location(snapshot, "Hugging Face Hub (someone/encoder)")
    assert all((snapshot / file).is_file() for file in whole)
    assert locate("someone/encoder").origin == "Hugging Face cache (someone/encoder)"


def test_a_missing_shard_is_named(cache: Path) -> None:
    files = ("config.json", "tokenizer.json", "model-00001-of-00002.safetensors")
    snapshot = cached(cache, "someone/encoder", files, absent="modules.json")
    weight_map = {"first": "model-00001-of-00002.safetensors", "second": "model-00002-of-00002.safetensors"}
    index = snapshot / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"without model-00002-of-00002[.]safetensors\n"):
        locate("someone/encoder", local_files_only=True)


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[" * 100_000, "{}", "7", "[7]", '[{"type": 7}]', '[{"type": "x.Dense", "path": 7}]',
     '[{"type": "x.Dense", "path": "../.."}]', '[{"type": "x.Dense", "path": "/etc"}]'],
)  # fmt: skip
def test_a_damaged_modules_file_is_left_to_its_reader(damaged: str, cache: Path) -> None:
    snapshot = cached(cache, "someone/encoder")
    (snapshot / "modules.json").write_text(damaged, encoding="utf-8")
    assert locate("someone/encoder", local_files_only=True).folder == snapshot


@pytest.mark.parametrize(
    "types", [7, {".": "x.Router"}, {"..": "x.Router"}, {"": "x.Router"}, {"/": "x.Dense"}, {"a": 7}]
)
def test_a_router_that_holds_itself_is_left_to_its_reader(types: object, cache: Path) -> None:
    snapshot = cached(cache, "someone/encoder")
    (snapshot / "modules.json").write_text(json.dumps(rows("Router")), encoding="utf-8")
    (snapshot / "router_config.json").write_text(json.dumps({"types": types}), encoding="utf-8")
    assert locate("someone/encoder", local_files_only=True).folder == snapshot
