"""Search by words gives what BM25's formula says, computed one word at a time in float64."""

import sys
from collections.abc import Sequence
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.evaluation.ranking import ranking_metrics
from likewise.evaluation.suites.beir import RANKS, collections_in
from likewise.search import LexicalIndex, lexical_search
from likewise.search.lexical import ENGLISH_STOP_WORDS

CORPUS = ["The kettle is on the stove.", "A train, a late train!", "Tea for the kettle", "", "the of and"]
WORDS = ["tea", "kettle", "train", "rain", "stove", "late", "green", "cup"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def slow_bm25(query: str, corpus: Sequence[str]) -> list[float]:
    """Kamphuis et al. 2020, table 1, "Lucene (accurate)", with k1 = 1.2 and b = 0.75; texts are words with spaces."""
    documents = [text.split() for text in corpus]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for word in query.split():
            holding = sum(word in other for other in documents)
            often = document.count(word)
            if often:
                idf = log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                score += idf * often / (often + 1.2 * (1 - 0.75 + 0.75 * len(document) / mean))
        scores.append(score)
    return scores


@given(corpus=st.lists(TEXTS, min_size=1, max_size=12), query=TEXTS, top_k=st.integers(0, 14))
def test_scores_are_those_of_the_formula(corpus: list[str], query: str, top_k: int) -> None:
    (found,) = lexical_search([query], corpus, top_k=top_k)
    expected = slow_bm25(query, corpus)
    assert len(found) == min(top_k, sum(score > 0 for score in expected))
    scores = [hit["score"] for hit in found]
    np.testing.assert_allclose(scores, [expected[int(hit["corpus_id"])] for hit in found], rtol=1e-5)
    np.testing.assert_allclose(scores, sorted(expected, reverse=True)[: len(found)], rtol=1e-5)
    assert [(-hit["score"], hit["corpus_id"]) for hit in found] == sorted(
        (-hit["score"], hit["corpus_id"]) for hit in found
    )


@given(copies=st.integers(1, 40), top_k=st.integers(1, 50))
def test_equal_scores_stand_in_the_order_of_the_corpus(copies: int, top_k: int) -> None:
    corpus = [text for _ in range(copies) for text in ("tea kettle", "rain", "tea tea")]
    (found,) = lexical_search("tea", corpus, top_k=top_k)
    twice, once = range(2, 3 * copies, 3), range(0, 3 * copies, 3)
    assert [hit["corpus_id"] for hit in found] == [*twice, *once][:top_k]


def test_results_look_as_those_of_semantic_search() -> None:
    found = lexical_search(["a kettle", "late train"], CORPUS)
    assert [[hit["corpus_id"] for hit in row] for row in found] == [[0, 2], [1]]
    assert all(type(hit["corpus_id"]) is int and type(hit["score"]) is float for row in found for hit in row)


def test_an_index_serves_many_searches_and_reads_the_corpus_once() -> None:
    index = LexicalIndex(text for text in CORPUS)
    for queries in (["kettle"], ["train", "tea kettle"]):
        assert index.search(queries, top_k=1) == lexical_search(queries, CORPUS, top_k=1)
    assert index.search(iter(["kettle"])) == index.search("kettle") == lexical_search("kettle", CORPUS)


def test_nothing_is_found_where_no_word_is_shared() -> None:
    assert lexical_search(["", "?!", "the", "unheard"], CORPUS) == [[], [], [], []]
    assert lexical_search([], CORPUS) == []
    assert lexical_search(["kettle"], []) == [[]]
    assert lexical_search(["kettle", ""], ["", "...", "the"]) == [[], []]
    assert lexical_search(["kettle"], CORPUS, top_k=0) == [[]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("TEA", "tea"),
        ("STRASSE", "Straße"),
        ("cafe\u0301", "Café"),
        ("ｔｅａ", "tea"),
        ("чай", "Чай!"),
        ("C", "vitamin C"),
        ("it", "information technology, IT"),
    ],
)
def test_words_are_found_in_any_spelling_of_unicode(query: str, text: str) -> None:
    ((hit,),) = lexical_search(query, ["other words", text], stop_words=())
    assert hit["corpus_id"] == 1


def test_marks_belong_to_their_words() -> None:
    # Both words are written with the same letters, and differ in their vowel signs alone.
    assert [hit["corpus_id"] for hit in lexical_search("किताब", ["कातिब", "किताब"])[0]] == [1]


def test_stop_words_count_nowhere() -> None:
    assert lexical_search("the kettle", CORPUS) == lexical_search("kettle", CORPUS)
    assert lexical_search("the kettle", CORPUS) == lexical_search(
        "kettle", [text.replace("the", "") for text in CORPUS]
    )
    assert len(lexical_search("the", CORPUS, stop_words=())[0]) == 3
    assert not lexical_search("kettle", CORPUS, stop_words={"kettle"})[0]
    assert len(ENGLISH_STOP_WORDS) == 33


def test_stems_are_compared_where_there_is_a_stemmer() -> None:
    def without_s(word: str) -> str:
        return word.removesuffix("s")

    assert lexical_search("kettles", ["a kettle"]) == [[]]
    (found,) = lexical_search("kettles", ["two kettles", "a kettle", "trains"], stem=without_s)
    assert [hit["corpus_id"] for hit in found] == [1, 0]  # the shorter first
    assert lexical_search("his", ["his", "hi"], stop_words={"his"}, stem=without_s) == [[]]  # stop words come first


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match=r"corpus must hold several texts, not be one: 'tea'; give a list"):
        lexical_search(["tea"], "tea")
    with pytest.raises(ValueError, match=r"corpus\[1\] is None, which is not text"):
        LexicalIndex(["tea", None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"queries\[0\] is 3, which is not text"):
        lexical_search([3], CORPUS)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="top_k must be at least 0, not -1"):
        lexical_search(["tea"], CORPUS, top_k=-1)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(
        ImportError, match=r"Search by words needs the package 'bm25s'.*pip install 'likewise\[search\]'"
    ):
        lexical_search(["tea"], CORPUS)


def test_scifact_gives_what_is_published(shared_data: Path) -> None:
    """Published for BM25 are 66.5 (Thakur et al. 2021, table 2) and 67.9 (Pyserini), both with stemming."""
    (scifact,) = (collection for collection in collections_in(shared_data) if collection.name == "scifact")
    names = list(scifact.corpus)
    gains = np.zeros((len(scifact.queries), 100))
    hits = lexical_search(scifact.queries.values(), scifact.corpus.values(), top_k=100)
    for row, query in enumerate(scifact.queries):
        gains[row, : len(hits[row])] = [scifact.gains[query].get(names[int(hit["corpus_id"])], 0) for hit in hits[row]]
    ideals = [np.array([gain for gain in scifact.gains[query].values() if gain > 0]) for query in scifact.queries]
    assert ranking_metrics(gains, ideals, **RANKS)["ndcg@10"] == pytest.approx(0.6664, abs=5e-4)
