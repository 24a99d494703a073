"""Pairs are cut as the tokenizers library cuts them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from likewise.cross_encoder.pairs import joined, pair_template
from likewise.tokens import tokenize
from tests.tiny_checkpoints import POSITIONS, WORDS, save_tokenizer

COUNTS = st.integers(0, 56)  # of words, and of tokens


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@settings(max_examples=100)
@given(COUNTS, COUNTS, st.integers(4, POSITIONS), st.integers(0, 30))
def test_the_longer_text_is_cut_as_by_the_tokenizers_library(
    tokenizer: Tokenizer, first: int, second: int, limit: int, spare: int
) -> None:
    """Also where both texts were cut before, to ``limit`` and some ``spare`` tokens."""
    texts = [" ".join((WORDS * 2)[:count]) for count in (first, second)]
    tokenizer.no_truncation()
    whole = tokenizer.encode(texts[0], texts[1])
    parts = tokenize(tokenizer, texts, limit + spare, special=False)
    pair = joined(
        parts.take(np.array([0])), parts.take(np.array([1])), pair_template(tokenizer, has_segments=True), limit
    )
    tokenizer.enable_truncation(limit, strategy="longest_first")
    cut = tokenizer.encode(texts[0], texts[1])
    assert pair.ids.tolist() == cut.ids
    assert pair.segments is not None
    assert pair.segments.tolist() == cut.type_ids
    assert pair.full_lengths.tolist() == [len(whole.ids)]
