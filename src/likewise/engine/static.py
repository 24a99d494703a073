"""Models without a transformer, in numpy: tables of token vectors, and bags of words."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.engine.heads import apply, is_known
from likewise.tokens import TokenBatch


class StaticEngine:
    """The mean of each text's token vectors, or its word counts, then the heads; in float32."""

    name = "numpy"
    dtype = "float32"
    device = "cpu"

    def __init__(self, chain: models.Chain):
        self.source = chain.source
        self.heads = chain.heads
        self.table = (
            chain.source.arrays["embedding.weight"] if isinstance(chain.source, models.StaticEmbedding) else None
        )

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch one vector per text, (texts, dim)."""
        return map(self._vectors, batches)

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """The vector of each token, (tokens, dim), for each batch.

        Raises:
            ValueError: The model has none.
        """
        table = self.table
        if table is None:
            raise ValueError("a bag of words has no token vectors; leave output_value out")
        return (table[batch.ids].astype(np.float32) for batch in batches)

    def _vectors(self, batch: TokenBatch) -> NDArray[np.float32]:
        if isinstance(self.source, models.BoW):
            vectors = word_counts(batch, self.source)
        else:
            assert self.table is not None
            vectors = token_means(batch, self.table)
        for head in self.heads:
            vectors = apply(head, vectors)
        return vectors


def computes(chain: models.Chain) -> bool:
    """Whether StaticEngine can compute the vectors of ``chain``."""
    is_static = isinstance(chain.source, models.StaticEmbedding | models.BoW)
    return is_static and not chain.are_drawn_anew and all(map(is_known, chain.heads))


def token_means(batch: TokenBatch, table: NDArray[np.floating]) -> NDArray[np.float32]:
    """The mean of the rows of ``table`` (vocabulary, dim) that each text's tokens have: (texts, dim).

    A text without tokens gets the zero vector. Tokens are added in their order, so a text's bits do not depend on
    what else is in the batch.
    """
    lengths = batch.lengths
    longest_first = np.argsort(-lengths, kind="stable")
    starts, counts = batch.offsets[:-1][longest_first], lengths[longest_first]
    sums = np.zeros((len(batch), table.shape[1]), dtype=np.float32)
    for place in range(int(counts[0]) if len(counts) else 0):
        texts = int(np.searchsorted(-counts, -place))  # so many have a token at this place
        sums[:texts] += table[batch.ids[starts[:texts] + place]]
    means = np.empty_like(sums)
    means[longest_first] = sums / np.maximum(counts, 1)[:, None]
    return means.astype(np.float32, copy=False)


def word_counts(batch: TokenBatch, bag: models.BoW) -> NDArray[np.float32]:
    """How often each word is in a text, times its weight: (texts, words)."""
    words = len(bag.weights)
    texts = np.repeat(np.arange(len(batch)), batch.lengths)
    counts = np.bincount(texts * words + batch.ids, minlength=len(batch) * words).reshape(len(batch), words)
    return ((counts if bag.cumulative_term_frequency else counts > 0) * bag.weights).astype(np.float32)
