"""The functions of sentence_transformers.util, under their names: arrays and lists become torch tensors here.

Scripts carry over by their import. Everything is computed by likewise.similarity and likewise.search, whose functions
of the same names return arrays for arrays.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from likewise import similarity
from likewise.extras import extra
from likewise.quantize import quantize_embeddings
from likewise.search import community_detection, mine_hard_negatives, paraphrases, semantic
from likewise.similarity import Rows, SimilarityFunction, Vectors, as_tensor, is_tensor

with extra("torch", "likewise.util, whose functions give tensors,"):
    from torch import Tensor

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

__all__ = [
    "SimilarityFunction",
    "community_detection",
    "cos_sim",
    "dot_score",
    "euclidean_sim",
    "manhattan_sim",
    "mine_hard_negatives",
    "normalize_embeddings",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "pytorch_cos_sim",
    "quantize_embeddings",
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
    score = _by_products(score_function)
    return semantic.semantic_search(queries, corpus, query_chunk_size, corpus_chunk_size, top_k, score)


def paraphrase_mining_embeddings(
    embeddings: Embeddings,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100000,
    max_pairs: int = 500000,
    top_k: int = 100,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
) -> list[list[float | int]]:
    """As likewise.search.paraphrase_mining_embeddings; a ``score_function`` of your own is given tensors."""
    score = _by_products(score_function)
    return paraphrases.paraphrase_mining_embeddings(
        as_tensor(embeddings), query_chunk_size, corpus_chunk_size, max_pairs, top_k, score
    )


def paraphrase_mining(
    model: "SentenceTransformer",
    sentences: list[str],
    show_progress_bar: bool | None = False,
    batch_size: int | None = None,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100000,
    max_pairs: int = 500000,
    top_k: int = 100,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
    truncate_dim: int | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
) -> list[list[float | int]]:
    """As likewise.search.paraphrase_mining; a ``score_function`` of your own is given tensors."""
    embeddings = model.encode(
        sentences,
        prompt_name=prompt_name,
        prompt=prompt,
        batch_size=batch_size,
        show_progress_bar=show_progress_bar,
        convert_to_tensor=True,
        truncate_dim=truncate_dim,
    )
    return paraphrase_mining_embeddings(
        embeddings, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )


def _by_products(score: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The function of arrays that is computed by products in numpy, where ``score`` is the same for tensors."""
    return {cos_sim: similarity.cos_sim, dot_score: similarity.dot_score}.get(score, score)
