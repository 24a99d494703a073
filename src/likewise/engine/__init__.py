"""Who computes: TokenBatches in, vectors out."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from likewise.tokens import TokenBatch

TOKEN_BUDGET = 2048  # tokens that a CPU computes together; larger batches leave its cache and gain nothing


class Engine(Protocol):
    """What every engine offers; safe to call from several threads at once."""

    name: str  # "native", "torch", "numpy"
    dtype: str  # what it computes in: one of DTYPES
    device: str
    by_length: bool  # whether texts are computed fastest in batches of similar length; else they come as they are

    @property
    def token_budget(self) -> int:
        """How many tokens it computes together best."""
        ...

    def deterministic(self) -> "Engine":
        """What gives a text the same bits whatever shares its batch, in any order, budget and number of threads."""
        ...

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch, in order, one vector per text, (texts, dim)."""
        ...

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch, in order, one vector per token, before the pooling, (tokens, hidden)."""
        ...

    def finish(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """What follows the pooling: (texts, pooled) → (texts, dim)."""
        ...


DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")


def dtype_name(dtype: Any) -> str:
    """``dtype`` by its name, from that name or a torch or numpy dtype.

    Raises:
        ValueError: It is not one that an engine computes in.
    """
    name = "float32" if dtype is None else str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"dtype {name!r} is not known; use one of {', '.join(DTYPES)}")
    return name
