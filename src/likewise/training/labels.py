"""Labels as data sets hold them, numbers, numbers written as text, or names of classes, as an array."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_GOLD_LABEL = "-"  # SNLI, where its annotators did not agree


@dataclass(frozen=True)
class Labels:
    """The label of each row."""

    # (rows,) int64 or float32, (rows, numbers) float32, or (rows,) of float32 arrays; any value where there is none
    values: NDArray[Any]
    is_missing: NDArray[np.bool_]  # (rows,)
    classes: tuple[str, ...] = ()  # their index is the label


def labels_of(
    values: Sequence[Any], classes: Sequence[str] = (), is_score: bool = False, are_lists: bool = False
) -> Labels:
    """Read a column of labels.

    Text is a number where all of it is; else it names classes, which are numbered in the order of ``classes``, by
    default the alphabet's. Missing are None, NaN, infinity, blank text, "-", and -1 among classes: beside 0 and
    without other negative numbers, unless the column ``is_score``. Where the labels ``are_lists``, each row may have
    another number of them.

    Raises:
        ValueError: Labels are of several kinds or none of these, or a class is not in ``classes``.
    """
    present = [value for value in values if not is_missing(value) and not _is_no_gold(value)]
    kinds = {_kind(value): value for value in reversed(present)}
    if "" in kinds:
        raise ValueError(f"{_shown(kinds[''])} is no label; a label is a number, several, or the name of a class")
    if len(kinds) > 1:
        raise ValueError(f"labels must be of one kind, but there are {' and '.join(map(_shown, kinds.values()))}")
    if are_lists and kinds.keys() != {"numbers"}:
        raise ValueError("where a row has a list of texts, its label must be a list of numbers")
    if "numbers" in kinds:
        return _lists(values) if are_lists else _vectors(values)
    if "text" in kinds:
        return _of_texts([value.strip() if isinstance(value, str) else "" for value in values], classes, is_score)
    return _numbers(values, classes, is_score)


def is_missing(value: Any) -> bool:
    """Whether a value is what tables write for none: None, NaN, pandas.NA, or blank text."""
    if isinstance(value, str):
        return not value or value.isspace()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def _is_no_gold(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == NO_GOLD_LABEL


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float | np.number | np.bool_):
        return "number"
    return "numbers" if isinstance(value, list | tuple | np.ndarray) else ""


def _of_texts(texts: list[str], classes: Sequence[str], is_score: bool) -> Labels:
    names = {text for text in texts if text and text != NO_GOLD_LABEL}
    numbers = {name: _number(name) for name in names}
    if not names <= set(classes):
        words = sorted(name for name, number in numbers.items() if number is None)
        if not words:
            return _numbers([numbers.get(text) for text in texts], classes, is_score)
        if classes:
            unknown = sorted(names - set(classes))[0]
            raise ValueError(f"{_shown(unknown)} is none of the classes {', '.join(map(repr, classes))}")
        if len(words) < len(names):
            number = sorted(names - set(words))[0]
            raise ValueError(
                f"labels are numbers and words, such as {_shown(number)} and {_shown(words[0])}; mend them, or name "
                "all classes with classes=[…]"
            )
        classes = words
    index = {name: place for place, name in enumerate(classes)}
    found = np.array([index.get(text, -1) for text in texts], dtype=np.int64)
    return Labels(np.maximum(found, 0), found < 0, tuple(classes))


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def _numbers(values: Sequence[Any], classes: Sequence[str], is_score: bool) -> Labels:
    numbers = np.array([math.nan if isinstance(v, str) or is_missing(v) else float(v) for v in values])
    with np.errstate(over="ignore"):
        missing = ~np.isfinite(numbers.astype(np.float32))
    are_whole = all(
        isinstance(v, int | np.integer | np.bool_) for v, gone in zip(values, missing, strict=True) if not gone
    )
    if are_whole and not is_score and (numbers == 0).any() and np.min(numbers, where=~missing, initial=0) == -1:
        missing |= numbers == -1
    kept = np.where(missing, 0, numbers)
    if classes and not (are_whole and kept.min(initial=0) >= 0 and kept.max(initial=0) < len(classes)):
        wrong = next(v for v in kept if v not in range(len(classes)))
        raise ValueError(f"{wrong:g} is none of the classes 0 to {len(classes) - 1}: {', '.join(map(repr, classes))}")
    return Labels(kept.astype(np.int64 if are_whole else np.float32), missing, tuple(classes))


def _vectors(values: Sequence[Any]) -> Labels:
    gone = [value is None or isinstance(value, str | float) for value in values]
    width = len(next(value for value, missing in zip(values, gone, strict=True) if not missing))
    found = np.zeros((len(values), width), dtype=np.float32)
    for row, value in enumerate(values):
        if gone[row]:
            continue
        if len(value) != width:
            raise ValueError(f"labels must all hold {width} numbers, as the first, but one holds {len(value)}")
        try:
            is_array = isinstance(value, np.ndarray) and value.dtype != object
            found[row] = value if is_array else [math.nan if number is None else number for number in value]
        except (TypeError, ValueError):
            raise ValueError(f"{_shown(value)} is no label; it must hold numbers") from None
    missing = np.array(gone) | ~np.isfinite(found).all(axis=1)
    return Labels(found, missing)


def _lists(values: Sequence[Any]) -> Labels:
    found = np.empty(len(values), dtype=object)
    missing = np.zeros(len(values), dtype=np.bool_)
    for row, value in enumerate(values):
        try:
            found[row] = np.array([] if is_missing(value) else value, dtype=np.float32)
        except (TypeError, ValueError):
            raise ValueError(f"{_shown(value)} is no list of labels; it must hold numbers") from None
        missing[row] = not len(found[row]) or not np.isfinite(found[row]).all()
    return Labels(found, missing)


def _shown(value: object) -> str:
    return reprlib.repr(value)
