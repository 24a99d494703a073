"""For LlamaIndex: a model as its ``BaseEmbedding``, an index on disk as a retriever."""

from __future__ import annotations

import asyncio
from typing import Any

from likewise.adapters.metadata import metadata_of
from likewise.extras import extra
from likewise.search.index import EmbeddingModel, Index

with extra("llama-index", "The adapter for LlamaIndex"):
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from pydantic import PrivateAttr

AT_ONCE = 2048  # texts that LlamaIndex hands over: as many as it allows, for they are sorted and packed


class LikewiseEmbedding(BaseEmbedding):
    """A model as LlamaIndex's ``BaseEmbedding``.

    >>> Settings.embed_model = LikewiseEmbedding(SentenceTransformer("all-MiniLM-L6-v2"))
    """

    _model: EmbeddingModel = PrivateAttr()

    def __init__(self, model: EmbeddingModel):
        super().__init__(model_name=model.name, embed_batch_size=AT_ONCE)
        self._model = model

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._model.encode_query([query])[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._model.encode_document(texts).tolist()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class LikewiseRetriever(BaseRetriever):
    """An index as a LlamaIndex retriever of ``similarity_top_k`` passages; ``search`` as ``Index.search`` has it.

    >>> LikewiseRetriever(Index.open("my.index"), similarity_top_k=5, hybrid=True).retrieve("who may use the boat?")

    There is no vector store: LlamaIndex would embed what it adds before the index does so again.
    """

    def __init__(self, index: Index, similarity_top_k: int = 2, **search: Any):
        super().__init__()
        self._index, self._top_k, self._search = index, similarity_top_k, search

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._index.search(query_bundle.query_str, self._top_k, **self._search)
        return [NodeWithScore(node=TextNode(text=hit.text, metadata=metadata_of(hit)), score=hit.score) for hit in hits]
