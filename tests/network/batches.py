"""Random packed batches, and the hypothesis strategies that the tests of the network share."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from likewise.tokens import TokenBatch, offsets_of

LENGTHS = st.lists(st.integers(1, 80), min_size=1, max_size=6)  # tokens of each text, in no order
SEEDS = st.integers(0, 2**32 - 1)


def random_texts(lengths: Sequence[int], seed: int, ids: Sequence[int]) -> list[list[int]]:
    """Texts of random token ids, drawn from ``ids``."""
    drawn = np.random.default_rng(seed).choice(np.asarray(ids), sum(lengths))
    return [part.tolist() for part in np.split(drawn, np.cumsum(lengths)[:-1])]


def packed(
    texts: Sequence[Sequence[int]],
    segments: Sequence[Sequence[int]] | None = None,
    prompt_lengths: Sequence[int] | None = None,
) -> TokenBatch:
    """The texts' token ids laid end to end."""
    lengths = np.array([len(text) for text in texts], dtype=np.int32)
    return TokenBatch(
        ids=np.array([token for text in texts for token in text], dtype=np.int32),
        offsets=offsets_of(lengths),
        full_lengths=lengths,
        prompt_lengths=None if prompt_lengths is None else np.array(prompt_lengths, dtype=np.int32),
        segments=None if segments is None else np.array([kind for text in segments for kind in text], dtype=np.int32),
    )
