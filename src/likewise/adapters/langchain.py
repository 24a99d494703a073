"""For LangChain: a model as its ``Embeddings``, an index on disk as its ``VectorStore``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from likewise.adapters.metadata import metadata_of
from likewise.extras import extra
from likewise.search.index import EmbeddingModel, Hit, Index, IndexRow

with extra("langchain", "The adapter for LangChain"):
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore


class LikewiseEmbeddings(Embeddings):
    """A model as LangChain's ``Embeddings``.

    >>> LikewiseEmbeddings(SentenceTransformer("all-MiniLM-L6-v2")).embed_query("who may use the boat?")
    """

    def __init__(self, model: EmbeddingModel):
        self.model = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vector (dim,) of each text, as the model encodes documents."""
        return self.model.encode_document(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        """The vector (dim,) of a text, as the model encodes queries."""
        return self.model.encode_query([text])[0].tolist()


@dataclass(frozen=True, slots=True)
class Whole:
    """A document as the passage of an index that it is: no part of a file, so without a line."""

    text: str
    source: str
    metadata: Mapping[str, Any]
    line: None = None
    heading: str = ""


class LikewiseVectorStore(VectorStore):
    """An index as LangChain's ``VectorStore``. A document is a source of its own, whose name is the document's id.

    An index of files can be searched too: its passages become documents without an id, with their places as metadata.
    Searches take ``filter``, a condition as ``Index.search`` has it, and its ``hybrid`` and ``rerank``.

    >>> store = LikewiseVectorStore(Index.create("my.index", SentenceTransformer("all-MiniLM-L6-v2")))
    >>> store.add_texts(["Only members may use the boat."], [{"year": 2024}])
    >>> store.similarity_search("who may use the boat?", k=1, filter="year > 2020")
    """

    def __init__(self, index: Index):
        self.index = index

    @classmethod
    def from_texts(  # type: ignore[override]  # an index is in a folder
        cls,
        texts: list[str],
        embedding: LikewiseEmbeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        path: str | os.PathLike[str],
        ids: list[str] | None = None,
    ) -> LikewiseVectorStore:
        """Make an index in the folder ``path``, and add texts to it.

        Raises what ``Index.create`` and ``Index.update`` do.
        """
        store = cls(Index.create(path, embedding.model))
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @property
    def embeddings(self) -> LikewiseEmbeddings:
        """The model of the index."""
        return LikewiseEmbeddings(self.index.model)

    def add_documents(  # type: ignore[override]  # nothing else is taken
        self, documents: list[Document], ids: Sequence[str | None] | None = None
    ) -> list[str]:
        """Add documents and give their ids; one whose id is there takes the place of the one before it.

        Raises what ``Index.update`` does, such as ValueError where metadata are neither texts nor numbers.
        """
        given = [document.id for document in documents] if ids is None else ids
        names = [name or str(uuid4()) for name in given]
        passages = {
            name: Whole(document.page_content, name, document.metadata)
            for name, document in zip(names, documents, strict=True)
        }
        self.index.update(passages.values())
        return names

    def delete(self, ids: list[str] | None = None) -> bool:  # type: ignore[override]  # nothing else is taken
        """Take out the documents ``ids``; without them, whatever the index holds."""
        self.index.remove(*(ids or []), where="true" if ids is None else None)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Those of the documents ``ids`` that are there."""
        return [_document(row) for row in self.index.contents(*ids)[0]] if ids else []

    def similarity_search(self, query: str, k: int = 4, **search: Any) -> list[Document]:
        """The ``k`` documents that answer the query best; ``search`` as the class says.

        Raises what ``Index.search`` does.
        """
        return [document for document, _ in self.similarity_search_with_score(query, k, **search)]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: str | None = None,  # noqa: A002  # LangChain's name for it
        **search: Any,
    ) -> list[tuple[Document, float]]:
        """As ``similarity_search``, each with its score: the higher, the better."""
        return [(_document(hit), hit.score) for hit in self.index.search(query, k, filter, **search)]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        similarity = self.index.model.similarity_fn_name
        if similarity != "cosine":
            raise ValueError(f"a relevance lies between 0 and 1, and the model's similarity, {similarity}, does not")
        return lambda score: min(max(score, 0.0), 1.0)


def _document(found: Hit | IndexRow) -> Document:
    return Document(
        page_content=found.text, id=found.source if found.line is None else None, metadata=metadata_of(found)
    )
