"""The import path of sentence_transformers.quantization."""

from likewise.quantize import quantize_embeddings
from likewise.search.quantized import semantic_search_faiss, semantic_search_usearch

__all__ = ["quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"]
