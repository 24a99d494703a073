"""An index on disk that a person keeps: rows, the store that holds them, what changes, what is nearest."""

from likewise.search.index.index import Changed, Hit, Index, IndexInfo

__all__ = ["Changed", "Hit", "Index", "IndexInfo"]
