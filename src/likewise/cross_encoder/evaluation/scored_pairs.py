"""The pairs that an evaluator asks a cross-encoder about, checked; and what the model gives for them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[str, str]


def checked_pairs(sentence_pairs: Iterable[Sequence[str]]) -> list[Pair]:
    """The pairs, two texts each.

    Raises:
        ValueError: There are none, or one of them is something else.
    """
    pairs = []
    for place, pair in enumerate(sentence_pairs):
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise ValueError(f"sentence_pairs[{place}] is {reprlib.repr(pair)}, but must be two texts")
        pairs.append((pair[0], pair[1]))
    if not pairs:
        raise ValueError("sentence_pairs holds no pair; give at least one")
    return pairs


def example_pairs(examples: Iterable[Any]) -> tuple[list[list[str]], list[Any]]:
    """Of examples as InputExample, their texts and their labels."""
    examples = list(examples)
    return [example.texts for example in examples], [example.label for example in examples]


def settings(prompt_name: str | None, batch_size: int | None, show_progress_bar: bool | None) -> dict[str, Any]:
    """What ``predict`` is called with beside the pairs; a prompt only where there is one."""
    prompt = {} if prompt_name is None else {"prompt_name": prompt_name}
    return {**prompt, "batch_size": batch_size, "show_progress_bar": show_progress_bar}


def predicted(model: Any, pairs: Sequence[Pair], settings: dict[str, Any]) -> NDArray[Any]:
    """What the model gives for each pair: (pairs,) where it has one label, (pairs, labels) where it has several.

    Raises:
        ValueError: It gives NaN or infinity.
    """
    scores = np.asarray(model.predict(list(pairs), **settings))
    wrong = np.flatnonzero(~np.isfinite(scores.reshape(len(pairs), -1)).all(axis=1))
    if len(wrong):
        pair = reprlib.repr(pairs[wrong[0]])
        raise ValueError(f"the model gives NaN or infinity for {len(wrong)} of {len(pairs)} pairs, one of them {pair}")
    return scores


def predicted_scores(model: Any, pairs: Sequence[Pair], settings: dict[str, Any]) -> NDArray[Any]:
    """The score of each pair, (pairs,).

    Raises:
        ValueError: The model gives NaN or infinity, or several numbers a pair.
    """
    scores = predicted(model, pairs, settings)
    if scores.ndim != 1:
        raise ValueError(f"the model gives {scores.shape[1]} numbers a pair; this needs one with a single label")
    return scores
