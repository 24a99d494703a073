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


def texts_of(count: int) -> list[str]:
    return [f"the kettle boils for the {place}th time" for place in range(count)]


def main() -> None:
    path, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    computed = 0

    def compute(texts: Sequence[str]) -> NDArray[np.float32]:
        nonlocal computed
        computed += len(texts)
        time.sleep(seconds)
        return made_up(texts)

    cache.TEXTS_AT_ONCE = 100
    with EmbeddingCache(path) as kept:
        texts = texts_of(count)
        vectors = kept.vectors("scope", texts, DIMENSION, compute)
    np.testing.assert_array_equal(vectors, made_up(texts))
    print(computed)


if __name__ == "__main__":
    main()
