"""A process that fills a cache with made-up vectors: python -m tests.encoding.cache_worker PATH TEXTS SECONDS.

Prints how many vectors it computed. SECONDS go by for each part, so that it can be killed in the middle.
"""

import sys
import time
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likewise.encoding import cache
from likewise.encoding.cache import EmbeddingCache

DIMENSION = 8


def made_up(texts: Sequence[str]) -> NDArray[np.float32]:
    """A vector of each text, the same in every process, (texts, DIMENSION)."""
    seeds = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.float64)
    return np.sin(np.outer(seeds, np.arange(1, DIMENSION + 1))).astype(np.float32)


def computed(texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """What an engine would make of the texts: their vectors, and as many tokens as they have characters."""
    return made_up(texts), np.array([len(text) for text in texts], dtype=np.int32)


def check(found: tuple[NDArray[np.float32], NDArray[np.int32]], texts: Sequence[str]) -> None:
    """Whether these are the vectors and the tokens of ``texts``."""
    for one, other in zip(found, computed(texts), strict=True):
        np.testing.assert_array_equal(one, other.reshape(one.shape))


def texts_of(count: int) -> list[str]:
    return [f"the kettle boils for the {place}th time" for place in range(count)]


def main() -> None:
    path, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    calls = 0

    def compute(texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        nonlocal calls
        calls += len(texts)
        time.sleep(seconds)
        return computed(texts)

    cache.TEXTS_AT_ONCE = 100
    with EmbeddingCache(path) as kept:
        texts = texts_of(count)
        check(kept.vectors("scope", texts, DIMENSION, compute), texts)
    print(calls)


if __name__ == "__main__":
    main()
