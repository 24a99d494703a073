"""A model and an index inside LlamaIndex."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise.passages import Passage
from likewise.search import Index
from tests.search.word_hashes import WordHashes

pytest.importorskip("lancedb", reason="an index needs the package lancedb")
pytest.importorskip("llama_index.core", reason="the adapter for LlamaIndex needs the package llama-index-core")

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from likewise.adapters.llama_index import LikewiseEmbedding, LikewiseRetriever

BOAT, TEA = "Only members may use the boat.", "The kettle makes the tea."


def test_vectors_are_those_of_the_model() -> None:
    model = WordHashes()
    embedding = LikewiseEmbedding(model)
    texts, query = model.encode_document([BOAT, TEA]).tolist(), model.encode_query([BOAT])[0].tolist()
    assert embedding.model_name == model.name
    assert embedding.get_text_embedding_batch([BOAT, TEA]) == texts
    assert embedding.get_text_embedding(TEA) == texts[1]
    assert embedding.get_query_embedding(BOAT) == query
    assert asyncio.run(embedding.aget_query_embedding(BOAT)) == query
    assert asyncio.run(embedding.aget_text_embedding_batch([BOAT, TEA])) == texts


def test_texts_are_handed_over_together() -> None:
    sizes = []

    class Counted(WordHashes):
        def encode_document(self, inputs: Iterable[str]) -> NDArray[np.float32]:
            vectors = super().encode_document(inputs)
            sizes.append(len(vectors))
            return vectors

    LikewiseEmbedding(Counted()).get_text_embedding_batch([f"tea {number}" for number in range(2049)])
    assert sizes == [2048, 1]


def test_an_index_of_its_own_is_made_with_the_model() -> None:
    nodes = [TextNode(text=text) for text in (BOAT, TEA)]
    index = VectorStoreIndex(nodes, embed_model=LikewiseEmbedding(WordHashes()))
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("the kettle makes the tea")
    assert found.text == TEA


def test_a_retriever_gives_what_the_index_finds(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "my.index", WordHashes())
    index.add([Passage(BOAT, "house.pdf", 3, "Rules", 2, {"year": 2020}), Passage(TEA, "kitchen.md", 1, "")])
    found = LikewiseRetriever(index).retrieve("who may use the boat")
    hits = index.search("who may use the boat", top_k=2)
    assert [(node.text, node.score) for node in found] == [(hit.text, hit.score) for hit in hits]
    assert found[0].metadata == {"source": "house.pdf", "line": 3, "page": 2, "heading": "Rules", "year": 2020}
    (late,) = LikewiseRetriever(index, 1, where="source LIKE 'k%'").retrieve("who may use the boat")
    assert late.text == TEA
