"""The import path of sentence-transformers for SimilarityFunction."""

from likewise.similarity import SimilarityFunction

__all__ = ["SimilarityFunction"]
