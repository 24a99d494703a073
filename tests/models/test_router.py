"""A Router: which modules a text takes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise import SentenceTransformer, models
from tests.models.made import TEXTS, dense, made
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_queries_and_documents_take_routes_of_their_own(encoder: Path) -> None:
    model = made("router", encoder)
    queries = SentenceTransformer(modules=[model._modules[0].routes["query"][0], models.Normalize()])  # type: ignore[union-attr]
    documents = SentenceTransformer(
        modules=[*model._modules[0].routes["document"], models.Normalize()],  # type: ignore[union-attr]
        dtype="float32",
        device="cpu",
    )
    np.testing.assert_array_equal(model.encode_query(TEXTS), queries.encode(TEXTS))
    np.testing.assert_array_equal(model.encode_document(TEXTS), documents.encode(TEXTS))
    np.testing.assert_array_equal(model.encode(TEXTS), documents.encode(TEXTS))  # the default route
    np.testing.assert_array_equal(model.encode(TEXTS, task="query"), queries.encode(TEXTS))
    np.testing.assert_array_equal(model.encode([{"query": text} for text in TEXTS]), queries.encode(TEXTS))  # type: ignore[misc]
    np.testing.assert_array_equal(model.encode({"query": TEXTS[0]}), queries.encode(TEXTS[0]))
    assert model.max_seq_length == float("inf")  # the longest of its routes
    assert model.description.routes == ("query", "document")


def test_routes_share_what_stands_before_them(encoder: Path) -> None:
    model = made("asym", encoder)
    encoders = {id(network.encoder) for network in model.network.routes.values()}  # type: ignore[operator]
    assert len(encoders) == 1
    names = [name for name, _ in model.network.named_parameters()]
    assert len(names) == len(set(names))
    assert sum("embeddings.tokens" in name for name in names) == 1


def test_a_model_without_routes_takes_every_task_alike(encoder: Path) -> None:
    model = SentenceTransformer(encoder, dtype="float32", device="cpu")
    np.testing.assert_array_equal(model.encode(TEXTS, task="query"), model.encode(TEXTS))


@pytest.mark.parametrize(
    ("mappings", "task", "route"),
    [
        ({("q", "text"): "query", ("q", None): "doc"}, "q", "query"),
        ({("q", None): "query", (None, "text"): "doc"}, "q", "query"),
        ({(None, "text"): "doc", (None, None): "query"}, "q", "doc"),
        ({(None, None): "query"}, None, "query"),
        ({("q", "image"): "query"}, "doc", "doc"),
        ({}, None, "query"),
        ({}, "doc", "doc"),
    ],
)
def test_the_most_exact_mapping_wins(mappings: Any, task: str | None, route: str) -> None:
    router = models.Router({"query": [dense(4, 4)], "doc": [dense(4, 4)]}, route_mappings=mappings)
    assert router.route_for(task) == route


def test_a_task_without_a_route_is_told(encoder: Path) -> None:
    model = made("asym", encoder)
    with pytest.raises(ValueError, match="no route for task='document'; give task= one of 'query', 'doc'"):
        model.encode_document(TEXTS)
    with pytest.raises(ValueError, match="no route for task=None"):  # allow_empty_key is off
        model.encode(TEXTS)
    with pytest.raises(ValueError, match=r"texts of one task can be encoded together, not of \['doc', 'query'\]"):
        model.encode([{"query": "tea"}, {"doc": "tea"}])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="texts of one task"):
        model.encode([{"query": "tea"}], task="doc")  # type: ignore[list-item]


def test_routers_that_make_no_model_are_told(encoder: Path) -> None:
    with pytest.raises(ValueError, match="needs at least one route"):
        models.Router({})
    with pytest.raises(ValueError, match="the route 'kettle' is none of 'query'"):
        models.Router({"query": [dense(4, 4)]}, default_route="kettle")
    head: list[models.Module] = [models.Transformer(encoder), models.Pooling(32)]
    with pytest.raises(ValueError, match=r"vectors of one width, not of \[4, 8\]"):
        models.routes_of([*head, models.Router({"a": [dense(32, 4)], "b": [dense(32, 8)]})])
    with pytest.raises(ValueError, match="one Router at most, not 2"):
        models.routes_of([*head, models.Router({"a": [dense(32, 32)]}), models.Router({"a": [dense(32, 32)]})])


def test_the_older_layout_has_a_file_for_versions_before_5(encoder: Path, tmp_path: Path) -> None:
    made("router", encoder).save_pretrained(tmp_path / "saved")
    rows = json.loads((tmp_path / "saved" / "modules.json").read_text(encoding="utf-8"))
    assert [(row["path"], row["type"]) for row in rows] == [
        ("0_Asym", "sentence_transformers.models.Asym"),
        ("1_Normalize", "sentence_transformers.models.Normalize"),
    ]
    older, newer = (
        json.loads((tmp_path / "saved" / "0_Asym" / name).read_text(encoding="utf-8"))
        for name in ("config.json", "router_config.json")
    )
    assert (
        older["structure"]
        == newer["structure"]
        == {
            "query": ["query_0_StaticEmbedding"],
            "document": ["document_0_Transformer", "document_1_Pooling", "document_2_Dense"],
        }
    )
    assert older["parameters"] == {"allow_empty_key": True}
    assert newer["parameters"] == {"default_route": "document", "allow_empty_key": True}
    assert older["types"]["document_2_Dense"] == "sentence_transformers.models.Dense"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"structure": None}, "'structure' must hold the modules of each route"),
        ({"structure": {"query": []}}, "'structure' must hold the modules of each route"),
        ({"structure": {"query": ["kettle"]}}, "names the module 'kettle', which 'types' does not"),
        ({"types": None}, "must hold 'types'"),
        ({"types": {"../other": "sentence_transformers.models.Dense"}}, "'../other' is no plain name"),
        ({"types": {".": "sentence_transformers.models.Router"}}, "'.' is no plain name"),
        ({"types": {"query_0_Dense": "os.system"}}, "never runs code of its own here"),
        ({"parameters": 7}, "'parameters' must be an object"),
        (
            {"parameters": {"route_mappings": {"exit()": "query"}}},
            "must be a task and a kind of input",
        ),
        ({"parameters": {"default_route": "kettle"}}, "the route 'kettle' is none of"),
    ],
)
def test_damaged_settings_of_a_router_are_told(
    changes: dict[str, Any], words: str, encoder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    made("asym", encoder).save_pretrained(folder, layout="6")
    file = folder / "2_Router" / "router_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    with pytest.raises(ValueError, match=words) as found:
        SentenceTransformer(folder)
    assert "2_Router" in str(found.value)
