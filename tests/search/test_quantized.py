"""Search among codes in faiss and usearch finds what comparing with everything, one pair at a time, finds."""

import logging
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise.quantization import quantize_embeddings, semantic_search_faiss, semantic_search_usearch
from likewise.quantize import BINARY, SCALAR, Precision, dequantize_embeddings, unpacked_bits

RANDOM = np.random.default_rng(0)
CORPUS, QUERIES = (RANDOM.normal(size=(size, 20)).astype(np.float32) for size in (50, 4))
CORPUS /= np.linalg.norm(CORPUS, axis=1, keepdims=True)
RANGES = np.vstack((CORPUS.min(0), CORPUS.max(0)))
CASES = [
    *(("faiss", precision) for precision in ("float32", "uint8", "ubinary")),
    *(("usearch", precision) for precision in ("float32", "int8", "ubinary", "binary")),
]


def search(library: str, *arguments: Any, **named: Any) -> Any:
    pytest.importorskip(library)
    function = semantic_search_faiss if library == "faiss" else semantic_search_usearch
    return function(*arguments, **named)


def slow_scores(precision: Precision) -> NDArray[np.float64]:
    """What a query's dot product with each quantised entry is, (queries, entries)."""
    codes = quantize_embeddings(CORPUS, precision, RANGES)
    if precision in SCALAR:
        restored = dequantize_embeddings(codes, precision, RANGES)
    else:
        restored = (unpacked_bits(codes, precision, 20) if precision in BINARY else CORPUS).astype(np.float64)
    return np.array([[sum(query * entry) for entry in restored] for query in QUERIES.astype(np.float64)])


@pytest.mark.parametrize(("library", "precision"), CASES)
@pytest.mark.parametrize("top_k", [3, 50, 60])
def test_rescored_hits_are_the_best_there_are(library: str, precision: Precision, top_k: int) -> None:
    codes = quantize_embeddings(CORPUS, precision, RANGES)
    settings: dict[str, Any] = {"corpus_precision": precision, "top_k": top_k, "ranges": RANGES}
    settings |= {"rescore": precision != "float32", "rescore_multiplier": 50}  # all contend
    hits, seconds, index = search(library, QUERIES, codes, output_index=True, **settings)
    scores = slow_scores(precision)
    for found, expected in zip(hits, scores, strict=True):
        order = np.argsort(-expected)[:top_k]
        rows = [hit["corpus_id"] for hit in found]
        np.testing.assert_allclose(expected[rows], expected[order], atol=1e-6)
        assert len(set(rows)) == len(rows) == min(top_k, 50)
        if library == "faiss" or precision != "float32":
            np.testing.assert_allclose([hit["score"] for hit in found], expected[order], atol=1e-6)
    assert seconds > 0
    again, _ = search(library, QUERIES, corpus_index=index, **settings)
    assert [[hit["score"] for hit in found] for found in again] == [[hit["score"] for hit in found] for found in hits]


@pytest.mark.parametrize(("library", "precision"), CASES)
@pytest.mark.parametrize("exact", [True, False])
def test_an_entry_finds_itself(library: str, precision: Precision, exact: bool) -> None:
    codes = quantize_embeddings(CORPUS, precision, RANGES)
    settings: dict[str, Any] = {"corpus_precision": precision, "top_k": 2, "rescore": False, "exact": exact}
    for queries in (codes, CORPUS, codes[:1]):
        hits, _ = search(library, queries, codes, ranges=RANGES, **settings)
        if precision not in SCALAR:  # the dot product of codes favours large codes
            assert [found[0]["corpus_id"] for found in hits] == [*range(len(queries))]
        assert all(len(found) == 2 for found in hits)


@pytest.mark.parametrize("library", ["faiss", "usearch"])
def test_what_is_not_rescored_is_told(library: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        search(library, QUERIES, CORPUS)
        codes = quantize_embeddings(CORPUS, "ubinary")
        search(library, codes, codes, corpus_precision="ubinary")
    assert [message.split(",")[0] for message in caplog.messages] == [
        "the corpus is not quantised",
        "the queries are quantised already",
    ]


@pytest.mark.parametrize("library", ["faiss", "usearch"])
def test_wrong_arguments_are_told(library: str) -> None:
    with pytest.raises(ValueError, match="either corpus_embeddings or corpus_index"):
        search(library, QUERIES)
    with pytest.raises(ValueError, match="either corpus_embeddings or corpus_index"):
        search(library, QUERIES, CORPUS, object())
    unknown = "int8" if library == "faiss" else "uint8"
    with pytest.raises(ValueError, match=f"'{unknown}' is not known here; use one of 'float32'"):
        search(library, QUERIES, CORPUS, corpus_precision=unknown)


@pytest.mark.parametrize("library", ["faiss", "usearch"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.index", None)
    function = semantic_search_faiss if library == "faiss" else semantic_search_usearch
    with pytest.raises(ImportError, match=rf"likewise\[{library}\]"):
        function(QUERIES, CORPUS)
