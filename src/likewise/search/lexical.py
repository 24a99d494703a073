"""Search by words: BM25, as the package bm25s computes it."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from likewise.extras import extra

ENGLISH_STOP_WORDS = frozenset(  # those of Lucene's EnglishAnalyzer
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not"),
        *("of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was"),
        *("will", "with"),
    }
)
K1, B = 1.2, 0.75  # Lucene's too: how soon more of the same word counts no more, and how much long documents pay

Stem = Callable[[str], str]


class LexicalIndex:
    """The words of a corpus, kept for many searches by BM25.

    A document scores, for each word of the query that it holds, ``idf · tf / (tf + K1 · (1 − B + B · length / mean
    length))``: tf is how often the document holds the word, lengths count its words, and ``idf = ln(1 + (n − df + 0.5)
    / (df + 0.5))`` for a word in df of n documents. That is BM25 (Robertson & Zaragoza 2009, section 3.4) as Lucene has
    it (Kamphuis et al. 2020, table 1, "Lucene (accurate)"). A word that is twice in the query counts twice.

    Words are runs of letters, digits and their marks, in any script, without regard to case. Those of ``stop_words``
    count nowhere; for another language than English give its own, or none: ``()``. ``stem`` turns each other word into
    what is compared, such as ``Stemmer.Stemmer("english").stemWord`` of PyStemmer; without it words are compared whole.

    Kept are 8 bytes for each different word of each document, and the words themselves; making it takes some 50.

    Raises:
        ImportError: The package bm25s is missing.
        ValueError: A document is not text.
    """

    def __init__(
        self,
        corpus: Iterable[str],
        stop_words: Collection[str] = ENGLISH_STOP_WORDS,
        stem: Stem | None = None,
    ):
        with extra("search", "Search by words"):
            import bm25s
            from bm25s.tokenization import Tokenized

        self.stop_words = frozenset(stop_words)
        self.stem = stem
        self._ids: dict[str, int] = {}
        documents = [
            array("i", [self._ids.setdefault(word, len(self._ids)) for word in self._words(text)])
            for text in _checked("corpus", corpus)
        ]
        self._scorer = bm25s.BM25(k1=K1, b=B, method="lucene")
        if self._ids:  # bm25s fails on a corpus without words
            self._scorer.index(Tokenized(documents, self._ids), create_empty_token=False, show_progress=False)

    def search(self, queries: Iterable[str] | str, top_k: int = 10) -> list[list[dict[str, int | float]]]:
        """For each query its ``top_k`` best documents, as ``lexical_search``. One text counts as one query.

        Raises:
            ValueError: A query is not text, or ``top_k`` is less than 0.
        """
        if top_k < 0:
            raise ValueError(f"top_k must be at least 0, not {top_k}")
        return [
            self._best(query, top_k)
            for query in _checked("queries", [queries] if isinstance(queries, str) else queries)
        ]

    def _best(self, query: str, top_k: int) -> list[dict[str, int | float]]:
        known = [self._ids[word] for word in self._words(query) if word in self._ids]
        if not known:
            return []
        scores: NDArray[np.float32] = self._scorer.get_scores_from_ids(known)  # (documents,)
        found = np.flatnonzero(scores)
        if len(found) > top_k > 0:
            found = found[scores[found] >= np.partition(scores[found], -top_k)[-top_k]]  # with all equal to the last
        best = found[np.argsort(-scores[found], kind="stable")[:top_k]]
        return [
            {"corpus_id": row, "score": score} for row, score in zip(best.tolist(), scores[best].tolist(), strict=True)
        ]

    def _words(self, text: str) -> list[str]:
        kept = [word for word in words_of(text) if word not in self.stop_words]
        return kept if self.stem is None else [self.stem(word) for word in kept]


def lexical_search(
    queries: Iterable[str] | str,
    corpus: Iterable[str],
    top_k: int = 10,
    stop_words: Collection[str] = ENGLISH_STOP_WORDS,
    stem: Stem | None = None,
) -> list[list[dict[str, int | float]]]:
    """For each query its ``top_k`` best texts by BM25, ``{"corpus_id": row number, "score": score}``, best first.

    Equal scores stand in the order of the corpus. A text that shares no word with the query is not found: there may be
    fewer than ``top_k``, or none. Words, ``stop_words`` and ``stem`` are those of LexicalIndex, which is what to make
    where the same corpus is searched again. One query is scored at a time: 4 bytes for each text of the corpus.

    Raises:
        ImportError: The package bm25s is missing.
        ValueError: One of the texts is none, or ``top_k`` is less than 0.
    """
    return LexicalIndex(corpus, stop_words, stem).search(queries, top_k)


def words_of(text: str) -> list[str]:
    """The words of ``text``: runs of letters, digits and their marks, in any script, without regard to case."""
    return _word().findall(unicodedata.normalize("NFKC", text).casefold())


@cache
def _word() -> re.Pattern[str]:
    r"""Python's ``\w`` knows no combining marks, so that it would cut Hindi or Thai words into their letters."""
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"\w+(?:[{marks}]+\w*)*")


def _checked(name: str, texts: Iterable[str]) -> Iterator[str]:
    if isinstance(texts, str):
        raise ValueError(f"{name} must hold several texts, not be one: {reprlib.repr(texts)}; give a list")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{name}[{place}] is {reprlib.repr(text)}, which is not text; leave it out or make it one")
        yield text
