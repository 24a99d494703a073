"""Search: exact nearest neighbours, and the pairs that are most alike."""

from likewise.search.paraphrases import paraphrase_mining, paraphrase_mining_embeddings
from likewise.search.semantic import semantic_search, top_k

__all__ = ["paraphrase_mining", "paraphrase_mining_embeddings", "semantic_search", "top_k"]
