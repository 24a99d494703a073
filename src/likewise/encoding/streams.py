"""Any number of texts → their vectors, in order, with one window of them in memory at a time."""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from likewise.similarity import is_tensor
from likewise.tokens import LoneSurrogate, NoText, TooLong

Item = TypeVar("Item")

# Texts encoded together. The kernels, which do not pad, take as long from 1,024 on; engines that pad waste under 2 %
# where 8,192 texts are sorted together, and of two such blocks one is computed while the other is tokenised.
WINDOW = 16_384


def stream(encode: Callable[[list[Any]], Any], texts: Iterable[Any], window: int) -> Generator[Any, None, None]:
    """One vector for each of ``texts``, in order; ``encode`` gives those of at most ``window`` texts at a time.

    Whatever goes wrong with a text, in reading it too, is raised after the vectors of all texts before it.

    Raises:
        NoText: An item is no string; its position is that in the whole stream.
        LoneSurrogate: A text cannot be written as UTF-8; the same.
        TooLong: A text has more tokens than the model reads, where that is an error; the same.
    """
    start = 0
    for items in windows(texts, window):
        yield from _rows(encode, items, start)
        start += len(items)


def windows(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """The ``items`` in lists of ``count``, the last one shorter; an error of theirs comes after those before it."""
    iterator = iter(items)
    while True:
        window: list[Item] = []
        failure = None
        try:
            for item in islice(iterator, count):
                window.append(item)  # list() would lose them all with the error
        except Exception as error:
            failure = error
        if window:
            yield window
        if failure is not None:
            raise failure
        if len(window) < count:
            return


def _rows(encode: Callable[[list[Any]], Any], texts: list[Any], start: int) -> Iterator[Any]:
    try:
        vectors = encode(texts)
    except (NoText, LoneSurrogate, TooLong) as error:
        yield from _rows(encode, texts[: error.position], start)
        raise error.at(start + error.position) from None
    for vector in vectors:
        # A view would keep the whole window in memory for as long as somebody keeps one vector.
        yield vector.copy() if isinstance(vector, np.ndarray) else vector.clone() if is_tensor(vector) else vector
