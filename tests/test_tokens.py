"""Text to packed tokens, against Transformers' own tokenizers and by property."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st
from numpy.typing import NDArray
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from likewise import tokens
from likewise.checkpoint.tokenizer import read_tokenizer
from likewise.tokens import (
    MOST_TOKENS,
    TokenBatch,
    batches_by_length,
    offsets_of,
    prompt_length,
    special_tokens,
    texts_of,
    tokenize,
)
from tests.tiny_checkpoints import save_tokenizer

TEXTS = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["the", "kettle", "boils", "tea", "x9", "[SEP]", "</s>", ",", "é"]), max_size=40).map(
            " ".join
        ),
    ),
    max_size=6,
)
LENGTHS = np_st.arrays(np.int32, st.integers(0, 40), elements=st.integers(1, 60))


@pytest.fixture(scope="module", params=["bert", "roberta", "byte-level"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer, as a checkpoint holds it."""
    folder = tmp_path_factory.mktemp("tokenizer")
    if request.param != "byte-level":
        save_tokenizer(folder, request.param)
        return folder
    trained = ByteLevelBPETokenizer()
    lines = ["the kettle boils and the tea is ready", "rain falls on the bridge and the river"] * 3
    trained.train_from_iterator(lines, vocab_size=330, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    trained.save_model(str(folder))  # vocab.json and merges.txt, as RoBERTa's first checkpoints
    (folder / "config.json").write_text('{"model_type": "roberta"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return read_tokenizer(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    """The same tokenizer, in Transformers."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("bert")
    save_tokenizer(folder)
    return read_tokenizer(folder)


def texts_of_batch(batch: TokenBatch) -> list[list[int]]:
    return [ids.tolist() for ids in np.split(batch.ids, batch.offsets[1:-1])] if len(batch) else []


# Tokenising


@given(texts=TEXTS, max_length=st.one_of(st.none(), st.integers(3, 40)))
def test_tokens_and_truncation_are_those_of_transformers(
    texts: list[str], max_length: int | None, tokenizer: Tokenizer, theirs: Any
) -> None:
    batch = tokenize(tokenizer, texts, max_length)
    whole = [theirs(text)["input_ids"] for text in texts]
    expected = [theirs(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
    assert texts_of_batch(batch) == (whole if max_length is None else expected)
    assert batch.full_lengths.tolist() == [len(ids) for ids in whole]
    assert batch.lengths.tolist() == [len(ids) for ids in texts_of_batch(batch)]
    assert batch.prompt_lengths is None
    assert batch.segments is None


def test_every_text_has_a_first_and_a_last_token_of_its_own(tokenizer: Tokenizer) -> None:
    assert special_tokens(tokenizer) == (1, 1)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 15])
def test_texts_handed_over_in_parts_make_one_batch(
    count: int, bert: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"the kettle {'boils ' * index}" for index in range(count)]
    whole = tokenize(bert, texts, 9)
    monkeypatch.setattr(tokens, "TEXTS_AT_ONCE", 7)
    parts = tokenize(bert, texts, 9)
    assert texts_of_batch(parts) == texts_of_batch(whole)
    assert parts.full_lengths.tolist() == whole.full_lengths.tolist()
    assert {str(array.dtype) for array in (parts.ids, parts.offsets, parts.full_lengths)} == {"int32"}


def test_a_limit_without_room_for_text_is_refused(bert: Tokenizer) -> None:
    with pytest.raises(ValueError, match="adds 2 special tokens to each text; set it to 3 or more"):
        tokenize(bert, ["tea"], 2)


def test_a_prompt_is_as_long_as_its_tokens_and_the_first_one(bert: Tokenizer) -> None:
    assert prompt_length(bert, "the kettle: ") == 1 + 3
    assert prompt_length(bert, "") == 1


@pytest.mark.parametrize(("skipped", "max_length", "expected"), [(4, None, [4, 4, 3]), (4, 4, [3, 3, 3]), (0, 4, None)])
def test_one_token_stays_behind_a_prompt(
    skipped: int, max_length: int | None, expected: list[int] | None, bert: Tokenizer
) -> None:
    batch = tokenize(bert, ["the kettle: tea", "the kettle: tea and rain", "tea a"], max_length, skipped)
    assert (None if batch.prompt_lengths is None else batch.prompt_lengths.tolist()) == expected


# Packing


def packed(texts: Sequence[Sequence[int]], full_lengths: Sequence[int], extras: bool) -> TokenBatch:
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    return TokenBatch(
        ids=ids,
        offsets=offsets_of(np.array([len(text) for text in texts], dtype=np.int32)),
        full_lengths=np.array(full_lengths, dtype=np.int32),
        prompt_lengths=np.arange(len(texts), dtype=np.int32) if extras else None,
        segments=ids % 2 if extras else None,
    )


@given(
    texts=st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=6),
    extras=st.booleans(),
    data=st.data(),
)
def test_take_gives_the_chosen_texts_in_that_order(texts: list[list[int]], extras: bool, data: st.DataObject) -> None:
    batch = packed(texts, range(100, 100 + len(texts)), extras)
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=8))
    part = batch.take(np.array(chosen, dtype=np.intp))
    assert len(part) == len(chosen)
    assert texts_of_batch(part) == [texts[index] for index in chosen]
    assert part.full_lengths.tolist() == [100 + index for index in chosen]
    if extras:
        assert part.prompt_lengths is not None
        assert part.segments is not None
        assert part.prompt_lengths.tolist() == chosen
        assert part.segments.tolist() == [token % 2 for index in chosen for token in texts[index]]
    else:
        assert part.prompt_lengths is part.segments is None


@given(lengths=LENGTHS)
def test_offsets_are_where_texts_begin_and_end(lengths: NDArray[np.int32]) -> None:
    offsets = offsets_of(lengths)
    assert offsets.dtype == np.int32
    assert offsets.tolist() == [sum(lengths[:place].tolist()) for place in range(len(lengths) + 1)]


def test_more_tokens_than_offsets_can_count_are_refused() -> None:
    assert offsets_of(np.array([MOST_TOKENS - 1, 1], dtype=np.int32)).tolist() == [0, MOST_TOKENS - 1, MOST_TOKENS]
    with pytest.raises(ValueError, match="2,147,483,648 tokens are more than 2,147,483,647"):
        offsets_of(np.array([MOST_TOKENS, 1], dtype=np.int32))


# Cutting into batches


@given(lengths=LENGTHS, token_budget=st.integers(1, 150), max_texts=st.one_of(st.none(), st.integers(1, 6)))
def test_batches_hold_every_text_once_within_the_budget(
    lengths: NDArray[np.int32], token_budget: int, max_texts: int | None
) -> None:
    batches = list(batches_by_length(lengths, token_budget, max_texts))
    order = [index for batch in batches for index in batch.tolist()]
    assert sorted(order) == list(range(len(lengths)))
    assert lengths[order].tolist() == sorted(lengths.tolist(), reverse=True)  # longest first
    for batch in batches:
        assert len(batch) >= 1
        assert lengths[batch].sum() <= token_budget or len(batch) == 1
        assert max_texts is None or len(batch) <= max_texts
    for batch, following in pairwise(batches):  # no batch is smaller than it has to be
        is_full = max_texts is not None and len(batch) == max_texts
        assert is_full or lengths[batch].sum() + lengths[following[0]] > token_budget


@given(lengths=LENGTHS)
def test_texts_of_equal_length_keep_their_order(lengths: NDArray[np.int32]) -> None:
    order = [index for batch in batches_by_length(lengths, 50) for index in batch.tolist()]
    for length in set(lengths.tolist()):
        same = [index for index in order if lengths[index] == length]
        assert same == sorted(same)


def test_texts_of_another_class_become_plain_ones() -> None:
    class Title(str):
        __slots__ = ()

    given = [Title("tea"), "kettle"]
    assert [type(text) for text in texts_of(given)] == [str, str]
    assert type(given[0]) is Title
