"""LangChain's own tests of a vector store and of embeddings, and what they do not ask."""

from pathlib import Path

import pytest

from likewise.passages import Passage
from likewise.search import Index
from tests.search.word_hashes import WordHashes

pytest.importorskip("lancedb", reason="an index needs the package lancedb")
pytest.importorskip("langchain_core", reason="the adapter for LangChain needs the package langchain-core")
langchain_tests = pytest.importorskip("langchain_tests", reason="LangChain's own tests are in langchain-tests")

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, VectorStoreIntegrationTests  # noqa: E402

from likewise.adapters.langchain import LikewiseEmbeddings, LikewiseVectorStore  # noqa: E402

BOAT, TEA = "Only members may use the boat.", "The kettle makes the tea."


@pytest.fixture
def store(tmp_path: Path) -> LikewiseVectorStore:
    return LikewiseVectorStore(Index.create(tmp_path / "my.index", WordHashes()))


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, store: LikewiseVectorStore) -> LikewiseVectorStore:
        return store


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return LikewiseEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, object]:
        return {"model": WordHashes()}


def test_a_store_is_made_of_texts_and_searched_with_the_options_of_an_index(tmp_path: Path) -> None:
    embeddings = LikewiseEmbeddings(WordHashes())
    metadatas = [{"source": "house.md", "year": 2020}, {"source": "kitchen.md", "year": 2024}]
    store = LikewiseVectorStore.from_texts(
        [BOAT, TEA], embeddings, metadatas, path=tmp_path / "my.index", ids=["1", "2"]
    )
    assert store.embeddings.model is embeddings.model
    boat, tea = (
        Document(id=name, page_content=text, metadata=own)
        for name, text, own in zip("12", (BOAT, TEA), metadatas, strict=True)
    )
    assert store.similarity_search("who may use the boat") == [boat, tea]
    assert store.similarity_search("who may use the boat", filter="year > 2020") == [tea]
    assert store.similarity_search("boat", k=1, hybrid=True, rerank=lambda _, texts: map(len, texts)) == [boat]
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("tea") == [tea]


def test_a_score_is_the_cosine_and_a_relevance_never_negative(store: LikewiseVectorStore) -> None:
    store.add_texts([BOAT, TEA])
    scored = store.similarity_search_with_score("the kettle makes the tea")
    assert [document.page_content for document, _ in scored] == [TEA, BOAT]
    assert scored[0][1] == pytest.approx(store.index.search("the kettle makes the tea")[0].score)
    relevances = [score for _, score in store.similarity_search_with_relevance_scores("the kettle makes the tea")]
    assert relevances == [pytest.approx(max(score, 0), abs=1e-6) for _, score in scored]


def test_a_relevance_needs_a_similarity_that_has_bounds(tmp_path: Path) -> None:
    store = LikewiseVectorStore(Index.create(tmp_path / "my.index", WordHashes(similarity="euclidean")))
    with pytest.raises(ValueError, match="between 0 and 1, and the model's similarity, euclidean, does not"):
        store.similarity_search_with_relevance_scores("tea")


def test_the_last_of_one_id_counts_and_deleting_without_ids_takes_all(store: LikewiseVectorStore) -> None:
    assert store.add_texts([BOAT, TEA], ids=["1", "1"]) == ["1", "1"]
    assert store.get_by_ids(["1"]) == [Document(id="1", page_content=TEA)]
    assert store.get_by_ids([]) == []
    assert store.delete()
    assert store.similarity_search("tea") == []


def test_deleting_no_ids_takes_nothing(store: LikewiseVectorStore) -> None:
    store.add_texts([BOAT])
    assert store.delete([])
    assert len(store.similarity_search("boat")) == 1


def test_passages_of_files_are_documents_with_their_places(store: LikewiseVectorStore) -> None:
    store.index.add([Passage(BOAT, "house.pdf", 3, "Rules", page=2, metadata={"year": 2020})])
    (document,) = store.similarity_search("boat")
    place = {"source": "house.pdf", "line": 3, "page": 2, "heading": "Rules"}
    assert document == Document(page_content=BOAT, metadata=place | {"year": 2020})


def test_metadata_that_no_column_can_hold_are_named(store: LikewiseVectorStore) -> None:
    with pytest.raises(ValueError, match=r"letter-7: the metadata 'tags' are \['a'\]; make them a text or a number"):
        store.add_texts([BOAT], [{"tags": ["a"]}], ids=["letter-7"])
