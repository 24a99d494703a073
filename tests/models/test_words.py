"""Models that know whole words: which words they find, and what they make of them."""

from typing import Any

import numpy as np
import pytest

from likewise import SentenceTransformer, models
from likewise.models.word_tokenizers import WhitespaceTokenizer, word_weights
from tests.models.made import IDF, TEXTS, WORDS, drawn, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kettle", ["kettle"]),
        ("Kettle!", ["kettle"]),
        ("(tea),", ["tea"]),
        ("tea-time", []),
        ("the The THE kettle", ["kettle"]),
        ("  rain\n\train\u00a0rain ", ["rain"] * 3),
        ("PADDING padding", ["PADDING"]),
        ("", []),
        ("... !?", []),
    ],
)
def test_words_are_found_as_they_are_then_bare_then_in_lower_case(text: str, found: list[str]) -> None:
    tokenizer = WhitespaceTokenizer(WORDS, ["the"])
    assert [WORDS[index] for index in tokenizer.ids(text)] == found


def test_lower_casing_comes_first_where_it_is_asked_for() -> None:
    assert WhitespaceTokenizer(["Tea", "tea"]).ids("Tea") == [0]
    assert WhitespaceTokenizer(["Tea", "tea"], do_lower_case=True).ids("Tea") == [1]


def test_a_long_text_loses_its_end() -> None:
    source = words()
    source.max_seq_length = 3
    batch = source.tokenize(["tea " * 7, "rain"])
    assert (batch.lengths.tolist(), batch.full_lengths.tolist()) == ([3, 1], [7, 1])


def test_word_vectors_are_averaged() -> None:
    source = words()
    model = SentenceTransformer(modules=[source, models.Pooling(6)], dtype="float32")
    table = drawn(len(WORDS), 6)
    for text, vector in zip(TEXTS, model.encode(TEXTS), strict=True):
        ids = source.tokenizer.ids(text)  # type: ignore[union-attr]
        np.testing.assert_allclose(vector, table[ids].mean(0) if ids else np.zeros(6), atol=1e-6)


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "max", "cls", "lasttoken"])
def test_weighted_words_are_divided_by_the_sum_of_their_weights(mode: str) -> None:
    source = words()
    modules: list[models.Module] = [source, models.WordWeights(WORDS, IDF, 0.25), models.Pooling(6, mode)]
    model = SentenceTransformer(modules=modules, dtype="float32")
    table, all_weights = drawn(len(WORDS), 6).astype(float), word_weights(WORDS, IDF, 0.25).astype(float)
    for text, vector in zip(TEXTS, model.encode(TEXTS), strict=True):
        ids = source.tokenizer.ids(text)  # type: ignore[union-attr]
        if not ids:
            assert not vector.any()
            continue
        weights = all_weights[ids]
        rows = table[ids] * weights[:, None]
        places = np.arange(1, len(ids) + 1)[:, None]
        expected = {
            "mean": rows.sum(0) / weights.sum(),
            "mean_sqrt_len_tokens": rows.sum(0) / np.sqrt(weights.sum()),
            "weightedmean": (rows * places).sum(0) / weights.sum(),
            "max": rows.max(0),
            "cls": rows[0],
            "lasttoken": rows[-1],
        }[mode]
        np.testing.assert_allclose(vector, expected, atol=1e-6)


@pytest.mark.parametrize("cumulative", [True, False])
def test_a_bag_of_words_counts_them(cumulative: bool) -> None:
    model = SentenceTransformer(modules=[models.BoW(WORDS, IDF, 2.0, cumulative)])
    vector = model.encode("Rain, rain! tea")
    expected = np.zeros(len(WORDS))
    expected[WORDS.index("rain")] = 1.5 * (2 if cumulative else 1)
    expected[WORDS.index("tea")] = 0.5
    np.testing.assert_allclose(vector, expected)
    assert model.encode("garden")[WORDS.index("garden")] == 2.0
    with pytest.raises(ValueError, match="a bag of words has no token vectors"):
        model.encode(["tea"], output_value="token_embeddings")


def test_a_words_weight_may_be_that_of_its_lower_case_form() -> None:
    assert word_weights(["Tea", "tea", "rain"], {"tea": 2.0, "Rain": 5.0}, 1.0).tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.BoW([]), "vocab must hold words, each once"),
        (lambda: models.BoW(["tea", "tea"]), "vocab must hold words, each once"),
        (lambda: models.BoW("tea"), "vocab must be a list of words, not 'tea'"),
        (lambda: models.BoW(["tea", None]), "vocab must be a list of words"),  # type: ignore[list-item]
        (lambda: models.BoW(["tea"], {"tea": "much"}), "the weight of 'tea' must be a number"),  # type: ignore[dict-item]
        (lambda: models.WordWeights(["tea"], {}, True), "unknown_word_weight must be a number"),
        (
            lambda: models.WordEmbeddings(WhitespaceTokenizer(WORDS), drawn(3, 6)),
            r"each of the 12 words, but .* \(3, 6\)",
        ),
        (lambda: models.WordEmbeddings(WhitespaceTokenizer(WORDS), drawn(3)), "a row for each of the 12 words"),
        (
            lambda: models.chain_of([words(), models.WordWeights(WORDS[:3], {}), models.Pooling(6)]),
            "WordWeights has 3 words, but the encoder 12",
        ),
    ],
)
def test_what_does_not_fit_is_told(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
