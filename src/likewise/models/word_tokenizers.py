"""Text → numbers of whole words, as models from the time before transformers need it."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from likewise.checkpoint.values import LARGEST_NUMBER, number, shortened
from likewise.tokens import TokenBatch, offsets_of


class WhitespaceTokenizer:
    """Splits at white space; a word that is not known is tried without punctuation around it, then in lower case.

    Words in ``stop_words``, and those that stay unknown, are left out.
    """

    file = "whitespacetokenizer_config.json"

    def __init__(self, vocab: Sequence[str] = (), stop_words: Sequence[str] = (), do_lower_case: bool = False):
        _check_words(vocab, "vocab")
        _check_words(stop_words, "stop_words")
        self.vocab = list(vocab)
        self.stop_words = list(stop_words)
        self.do_lower_case = do_lower_case
        self._ids = {word: index for index, word in enumerate(vocab)}  # the last one, of a word that comes twice
        self._left_out = frozenset(stop_words)

    def ids(self, text: str) -> list[int]:
        """The number of each known word."""
        words = (text.lower() if self.do_lower_case else text).split()
        found = (self._id(word) for word in words)
        return [index for index in found if index is not None]

    def tokenize(self, texts: Sequence[str], limit: int | None = None) -> TokenBatch:
        """The texts as packed word numbers; a text of more than ``limit`` words loses its end."""
        all_ids = [self.ids(text) for text in texts]
        full_lengths = np.array([len(ids) for ids in all_ids], dtype=np.int32)
        lengths = full_lengths if limit is None else np.minimum(full_lengths, limit)
        kept = [index for ids, length in zip(all_ids, lengths, strict=True) for index in ids[:length]]
        return TokenBatch(np.array(kept, dtype=np.int32), offsets_of(lengths), full_lengths)

    def settings(self) -> dict[str, Any]:
        """What whitespacetokenizer_config.json holds."""
        return {"vocab": self.vocab, "stop_words": self.stop_words, "do_lower_case": self.do_lower_case}

    def _id(self, word: str) -> int | None:
        stripped = word.strip(string.punctuation)
        for form in (word, stripped, stripped.lower()):
            if form in self._left_out:
                return None
            if form and form in self._ids:
                return self._ids[form]
        return None


def word_weights(vocab: Sequence[str], weights: Mapping[str, float], unknown: float) -> np.ndarray[Any, Any]:
    """The weight of each word of ``vocab``, (words,): its own, or that of its lower-case form, or ``unknown``.

    Raises:
        ValueError: ``vocab`` is no list of words, or ``weights`` no numbers by word.
    """
    _check_words(vocab, "vocab")
    if not isinstance(weights, Mapping):
        raise ValueError(f"word_weights must be numbers by word, not {shortened(weights)}")
    number(unknown, "unknown_word_weight", -LARGEST_NUMBER)
    for word, weight in weights.items():
        number(weight, f"the weight of {shortened(word)}", -LARGEST_NUMBER)
    return np.array([weights.get(word, weights.get(word.lower(), unknown)) for word in vocab], dtype=np.float32)


def _check_words(words: object, name: str) -> None:
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{name} must be a list of words, not {shortened(words)}")
