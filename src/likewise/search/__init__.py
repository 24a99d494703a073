"""Search: exact nearest neighbours."""

from likewise.search.semantic import semantic_search, top_k

__all__ = ["semantic_search", "top_k"]
