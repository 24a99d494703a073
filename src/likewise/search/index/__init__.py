"""An index on disk that a person keeps: rows, the store that holds them, what changes, what is nearest."""

from likewise.search.index.index import Changed, Hit, Index, IndexInfo
from likewise.search.index.model import EmbeddingModel
from likewise.search.index.rows import IndexRow, Value, metadata_name

__all__ = ["Changed", "EmbeddingModel", "Hit", "Index", "IndexInfo", "IndexRow", "Value", "metadata_name"]
