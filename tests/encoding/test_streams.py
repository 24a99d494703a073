"""Streams: every vector in order, one window in memory, and errors where they belong."""

import gc
import random
import threading
import tracemalloc
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise import SentenceTransformer
from likewise.encoding.embed import SORTED_TOGETHER
from likewise.encoding.streams import WINDOW, stream, windows
from likewise.tokens import batches_by_length
from tests.tiny_checkpoints import WORDS, tiny_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    return SentenceTransformer(tiny_encoder(tmp_path_factory.mktemp("tiny")), prompts={"query": "tea: "})


def sentences(number: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(number)]


def test_a_stream_has_the_vectors_of_encode(model: SentenceTransformer) -> None:
    texts = sentences(50)
    for arguments in ({}, {"prompt_name": "query"}, {"normalize_embeddings": True, "truncate_dim": 7}):
        expected = model.encode(texts, **arguments)
        for window in (1, 7, 50, 51):
            vectors = list(model.encode_stream(iter(texts), window=window, **arguments))
            assert {vector.shape for vector in vectors} == {expected.shape[1:]}
            np.testing.assert_array_equal(vectors, expected)
    assert list(model.encode_stream([])) == []


def test_an_endless_stream_is_read_as_it_is_needed(model: SentenceTransformer) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for read in count(1):
            yield f"the train of {read}"

    vectors = model.encode_stream(texts(), window=16)
    assert read == 0
    next(vectors)
    assert read == 16  # one window, and no more
    list(islice(vectors, 15))
    assert read == 16
    next(vectors)
    assert read == 32


def test_closing_a_stream_leaves_no_thread(model: SentenceTransformer) -> None:
    before = set(threading.enumerate())
    vectors = model.encode_stream(map(str, count()), window=3 * SORTED_TOGETHER)  # tokenised by a thread ahead
    next(vectors)
    vectors.close()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("bad", [None, 3.5, b"tea", "half \ud83d"])
def test_a_bad_text_comes_after_all_vectors_before_it(model: SentenceTransformer, bad: object) -> None:
    texts = sentences(23)
    vectors: list[np.ndarray] = []
    with pytest.raises((TypeError, ValueError), match="text 23 "):
        vectors.extend(model.encode_stream([*texts, bad, *texts], window=8))  # keeps those before the error
    np.testing.assert_array_equal(vectors, model.encode(texts))


def test_an_error_of_the_iterable_comes_after_all_vectors_before_it(model: SentenceTransformer) -> None:
    def texts() -> Iterator[str]:
        yield from sentences(11)
        raise OSError("the line was cut")

    vectors: list[np.ndarray] = []
    with pytest.raises(OSError, match="the line was cut"):
        vectors.extend(model.encode_stream(texts(), window=4))  # keeps those before the error
    assert len(vectors) == 11


def test_wrong_arguments_show_at_the_call(model: SentenceTransformer) -> None:
    for error, words, inputs, arguments in (
        (TypeError, r"not one; use encode\('tea'\)", "tea", {}),
        (TypeError, "but got 3", 3, {}),
        (TypeError, "no argument 'promt'", [], {"promt": "tea"}),
        (ValueError, "no prompt called 'tea'", [], {"prompt_name": "tea"}),
        (ValueError, "needs the ranges of all vectors", [], {"precision": "int8"}),
        (ValueError, "leave return_report out", [], {"return_report": True}),
        (ValueError, "window must be a whole number", [], {"window": 0}),
    ):
        with pytest.raises(error, match=words):
            model.encode_stream(inputs, **arguments)  # type: ignore[arg-type]


def test_columns_of_tables_stream(model: SentenceTransformer) -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    texts = sentences(10)
    table = pandas.DataFrame({"text": texts})
    for column in (table["text"], pyarrow.array(texts), pyarrow.chunked_array([texts[:4], texts[4:]])):
        np.testing.assert_array_equal(list(model.encode_stream(column, window=4)), model.encode(texts))
    with pytest.raises(TypeError, match="whole table"):
        model.encode_stream(table)


def test_a_kept_vector_keeps_no_window() -> None:
    def encode(texts: list[int]) -> np.ndarray:
        return np.ones((len(texts), 1000), np.float32)

    tracemalloc.start()
    try:
        kept = list(islice(stream(encode, count(), window=1000), 0, 20_001, 1000))  # one of each of 20 windows of 4 MB
        gc.collect()
        assert len(kept) == 21
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()


@given(st.integers(0, 40), st.integers(1, 12))
def test_windows_are_full_and_complete(number: int, size: int) -> None:
    found = list(windows(iter(range(number)), size))
    assert [item for window in found for item in window] == list(range(number))
    assert all(len(window) == size for window in found[:-1])
    assert all(0 < len(window) <= size for window in found)


def test_padding_wastes_under_two_percent_where_an_engine_pads() -> None:
    """Texts of Zipf-like lengths, as in real corpora, and batches as Transformers' padded models get them."""
    torch = pytest.importorskip("torch")
    from likewise.network.transformers import MOST_PADDING, batches

    lengths = np.clip(np.random.default_rng(0).lognormal(3.2, 0.7, 8 * WINDOW), 3, 512).astype(np.int32)
    computed = 0
    for start in range(0, len(lengths), min(WINDOW, SORTED_TOGETHER)):
        window = lengths[start : start + min(WINDOW, SORTED_TOGETHER)]
        for chosen in batches_by_length(window, token_budget=2048):
            values, counts = torch.unique_consecutive(torch.from_numpy(window[chosen]), return_counts=True)
            runs = list(zip(counts.tolist(), values.tolist(), strict=True))
            for batch in batches(runs, MOST_PADDING):
                computed += sum(texts for texts, _ in batch) * max(length for _, length in batch)
    real = int(lengths.sum())
    assert real < computed < 1.02 * real


def test_a_tensor_does_not_keep_its_window(tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path / "tiny"), device="cpu")
    (first, *_) = model.encode_stream(["tea", "rain", "water"], convert_to_tensor=True)
    assert first.untyped_storage().nbytes() == first.nbytes
