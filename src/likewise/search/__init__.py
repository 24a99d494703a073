"""Search: exact nearest neighbours, an index that is kept, pairs and communities that are alike, hard negatives."""

from likewise.search.communities import community_detection
from likewise.search.hard_negatives import mine_hard_negatives
from likewise.search.hybrid import reciprocal_rank_fusion
from likewise.search.index import Hit, Index
from likewise.search.lexical import LexicalIndex, lexical_search
from likewise.search.negatives import NegativeRules, Negatives, mine_negatives
from likewise.search.paraphrases import paraphrase_mining, paraphrase_mining_embeddings
from likewise.search.semantic import semantic_search, top_k

__all__ = [
    "Hit",
    "Index",
    "LexicalIndex",
    "NegativeRules",
    "Negatives",
    "community_detection",
    "lexical_search",
    "mine_hard_negatives",
    "mine_negatives",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "reciprocal_rank_fusion",
    "semantic_search",
    "top_k",
]
