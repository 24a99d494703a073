"""Two texts each → one sequence of tokens a pair, as the model was taught to read them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likewise.tokens import TokenBatch, TokenizerError, is_table, offsets_of, tokenizer_errors

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around two texts, ``[CLS] first [SEP] second [SEP]``, and which segment each token is in."""

    before: Sequence[int]
    between: Sequence[int]
    after: Sequence[int]
    segments: (
        Sequence[int] | None
    )  # of: each of before, the first text, each of between, the second text, each of after

    @property
    def special(self) -> int:
        """The number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)


def pair_template(tokenizer: Tokenizer, has_segments: bool) -> PairTemplate:
    """How ``tokenizer`` joins two texts; without ``has_segments`` the model knows no segments.

    Raises:
        TokenizerError: It joins them in another way than one after the other.
    """
    with tokenizer_errors():
        encoding = tokenizer.encode("a", "a")
    ids, kinds, texts = encoding.ids, encoding.type_ids, encoding.sequence_ids
    first, second = ([place for place, text in enumerate(texts) if text == number] for number in (0, 1))
    if not first or not second or first[-1] > second[0]:
        raise TokenizerError(
            f"the tokenizer makes {encoding.tokens} of a pair of texts, which are not one behind the other"
        )
    chosen = [*range(first[0] + 1), *range(first[-1] + 1, second[0] + 1), *range(second[-1] + 1, len(ids))]
    segments = [kinds[place] for place in chosen]
    return PairTemplate(
        before=ids[: first[0]],
        between=ids[first[-1] + 1 : second[0]],
        after=ids[second[-1] + 1 :],
        segments=segments if has_segments and any(segments) else None,
    )


def pairs_of(inputs: object) -> tuple[bool, list[tuple[str, str]]]:
    """Whether ``inputs`` is one pair rather than an iterable of pairs, and the pairs.

    Raises:
        TypeError: Something is no pair of texts; the message names its position.
    """
    if isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable):
        found = f"{reprlib.repr(inputs)} ({type(inputs).__name__})"
        raise TypeError(f"expected a pair of texts or an iterable of pairs, but got {found}")
    if is_table(inputs):
        kind = type(inputs).__name__
        raise TypeError(
            f"expected pairs, but got a whole table ({kind}); give two columns, such as zip(t['a'], t['b'])"
        )
    given = list(inputs)
    is_single = bool(given) and isinstance(given[0], str)
    pairs = []
    for position, pair in enumerate([given] if is_single else given):
        texts = list(pair) if isinstance(pair, Iterable) and not isinstance(pair, str | bytes | Mapping) else [pair]
        if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"pair {position} is not two texts but {reprlib.repr(pair)} ({type(pair).__name__})")
        pairs.append((str(texts[0]), str(texts[1])))
    return is_single, pairs


def kept_lengths(
    first: NDArray[np.int32], second: NDArray[np.int32], room: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How many tokens of the texts of each pair stay so that both are at most ``room``, (pairs,) in and out.

    The longer text loses tokens until it is as short as the other one, then both do.
    """
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    is_cut = first + second > room
    longer = np.where(is_cut, np.maximum(shorter, room - shorter), longer)
    are_both = is_cut & (shorter + longer > room)
    shorter = np.where(are_both, room // 2, shorter).astype(np.int32)
    longer = np.where(are_both, room - room // 2, longer).astype(np.int32)
    is_first_longer = first > second
    return np.where(is_first_longer, longer, shorter), np.where(is_first_longer, shorter, longer)


def joined(left: TokenBatch, right: TokenBatch, template: PairTemplate, max_length: int) -> TokenBatch:
    """The pairs of each text of ``left`` and the one of ``right`` at its place, both without special tokens.

    A pair over ``max_length`` tokens, special ones included, is cut as ``kept_lengths`` says.

    Raises:
        ValueError: ``max_length`` leaves no room for the texts.
    """
    if max_length <= template.special:
        raise ValueError(
            f"max_length is {max_length}, but the model adds {template.special} special tokens to each pair; set it to "
            f"{template.special + 2} or more"
        )
    room = max_length - template.special
    # Texts that no pair could hold have lost their ends already; which was the longer one still counts.
    kept_left, kept_right = kept_lengths(left.full_lengths, right.full_lengths, room)
    offsets = offsets_of(kept_left + kept_right + template.special)
    ids = np.empty(offsets[-1], dtype=np.int32)
    kinds = np.zeros(offsets[-1], dtype=np.int32)
    at = offsets[:-1].astype(np.int64)  # where the next token of each pair goes

    def put_special(tokens: Sequence[int], segments: Sequence[int]) -> None:
        nonlocal at
        for token, segment in zip(tokens, segments, strict=True):
            ids[at], kinds[at] = token, segment
            at = at + 1

    def put_texts(batch: TokenBatch, lengths: NDArray[np.int32], segment: int) -> None:
        nonlocal at
        within = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
        places = np.repeat(at, lengths) + within
        ids[places], kinds[places] = batch.ids[np.repeat(batch.offsets[:-1], lengths) + within], segment
        at = at + lengths

    segments = template.segments or [0] * (template.special + 2)
    first, second = len(template.before), len(template.before) + 1 + len(template.between)
    put_special(template.before, segments[:first])
    put_texts(left, kept_left, segments[first])
    put_special(template.between, segments[first + 1 : second])
    put_texts(right, kept_right, segments[second])
    put_special(template.after, segments[second + 1 :])
    return TokenBatch(
        ids=ids,
        offsets=offsets,
        full_lengths=left.full_lengths + right.full_lengths + template.special,
        segments=None if template.segments is None else kinds,
    )
