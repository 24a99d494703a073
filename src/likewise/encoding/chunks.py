"""Long texts in chunks that a model can read: cut at sentence borders where that is possible."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from likewise import models
from likewise.passages import sentences
from likewise.tokens import MOST_TOKENS, TokenBatch, check_tokens, encodings_with_places, offsets_of, special_tokens

Span = tuple[int, int]  # from here up to there


@dataclass(frozen=True, slots=True)
class LocatedTokens:
    """The tokens of one text, with the place of each."""

    text: str
    ids: NDArray[np.int32]  # (tokens,), of the text alone
    places: NDArray[np.int64]  # (tokens, 2), from which character of the text to which
    before: NDArray[np.int32]  # the special tokens and the prompt that stand before it
    after: NDArray[np.int32]

    def characters(self, tokens: Span) -> Span:
        """Which characters of the text these of its tokens are, without white space around them."""
        first, last = tokens
        if first == last:
            return 0, 0
        start, stop = int(self.places[first:last, 0].min()), int(self.places[first:last, 1].max())
        while start < stop and self.text[start].isspace():
            start += 1
        while start < stop and self.text[stop - 1].isspace():
            stop -= 1
        return start, stop


def located_tokens(chain: models.Chain, texts: Sequence[str], prompt: str | None) -> list[LocatedTokens]:
    """The tokens of each text, whole, with ``prompt`` before it.

    Raises:
        ValueError: The model's tokenizer does not tell where its tokens stand.
        LoneSurrogate, TokenizerError: As ``tokens.tokenize``.
    """
    source = chain.source
    tokenizer = source.tokenizer
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(
            f"texts cannot be cut into chunks for a {type(source).__name__} with a {type(tokenizer).__name__}, which "
            "does not tell where a token stands in its text; cut them yourself, for example with likewise.passages"
        )
    has_special = not isinstance(source, models.StaticEmbedding)
    before, after = special_tokens(tokenizer) if has_special else (0, 0)
    prompt = prompt or ""
    found = []
    for text, encoding in zip(
        texts, encodings_with_places(tokenizer, [prompt + text for text in texts], has_special), strict=True
    ):
        ids = np.array(encoding.ids, dtype=np.int32)
        check_tokens(ids, getattr(source, "vocabulary", tokenizer.get_vocab_size()))
        places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        end = len(ids) - after
        is_text = places[before:end, 1] > len(prompt) if prompt else np.ones(end - before, dtype=bool)
        start = before + (int(is_text.argmax()) if is_text.any() else end - before)
        own = np.maximum(places[start:end] - len(prompt), 0)
        found.append(LocatedTokens(text, ids[start:end], own, ids[:start], ids[end:]))
    return found


def room_for(tokens: LocatedTokens, chain: models.Chain) -> int:
    """How many tokens of a text the model reads at once.

    Raises:
        ValueError: With the prompt there is room for none.
    """
    around = len(tokens.before) + len(tokens.after)
    room = min(chain.source.max_seq_length, MOST_TOKENS) - around
    if room < 1:
        raise ValueError(
            f"the prompt leaves no room for text: with the special tokens it takes {around} of the "
            f"{chain.source.max_seq_length} tokens that the model reads; give a shorter one"
        )
    return int(room)


def cut(tokens: LocatedTokens, most: int, overlap: int = 0) -> list[Span]:
    """Cut a text into spans of at most ``most`` tokens, in order: each (first token, one behind its last).

    A span ends with a sentence, or where none ends within it with a word, or else where ``most`` tokens are full. The
    next one starts with as many of the last whole sentences as ``overlap`` tokens hold, or of the last words, where a
    sentence was cut; where that leaves no room for more, it starts where the one before ended.

    Raises:
        ValueError: ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"a chunk must hold 1 token or more, not {most}")
    count = len(tokens.ids)
    if count <= most:
        return [(0, count)]
    of_sentences, of_words = borders = _borders(tokens)

    def end_of(first: int) -> int:
        limit = first + most
        if limit >= count:
            return count
        last = (places[bisect_right(places, limit) - 1] for places in borders if places and places[0] <= limit)
        return next((place for place in last if place > first), limit)

    def start_after(first: int, last: int) -> int:
        places = of_sentences if last in of_sentences else of_words
        repeated = places[bisect_left(places, max(last - overlap, first + 1)) : bisect_left(places, last)]
        return next((place for place in repeated if end_of(place) > last), last)

    spans = []
    first = 0
    while True:
        last = end_of(first)
        spans.append((first, last))
        if last == count:
            return spans
        first = start_after(first, last)


def batch_of(spans: Sequence[tuple[LocatedTokens, Span]], marks_prompt: bool) -> TokenBatch:
    """Spans of texts as packed tokens, each with the prompt and the special tokens of its text around it.

    ``marks_prompt`` marks the prompts for the pooling to leave out.
    """
    ids = [np.concatenate([tokens.before, tokens.ids[slice(*span)], tokens.after]) for tokens, span in spans]
    lengths = np.array([len(each) for each in ids], dtype=np.int32)
    prompts = np.array([len(tokens.before) for tokens, _ in spans], dtype=np.int32)
    return TokenBatch(
        ids=np.concatenate([np.empty(0, np.int32), *ids]),
        offsets=offsets_of(lengths),
        full_lengths=lengths,
        prompt_lengths=np.maximum(np.minimum(prompts, lengths - 1), 0) if marks_prompt else None,
    )


def _borders(tokens: LocatedTokens) -> tuple[list[int], list[int]]:
    """The tokens that sentences start with, and those that words start with, the first token excepted."""
    starts = tokens.places[:, 0]
    of_sentences = np.searchsorted(starts, [start for start, _ in sentences(tokens.text)])
    return sorted({int(place) for place in of_sentences if 0 < place < len(starts)}), list(_word_starts(tokens))


def _word_starts(tokens: LocatedTokens) -> Iterator[int]:
    text, places = tokens.text, tokens.places.tolist()
    for token, ((_, end_before), (start, _)) in enumerate(pairwise(places), start=1):
        around = text[max(0, start - 1) : start + 1]  # a token may hold the white space before its word
        if start > end_before or (start == end_before and any(map(str.isspace, around))):
            yield token
