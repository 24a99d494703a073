"""The columns that an evaluator is made of: checked when it is made, and embedded with each text computed once."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.similarity import SimilarityFunction


def checked_texts(least: int = 1, **columns: Iterable[str]) -> list[list[str]]:
    """The columns as lists of text, all equally long, of at least ``least`` rows.

    Raises:
        ValueError: They are not; the message names the column.
    """
    found = []
    for name, values in columns.items():
        if isinstance(values, str):
            raise ValueError(f"{name} must hold several texts, not be one: {reprlib.repr(values)}; give a list")
        texts = list(values)
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"{name}[{place}] is {reprlib.repr(text)}, which is not text; leave the row out")
        found.append(texts)
    check_lengths(least, **dict(zip(columns, found, strict=True)))
    return found


def check_lengths(least: int = 1, **columns: Sequence[Any]) -> None:
    """Raise ValueError, with all lengths, unless the columns are equally long and have ``least`` rows or more."""
    lengths = {name: len(column) for name, column in columns.items()}
    told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
    if len(set(lengths.values())) > 1:
        raise ValueError(f"all columns must be equally long, but {told}")
    if min(lengths.values()) < least:
        raise ValueError(f"there must be {least} row{'s' * (least > 1)} or more, but {told}")


def checked_numbers(name: str, values: Iterable[Any]) -> NDArray[np.float64]:
    """The values as numbers, (rows,).

    Raises:
        ValueError: One of them is none, or it is NaN or infinite.
    """
    values = list(values)
    for place, value in enumerate(values):
        try:
            is_finite = bool(np.isfinite(float(value)))
        except (TypeError, ValueError):
            is_finite = False
        if not is_finite:
            raise ValueError(f"{name}[{place}] is {reprlib.repr(value)}, not a number; leave the row out")
    return np.array([float(value) for value in values], dtype=np.float64)


def checked_functions(names: Iterable[str] | None, main: str | None = None) -> list[str]:
    """The names of the similarity functions to use: ``names``, or ``main`` alone; none means the model's own.

    Raises:
        ValueError: One of them is not known.
    """
    if isinstance(names, str):
        raise ValueError(f"similarity_fn_names must be a list, such as [{names!r}], not a text")
    chosen = list(names or ([main] if main else []))
    return [SimilarityFunction(name).value for name in chosen]


def embed_once(encode: Callable[..., Any], columns: Sequence[Sequence[str]], **settings: Any) -> list[NDArray[Any]]:
    """The embeddings of each column, (rows, dim) each; a text that occurs several times is computed once.

    ``encode`` takes a list of texts, and ``settings``.

    Raises:
        ValueError: The model gives NaN or infinity for a text.
    """
    places: dict[str, int] = {}
    indices = [np.array([places.setdefault(text, len(places)) for text in column], dtype=np.intp) for column in columns]
    texts = list(places)
    vectors = np.asarray(encode(texts, **settings))
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=-1))
    if len(wrong):
        text = reprlib.repr(texts[wrong[0]])
        raise ValueError(f"the model gives NaN or infinity for {len(wrong)} of {len(texts)} texts, one of them {text}")
    return [vectors[index] for index in indices]


def example_columns(examples: Iterable[Any], texts: int) -> list[list[Any]]:
    """Of examples as InputExample, their first ``texts`` texts and their labels, each a column.

    Raises:
        ValueError: An example has fewer texts.
    """
    examples = list(examples)
    for place, example in enumerate(examples):
        if len(example.texts) < texts:
            raise ValueError(f"example {place} has {len(example.texts)} texts, but {texts} are needed")
    return [
        *([example.texts[column] for example in examples] for column in range(texts)),
        [example.label for example in examples],
    ]
