"""Models without a transformer, in numpy: tables of token vectors, and bags of words."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.engine import TOKEN_BUDGET
from likewise.engine.heads import finisher, is_known, row_by_row
from likewise.tokens import TokenBatch

CACHED_BYTES = 2**18  # of sums that are added to again and again


class StaticEngine:
    """The mean of each text's token vectors, or its word counts, then the heads; in float32."""

    name = "numpy"
    dtype = "float32"
    device = "cpu"
    by_length = False
    token_budget = TOKEN_BUDGET

    def __init__(self, chain: models.Chain):
        self.chain, self.source = chain, chain.source
        self.finish = finisher(chain)
        self.table = (
            chain.source.arrays["embedding.weight"] if isinstance(chain.source, models.StaticEmbedding) else None
        )

    def deterministic(self) -> StaticEngine:
        """One that multiplies each text's vector by itself: a BLAS adds in another order where there are more rows."""
        by_itself = copy.copy(self)
        by_itself.finish = finisher(self.chain, row_by_row)
        return by_itself

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
        with np.errstate(over="ignore", invalid="ignore"):  # wild weights give wild vectors, as they do in torch
            if isinstance(self.source, models.BoW):
                vectors = word_counts(batch, self.source)
            else:
                assert self.table is not None
                vectors = token_means(batch, self.table)
            return self.finish(vectors)


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
    order = np.argsort(-lengths, kind="stable")  # longest first: those that have a token at a place come first
    means = np.zeros((len(batch), table.shape[1]), dtype=np.float32)
    texts_at_once = max(1, CACHED_BYTES // means.itemsize // table.shape[1])
    rows = np.empty((texts_at_once, table.shape[1]), dtype=table.dtype)
    for first in range(0, len(order), texts_at_once):
        chosen = order[first : first + texts_at_once]
        starts, counts = batch.offsets[chosen], lengths[chosen]
        sums = np.zeros((len(chosen), table.shape[1]), dtype=np.float32)
        for place in range(int(counts[0])):
            texts = int(np.searchsorted(-counts, -place))  # so many have a token at this place
            found = np.take(table, batch.ids[starts[:texts] + place], axis=0, out=rows[:texts], mode="clip")
            sums[:texts] += found
        means[chosen] = sums / np.maximum(counts, 1)[:, None].astype(np.float32)
    return means


def word_counts(batch: TokenBatch, bag: models.BoW) -> NDArray[np.float32]:
    """How often each word is in a text, times its weight: (texts, words)."""
    words = len(bag.weights)
    texts = np.repeat(np.arange(len(batch)), batch.lengths)
    counts = np.bincount(texts * words + batch.ids, minlength=len(batch) * words).reshape(len(batch), words)
    return ((counts if bag.cumulative_term_frequency else counts > 0) * bag.weights).astype(np.float32)
