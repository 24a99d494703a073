"""Text to packed tokens: tokenising, sorting by exact length, cutting into batches by a token budget."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Item = TypeVar("Item")

MOST_TOKENS = 2**31 - 1  # what offsets of 32 bits can count
TEXTS_AT_ONCE = 2048  # handed to the tokenizer together: enough for all cores, and its records stay few


class TokenizerError(ValueError):
    """A tokenizer fails, or its tokens are not the model's: its files are damaged or another model's."""


class NoText(TypeError):  # noqa: N818, it says what is the matter
    """Where a text should be, there is something else."""

    def __init__(self, position: int, text: object):
        found = f"{reprlib.repr(text)} ({type(text).__name__})"
        super().__init__(f"text {position} is no string but {found}; {_advice(text)}")
        self.position, self.text = position, text

    def __reduce__(self) -> tuple[type[NoText], tuple[int, object]]:
        return NoText, (self.position, self.text)  # by default it would be made again of its message

    def at(self, position: int) -> NoText:
        """The same for a text that is at another position among more texts."""
        return NoText(position, self.text)


class LoneSurrogate(ValueError):  # noqa: N818, it says what is the matter
    """A text holds half of a character."""

    def __init__(self, position: int, text: str):
        self.reason = (
            f"holds a lone surrogate, half of a character, which has no UTF-8 form: {reprlib.repr(text)}; "
            "decode its source with errors='replace'"
        )
        super().__init__(f"text {position} {self.reason}")
        self.position, self.text = position, text

    def at(self, position: int) -> LoneSurrogate:
        """The same for a text that is at another position among more texts."""
        return LoneSurrogate(position, self.text)

    def __reduce__(self) -> tuple[type[LoneSurrogate], tuple[int, str]]:
        return LoneSurrogate, (self.position, self.text)  # by default it would be made again of its message


class TooLong(ValueError):  # noqa: N818, it says what is the matter
    """A text has more tokens than the model reads, and nothing of it may be lost."""

    def __init__(self, position: int, tokens: int, limit: float):
        self.reason = (
            f'has {tokens:,} tokens, and the model reads {limit:,}; cut it, or give long_texts="chunk" to embed it in '
            'chunks or "truncate" to leave the rest out'
        )
        super().__init__(f"text {position} {self.reason}")
        self.position, self.tokens, self.limit = position, tokens, limit

    def at(self, position: int) -> TooLong:
        """The same for a text that is at another position among more texts."""
        return TooLong(position, self.tokens, self.limit)

    def __reduce__(self) -> tuple[type[TooLong], tuple[int, int, float]]:
        return TooLong, (self.position, self.tokens, self.limit)  # by default it would be made again of its message


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Several tokenised texts laid end to end, without padding."""

    ids: NDArray[np.int32]  # (tokens,); text i is ids[offsets[i]:offsets[i + 1]]
    offsets: NDArray[np.int32]  # (texts + 1,), offsets[0] == 0
    full_lengths: NDArray[np.int32]  # (texts,), tokens before truncation
    prompt_lengths: NDArray[np.int32] | None = None  # (texts,), tokens that the pooling leaves out, where it does
    segments: NDArray[np.int32] | None = None  # (tokens,), 0 / 1 for the two texts of a cross-encoder pair

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int32]:
        """The number of tokens of each text, (texts,)."""
        return np.diff(self.offsets)

    def take(self, chosen: NDArray[np.intp]) -> TokenBatch:
        """The texts with the indices ``chosen``, in that order."""
        lengths = self.offsets[chosen + 1] - self.offsets[chosen]  # of the chosen alone: there may be millions
        offsets = offsets_of(lengths)
        shifts = np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        places = np.arange(offsets[-1], dtype=np.int32) + shifts  # (tokens,), where each token comes from
        return TokenBatch(
            ids=self.ids[places],
            offsets=offsets,
            full_lengths=self.full_lengths[chosen],
            prompt_lengths=None if self.prompt_lengths is None else self.prompt_lengths[chosen],
            segments=None if self.segments is None else self.segments[places],
        )


def offsets_of(lengths: NDArray[np.integer]) -> NDArray[np.int32]:
    """Where each text begins and the last one ends: (texts,) lengths → (texts + 1,) offsets.

    Raises:
        ValueError: The texts have more tokens than 32 bits count.
    """
    total = int(lengths.sum(dtype=np.int64))
    if total > MOST_TOKENS:
        raise ValueError(f"{total:,} tokens are more than {MOST_TOKENS:,}, the most at once; give the texts in parts")
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def concatenated(batches: Sequence[TokenBatch]) -> TokenBatch:
    """One batch with the texts of all ``batches``, in order; where one marks its prompts, those of others are empty."""
    if len(batches) == 1:
        return batches[0]
    prompts = [batch.prompt_lengths for batch in batches]
    has_prompts = any(lengths is not None for lengths in prompts)
    return TokenBatch(
        ids=np.concatenate([batch.ids for batch in batches]),
        offsets=offsets_of(np.concatenate([batch.lengths for batch in batches])),
        full_lengths=np.concatenate([batch.full_lengths for batch in batches]),
        prompt_lengths=np.concatenate(
            [
                np.zeros(len(batch), np.int32) if lengths is None else lengths
                for batch, lengths in zip(batches, prompts, strict=True)
            ]
        )
        if has_prompts
        else None,
    )


def tokenize(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int | None = None,
    prompt_length: int = 0,
    special: bool = True,
    vocabulary: int | None = None,
) -> TokenBatch:
    """Tokenise ``texts``, with the model's ``special`` tokens; a text over ``max_length`` loses tokens at its end.

    The first ``prompt_length`` tokens of each text are marked for the pooling to leave out; one token always stays.
    The model has a vector for each token below ``vocabulary``.

    Raises:
        LoneSurrogate: A text holds half of a character.
        ValueError: ``max_length`` leaves no room for text.
        TokenizerError: The tokenizer fails, or gives a token that the model does not have.
    """
    before, after = special_tokens(tokenizer) if special else (0, 0)
    if max_length is not None and max_length <= before + after:
        raise ValueError(
            f"max_seq_length is {max_length}, but the model adds {before + after} special tokens to each text; "
            f"set it to {before + after + 1} or more"
        )
    pieces: list[NDArray[np.int32]] = []
    full_lengths = np.empty(len(texts), dtype=np.int32)
    starts = range(0, len(texts), TEXTS_AT_ONCE)
    encoded = (_encode(tokenizer, texts, start, special) for start in starts)
    for start, encodings in zip(starts, one_ahead(encoded, len(starts)), strict=True):
        ids = [encoding.ids for encoding in encodings]
        full_lengths[start : start + len(ids)] = [len(text_ids) for text_ids in ids]
        if max_length is not None:
            kept = max_length - after
            ids = [i if len(i) <= max_length else i[:kept] + i[len(i) - after :] for i in ids]
        pieces.append(_packed(ids))
    lengths = full_lengths if max_length is None else np.minimum(full_lengths, max_length)
    packed = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)
    check_tokens(packed, vocabulary)
    return TokenBatch(
        ids=packed,
        offsets=offsets_of(lengths),
        full_lengths=full_lengths,
        prompt_lengths=np.minimum(prompt_length, lengths - 1).astype(np.int32) if prompt_length else None,
    )


def check_tokens(ids: NDArray[np.int32], vocabulary: int | None) -> None:
    """Refuse a token that the model has no vector for; it has one for each below ``vocabulary``.

    Raises:
        TokenizerError: There is one.
    """
    if vocabulary is not None and (highest := int(ids.max(initial=0))) >= vocabulary:
        raise TokenizerError(f"the tokenizer gives the token {highest}, but the model has {vocabulary} tokens")


@contextmanager
def tokenizer_errors() -> Iterator[None]:
    """Raise a TokenizerError where the tokenizers library fails; a TypeError is a text's fault.

    It raises plain Exception, and the panics of its Rust are not even that.
    """
    try:
        yield
    except (ImportError, TypeError, TokenizerError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"the tokenizer fails: {reprlib.repr(str(error))}") from error


def prompt_length(tokenizer: Tokenizer, prompt: str) -> int:
    """How many tokens ``prompt`` takes at the start of a text: its own and the special ones before it."""
    with tokenizer_errors():
        return len(tokenizer.encode(prompt).ids) - special_tokens(tokenizer)[1]


def special_tokens(tokenizer: Tokenizer) -> tuple[int, int]:
    """How many special tokens the tokenizer puts before and after a text: (1, 1) for ``[CLS] text [SEP]``."""
    with tokenizer_errors():
        mask = tokenizer.encode("a").special_tokens_mask
    if 0 not in mask:
        return len(mask), 0
    return mask.index(0), mask[::-1].index(0)


def one_ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Pass on the ``count`` items; while one is used, the next is made in a thread.

    It pays for what the tokenizer makes, for it holds no lock of Python's while it works.
    """
    if count < 2:
        yield from items
        return
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items)
        for place in range(count):
            item = following.result()
            if place + 1 < count:
                following = thread.submit(next, items)
            yield item


def batches_by_length(
    lengths: NDArray[np.int32], token_budget: int, max_texts: int | None = None
) -> Iterator[NDArray[np.intp]]:
    """Cut texts into batches of similar length, longest first: yields the indices of each batch's texts.

    Each batch holds at most ``token_budget`` tokens (a longer text is a batch by itself) and ``max_texts`` texts.
    Longest first, so that what does not fit into memory fails at once. Equal lengths keep their order.
    """
    order = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[order], dtype=np.int64)  # tokens up to and with each text
    start, spent = 0, 0
    while start < len(order):
        stop = max(int(np.searchsorted(ends, spent + token_budget, side="right")), start + 1)
        if max_texts is not None:
            stop = min(stop, start + max_texts)
        yield order[start:stop]
        start, spent = stop, int(ends[stop - 1])


def encodings_with_places(tokenizer: Tokenizer, texts: Sequence[str], special: bool) -> list[Encoding]:
    """What the tokenizer makes of ``texts``, where each token stands in its text included; nothing is cut.

    Raises:
        LoneSurrogate: A text holds half of a character.
        TokenizerError: The tokenizer fails.
    """
    return [
        encoding
        for start in range(0, len(texts), TEXTS_AT_ONCE)
        for encoding in _encode(tokenizer, texts, start, special, with_places=True)
    ]


def _encode(
    tokenizer: Tokenizer, texts: Sequence[str], start: int, special: bool, with_places: bool = False
) -> list[Encoding]:
    chunk = list(texts[start : start + TEXTS_AT_ONCE])
    encode = tokenizer.encode_batch if with_places else tokenizer.encode_batch_fast
    try:
        with tokenizer_errors():
            return encode(chunk, add_special_tokens=special)
    except TypeError:
        for position, text in enumerate(chunk, start):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise LoneSurrogate(position, text) from None
        raise


def _packed(ids: list[list[int]]) -> NDArray[np.int32]:
    try:
        return np.fromiter(chain.from_iterable(ids), dtype=np.int32)
    except OverflowError as error:
        raise TokenizerError(f"the tokenizer gives the token {max(map(max, ids))}, more than any model has") from error


def texts_of(inputs: object) -> list[str]:
    """The texts in any iterable: a list, a generator, a pandas or polars Series, an Arrow array, a datasets column.

    Raises:
        TypeError: ``inputs`` are no texts; or, as NoText, an item is no string, and the message names its position.
    """
    check_iterable(inputs)
    texts: list[str] = inputs.to_pylist() if hasattr(inputs, "to_pylist") else list(inputs)  # type: ignore[call-overload]
    for position, text in enumerate(texts):
        if type(text) is not str:
            if not isinstance(text, str):
                raise NoText(position, text)
            texts[position] = str.__str__(text)  # of a kind that other processes may not know
    return texts


def each_of(inputs: object) -> Iterator[object]:
    """What ``texts_of`` would list, one after the other, as it comes; its items are not checked yet.

    Raises:
        TypeError: ``inputs`` are no texts.
    """
    check_iterable(inputs)
    items = iter(inputs)  # type: ignore[call-overload]
    return (item.as_py() for item in items) if hasattr(inputs, "to_pylist") else items


def is_table(inputs: object) -> bool:
    """Whether ``inputs`` have columns, as data frames, Arrow tables and data sets do: iterating gives no texts."""
    return hasattr(inputs, "columns") or hasattr(inputs, "column_names")


def check_iterable(inputs: object) -> None:
    """Check that ``inputs`` can be iterated over as texts.

    Raises:
        TypeError: They cannot.
    """
    if is_table(inputs):
        kind = type(inputs).__name__
        raise TypeError(
            f"expected texts, but got a whole table ({kind}); give one of its columns, such as table['text']"
        )
    if not isinstance(inputs, Iterable) or isinstance(inputs, bytes | Mapping):
        found = f"{reprlib.repr(inputs)} ({type(inputs).__name__})"
        raise TypeError(f"expected a string or an iterable of strings, but got {found}")


def _advice(value: object) -> str:
    if isinstance(value, bytes):
        return "decode it first, for example with .decode('utf-8')"
    if value is None or isinstance(value, float | np.floating) or type(value).__name__ == "NAType":  # pandas.NA
        return "leave missing texts out, or give an empty string for each"
    if isinstance(value, list | tuple):
        return "pairs are for a cross-encoder; here each text is embedded by itself"
    if isinstance(value, Mapping):
        return "take the text out of it, for example with row['text']"
    return "turn it into one first, for example with str()"
