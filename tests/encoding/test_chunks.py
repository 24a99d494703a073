"""Long texts in chunks: where they are cut, what their vectors are, and what is told of texts that lose their end."""

import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise import SentenceTransformer, models
from likewise.encoding.chunks import LocatedTokens, batch_of, cut, located_tokens
from likewise.encoding.embed import OVERLAP
from likewise.models.pooling import POOLING_MODES
from likewise.models.word_tokenizers import WhitespaceTokenizer
from likewise.passages import sentences
from tests.tiny_checkpoints import POSITIONS, tiny_encoder

DIMENSION = 32  # of the tiny encoder
LONG = " ".join(f"The kettle of station {n} was late, and it rained on the green river." for n in range(12))
TEXTS = ["The kettle boils.", LONG, "", "rain " * 200, "x" * 700, "Tea.\n\n" + LONG]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(folder, dtype="float32", device="cpu")


def built(folder: Path, *heads: models.Module, mode: Any = "mean", **arguments: Any) -> SentenceTransformer:
    pooling = models.Pooling(DIMENSION, mode, include_prompt=arguments.pop("include_prompt", True))
    modules = [models.Transformer(folder), pooling, *heads]
    return SentenceTransformer(modules=modules, dtype="float32", device="cpu", **arguments)


def words(*lengths: int) -> LocatedTokens:
    """Sentences of so many one-letter words, each word a token, the full stops part of the last word."""
    text = " ".join("A" + " a" * (length - 1) + "." for length in lengths)
    starts = [place for place, character in enumerate(text) if character in "aA"]
    places = [(start, start + 1 + (text[start + 1 : start + 2] == ".")) for start in starts]
    none = np.empty(0, dtype=np.int32)
    return LocatedTokens(text, np.arange(len(starts), dtype=np.int32), np.array(places), none, none)


@settings(max_examples=150)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 20))
def test_spans_are_short_enough_and_leave_no_token_out(lengths: list[int], most: int, overlap: int) -> None:
    spans = cut(words(*lengths), most, overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == sum(lengths)
    assert all(0 < last - first <= most for first, last in spans)
    for (first, last), (following, end) in pairwise(spans):
        assert first < following
        assert last - overlap <= following <= last < end  # each goes on where the one before ended, and further


@given(st.lists(st.integers(1, 10), min_size=1, max_size=12), st.integers(10, 40))
def test_sentences_that_fit_are_never_cut(lengths: list[int], most: int) -> None:
    ends = set(np.cumsum(lengths).tolist())
    assert {last for _, last in cut(words(*lengths), most, overlap=3)} <= ends


def test_a_chunk_starts_with_the_last_sentence_before_it() -> None:
    assert cut(words(5, 4, 2, 6, 3), most=11, overlap=2) == [(0, 11), (9, 20)]
    assert cut(words(5, 4, 3, 6, 3), most=11, overlap=4) == [(0, 9), (5, 12), (9, 18), (18, 21)]
    assert cut(words(20), most=8, overlap=2) == [(0, 8), (6, 14), (12, 20)]


def test_a_word_is_cut_only_where_it_fills_a_chunk(model: SentenceTransformer) -> None:
    text = "rain boiling " + "q" * 30 + " tea"
    (tokens,) = located_tokens(model.live.routes.first, [text], None)
    found = [text[slice(*tokens.characters(span))] for span in cut(tokens, 10)]
    assert found == ["rain boiling", "q" * 10, "q" * 10, "q" * 10, "tea"]


@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta", "modernbert"])
@pytest.mark.parametrize("prompt", [None, "tea: ", "a"])
def test_a_text_that_fits_has_the_tokens_that_encode_gives_it(tmp_path: Path, model_type: str, prompt: str) -> None:
    model = built(tiny_encoder(tmp_path, model_type), include_prompt=False)
    chain = model.live.routes.first
    texts = ["The kettle boils.", "", "räin 水 🙂", "a b", "   ", "[SEP] <s> tea"]
    located = located_tokens(chain, texts, prompt)
    found = batch_of([(tokens, (0, len(tokens.ids))) for tokens in located], marks_prompt=bool(prompt))
    expected = chain.source.tokenize([(prompt or "") + text for text in texts], prompt)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    if prompt:
        np.testing.assert_array_equal(found.prompt_lengths, expected.prompt_lengths)


# ---- encode --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("heads", [[], [models.Normalize()]], ids=["plain", "normalized"])
def test_the_vector_of_a_long_text_is_the_weighted_mean_of_its_chunks(
    folder: Path, engine: Any, heads: list[models.Module]
) -> None:
    model = built(folder, *heads, engine=engine)
    found = model.encode(TEXTS, long_texts="chunk")
    for text, vector in zip(TEXTS, found, strict=True):
        (tokens,) = located_tokens(model.live.routes.first, [text], None)
        room = POSITIONS - 2
        spans = cut(tokens, room, int(room * OVERLAP))
        parts = [text[slice(*tokens.characters(span))] for span in spans]
        alone = np.stack([model.encode(part) for part in parts]).astype(np.float64)
        weights = np.array([last - first for first, last in spans], dtype=np.float64)
        if len(spans) == 1:
            expected = alone[0]
        else:
            expected = (alone * weights[:, None]).sum(0) / weights.sum()
            expected = expected / np.linalg.norm(expected) if heads else expected
        np.testing.assert_allclose(vector, expected, atol=2e-6 * float(np.linalg.norm(expected)))


def test_short_texts_keep_their_bits_beside_long_ones(model: SentenceTransformer) -> None:
    short = ["rain", "The kettle boils.", ""]
    mixed = [LONG, short[0], LONG + LONG, short[1], short[2]]
    found = model.encode(mixed, long_texts="chunk")
    np.testing.assert_array_equal(found[[1, 3, 4]], model.encode(short))
    np.testing.assert_array_equal(found[0], model.encode(LONG, long_texts="chunk"))
    np.testing.assert_array_equal(model.encode([LONG] * 300, long_texts="chunk"), np.repeat(found[:1], 300, axis=0))


def test_the_prompt_stands_before_every_chunk(folder: Path) -> None:
    model = built(folder, include_prompt=False)
    text, prompt = "rain " * (POSITIONS - 2 - 3) * 2, "tea and water "
    vector = model.encode(text, prompt=prompt, long_texts="chunk")
    chunk = model.encode("rain " * (POSITIONS - 2 - 3), prompt=prompt)  # both chunks are this one, without the overlap
    assert np.dot(vector, chunk) / np.linalg.norm(vector) / np.linalg.norm(chunk) > 0.95
    with pytest.raises(ValueError, match="leaves no room for text: with the special tokens it takes 82 of the 80"):
        model.encode(LONG, prompt="tea " * 80, long_texts="chunk")


def test_what_was_cut_is_logged_once_and_reported(model: SentenceTransformer, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["tea", "rain " * 100, "a " * 79, "water " * 78]
    expected = model.encode(texts)
    assert len(caplog.records) == 1
    assert "2 of 4 texts have more than 80 tokens and were cut; 23 tokens" in caplog.text
    vectors, report = model.encode(texts, return_report=True)
    assert len(caplog.records) == 1  # the report tells it
    assert str(report) in caplog.text
    np.testing.assert_array_equal(report.tokens, [3, 102, 81, 80])
    np.testing.assert_array_equal(report.read, [3, 80, 80, 80])
    np.testing.assert_array_equal(report.lost, [0, 22, 1, 0])
    np.testing.assert_array_equal(report.cut, [1, 2])
    np.testing.assert_array_equal(vectors, expected)


def test_of_a_stream_what_was_cut_is_logged_once(model: SentenceTransformer, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["tea", "rain " * 100, "a " * 79, "water " * 78]
    list(model.encode_stream(texts * 5, window=3))
    assert len(caplog.records) == 1
    assert "10 of 20 texts have more than 80 tokens and were cut; 115 tokens" in caplog.text
    stream = model.encode_stream(["tea"] * 5 + texts, window=3, long_texts="error")
    assert [next(stream).shape for _ in range(6)] == [(DIMENSION,)] * 6
    with pytest.raises(ValueError, match="text 6 has 102 tokens"):
        next(stream)


@pytest.mark.parametrize("arguments", [{"long_texts": "chunk"}, {}])
def test_nothing_is_logged_where_nothing_is_lost(
    model: SentenceTransformer, caplog: pytest.LogCaptureFixture, arguments: Any
) -> None:
    caplog.set_level(logging.WARNING)
    texts = [LONG, "tea"] if arguments else ["tea", "rain"]
    model.encode(texts, **arguments)
    assert not caplog.records
    _, report = model.encode(texts, return_report=True, **arguments)
    assert not len(report.cut)


def test_the_report_of_one_text_of_none_and_of_tokens(model: SentenceTransformer) -> None:
    vector, report = model.encode(LONG, return_report=True)
    assert vector.shape == (DIMENSION,)
    assert len(report.tokens) == 1
    vectors, report = model.encode([], return_report=True)
    assert vectors.shape == report.tokens.shape == (0,)
    tokens, report = model.encode(["tea", LONG], output_value="token_embeddings", return_report=True)
    assert [len(of_text) for of_text in tokens] == report.read.tolist() == [3, POSITIONS]


def test_a_long_text_can_be_an_error(model: SentenceTransformer) -> None:
    assert model.encode(["tea"], long_texts="error").shape == (1, DIMENSION)
    for value in ("sentence_embedding", "token_embeddings"):
        with pytest.raises(ValueError, match=r"text 1 has 102 tokens, and the model reads 80; cut it, or give long_te"):
            model.encode(["tea", "rain " * 100, LONG], long_texts="error", output_value=value)
    with pytest.raises(ValueError, match="long_texts 'cut' is not known; use one of 'truncate', 'chunk', 'error'"):
        model.encode(["tea"], long_texts="cut")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="encode_chunks gives those of the chunks"):
        model.encode(["tea"], long_texts="chunk", output_value="token_embeddings")


def test_word_vectors_with_a_limit_cannot_be_cut_into_chunks() -> None:
    table = models.WordEmbeddings(WhitespaceTokenizer(["tea", "rain"]), np.eye(2, 4), max_seq_length=3)
    model = SentenceTransformer(modules=[table, models.Pooling(4)])
    assert model.encode("tea tea rain", long_texts="chunk").shape == (4,)
    with pytest.raises(ValueError, match="WhitespaceTokenizer, which does not tell where a token stands"):
        model.encode("tea tea rain rain", long_texts="chunk")


# ---- encode_chunks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("mode", ["mean", "max", "mean_sqrt_len_tokens", "weightedmean", ["max", "mean"]])
def test_chunks_are_pooled_from_tokens_that_have_seen_the_whole_text(folder: Path, engine: Any, mode: Any) -> None:
    head = models.Dense(DIMENSION * (1 if isinstance(mode, str) else 2), 8)
    model = built(folder, head, mode=mode, engine=engine)
    text = "The kettle boils. It was late in the winter! Rain is on the river? A small bridge of paper."
    found = model.encode_chunks(text, chunk_tokens=8)
    hidden = model.encode(text, output_value="token_embeddings").astype(np.float64)
    (tokens,) = located_tokens(model.live.routes.first, [text], None)
    spans = cut(tokens, 8)
    assert len(spans) > 3
    for place, (first, last) in enumerate(spans):
        own = hidden[first + (place > 0) : last + 1 + (place == len(spans) - 1)]  # [CLS] and [SEP] at the ends
        places = np.arange(first + (place > 0), first + (place > 0) + len(own))[:, None] + 1
        of_mode = {
            "mean": own.mean(0),
            "max": own.max(0),
            "mean_sqrt_len_tokens": own.sum(0) / len(own) ** 0.5,
            "weightedmean": (own * places).sum(0) / places.sum(),
        }
        pooled = np.concatenate([of_mode[each] for each in ([mode] if isinstance(mode, str) else mode)])
        weight, bias = (model.live.arrays(head)[f"linear.{name}"].astype(np.float64) for name in ("weight", "bias"))
        np.testing.assert_allclose(found.vectors[place], np.tanh(weight @ pooled + bias), atol=1e-5)


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_a_text_that_is_one_chunk_keeps_its_vector(folder: Path, mode: str, include_prompt: bool) -> None:
    model = built(folder, models.Normalize(), mode=mode, include_prompt=include_prompt)
    for prompt in (None, "tea and rain: "):
        texts = ["The kettle boils.", "", "rain"]
        found = model.encode_chunks(texts, prompt=prompt)
        assert [len(chunks) for chunks in found] == [1, 1, 1]
        vectors = np.concatenate([chunks.vectors for chunks in found])
        np.testing.assert_allclose(vectors, model.encode(texts, prompt=prompt), atol=1e-6)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_the_spans_are_the_sentences_and_cover_a_text_of_any_length(folder: Path, mode: str) -> None:
    text = LONG.replace(". ", ".\n  ")
    found = built(folder, mode=mode).encode_chunks(text, chunk_tokens=20)
    assert [text[start:stop] for start, stop in found.spans] == [sentence for _, sentence in sentences(text)]
    assert found.vectors.shape == (12, DIMENSION)
    # The text is longer than the model reads, yet each sentence but the last of each part has seen others.
    alone = built(folder, mode=mode).encode([text[start:stop] for start, stop in found.spans])
    apart = np.linalg.norm(found.vectors - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert (apart < 1e-5).all() if mode == "cls" else (apart > 1e-2).all()


@settings(max_examples=20)
@given(text=st.text(st.sampled_from("ab .!?\n水é"), max_size=300), most=st.integers(1, 100))
def test_any_text_gives_chunks(model: SentenceTransformer, text: str, most: int) -> None:
    found = model.encode_chunks(text, chunk_tokens=most)
    assert found.vectors.shape == (len(found), DIMENSION)
    assert np.isfinite(found.vectors).all()
    (tokens,) = located_tokens(model.live.routes.first, [text], None)
    seen = {place for start, stop in found.spans for place in range(start, stop)}
    assert {int(place) for place in tokens.places[:, 0] if not text[int(place)].isspace()} <= seen


def test_chunks_are_truncated_and_normalized_as_encode_does(model: SentenceTransformer) -> None:
    found = model.encode_chunks([LONG, "tea"], truncate_dim=5, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(found[0].vectors, axis=1), 1, rtol=1e-6)
    assert found[0].vectors.shape[1] == 5
    assert model.encode_chunks([]) == []
    with pytest.raises(ValueError, match="chunk_tokens must be a whole number, 1 or more, not 0"):
        model.encode_chunks("tea", chunk_tokens=0)


def test_static_models_have_chunks_too(model: SentenceTransformer) -> None:
    rows = model.tokenizer.get_vocab_size()
    table = models.StaticEmbedding(model.tokenizer, embedding_weights=np.eye(rows, dtype=np.float32))
    static = SentenceTransformer(modules=[table])
    found = static.encode_chunks(LONG, chunk_tokens=20)
    expected = static.encode([LONG[start:stop] for start, stop in found.spans])
    assert len(found) == 12
    np.testing.assert_array_equal(found.vectors, expected)
