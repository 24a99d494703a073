"""With which settings vectors are searched and mined, here and by sentence-transformers. Needs neither."""

from typing import Any

MINING: list[dict[str, Any]] = [
    {},
    {"top_k": 3, "max_pairs": 700},
    {"query_chunk_size": 300, "corpus_chunk_size": 170, "top_k": 20, "max_pairs": 4000},
]
COMMUNITIES: list[dict[str, Any]] = [
    {},
    {"threshold": 0.6, "min_community_size": 3, "batch_size": 100},
    {"threshold": 0.4, "min_community_size": 25},
]
SEARCH: list[dict[str, Any]] = [{}, {"top_k": 30, "query_chunk_size": 7, "corpus_chunk_size": 90}]
