"""The functions of sentence_transformers.util, under their names: arrays and lists become torch tensors here.

Scripts carry over by their import. Everything is computed by likewise.similarity and likewise.search, whose functions
of the same names return arrays for arrays.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from likewise import similarity
from likewise.search import semantic
from likewise.similarity import Rows, SimilarityFunction, Vectors, as_tensor, is_tensor

__all__ = [
    "SimilarityFunction",
    "cos_sim",
    "dot_score",
    "euclidean_sim",
    "manhattan_sim",
    "normalize_embeddings",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
    "pytorch_cos_sim",
    "semantic_search",
    "truncate_embeddings",
]

Embeddings = Tensor | NDArray[Any] | Rows


def _with_tensors(function: Callable[[Any, Any], Any]) -> Callable[[Embeddings, Embeddings], Tensor]:
    @wraps(function)
    def returns_a_tensor(a: Embeddings, b: Embeddings) -> Tensor:
        result: Tensor = function(a if is_tensor(b) else as_tensor(a), b)  # beside one tensor, the other side follows
        return result

    return returns_a_tensor


cos_sim = pytorch_cos_sim = _with_tensors(similarity.cos_sim)
dot_score = _with_tensors(similarity.dot_score)
euclidean_sim = _with_tensors(similarity.euclidean_sim)
manhattan_sim = _with_tensors(similarity.manhattan_sim)
pairwise_cos_sim = _with_tensors(similarity.pairwise_cos_sim)
pairwise_dot_score = _with_tensors(similarity.pairwise_dot_score)
pairwise_euclidean_sim = _with_tensors(similarity.pairwise_euclidean_sim)
pairwise_manhattan_sim = _with_tensors(similarity.pairwise_manhattan_sim)


def normalize_embeddings(embeddings: Embeddings) -> Tensor:
    """As likewise.similarity.normalize_embeddings, (…, dim) → (…, dim), but a tensor always."""
    return similarity.normalize_embeddings(as_tensor(embeddings))


def truncate_embeddings(embeddings: Vectors, truncate_dim: int | None) -> Vectors:
    """The first ``truncate_dim`` numbers of each vector, (…, dim) → (…, truncate_dim); None keeps all.

    A view of what was given, an array of an array, as in sentence-transformers. The vectors are not normalised again.
    Raises ValueError for a dimension below 1.
    """
    if truncate_dim is not None and truncate_dim < 1:
        raise ValueError(f"truncate_dim must be at least 1, or None, not {truncate_dim}")
    return embeddings[..., :truncate_dim]


def semantic_search(
    query_embeddings: Embeddings,
    corpus_embeddings: Embeddings,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500000,
    top_k: int = 10,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
) -> list[list[dict[str, int | float]]]:
    """As likewise.search.semantic_search; a ``score_function`` of your own is given tensors, on the corpus' device."""
    corpus = as_tensor(corpus_embeddings)
    queries = as_tensor(query_embeddings).to(corpus.device)
    score: Callable[[Any, Any], Any] = score_function
    if score in (cos_sim, dot_score):  # by products in numpy, of which these are the same functions for tensors
        score = similarity.cos_sim if score is cos_sim else similarity.dot_score
    return semantic.semantic_search(queries, corpus, query_chunk_size, corpus_chunk_size, top_k, score)
