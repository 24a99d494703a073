"""Score functions of the user's own, which mostly expect tensors."""

import inspect
from collections.abc import Callable
from typing import Any

from likewise import similarity
from likewise.similarity import SimilarityFunction

Score = Callable[[Any, Any], Any]

OURS = {SimilarityFunction.to_similarity_fn(name) for name in SimilarityFunction.possible_values()}


def takes_arrays(function: Score) -> Score:
    """``function`` as one that takes arrays; one of likewise, or of likewise.util, is its namesake in similarity.py.

    Any other is given tensors, and may return a tensor or an array.
    """
    original = inspect.unwrap(function)
    if original in OURS:
        return original

    def with_tensors(a: Any, b: Any) -> Any:
        return function(similarity.as_tensor(a), similarity.as_tensor(b))

    return with_tensors
