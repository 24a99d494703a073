"""Search: exact nearest neighbours, the pairs that are most alike, communities, and hard negatives for training."""

from likewise.search.communities import community_detection
from likewise.search.hard_negatives import mine_hard_negatives
from likewise.search.lexical import LexicalIndex, lexical_search
from likewise.search.negatives import NegativeRules, Negatives, mine_negatives
from likewise.search.paraphrases import paraphrase_mining, paraphrase_mining_embeddings
from likewise.search.semantic import semantic_search, top_k

__all__ = [
    "LexicalIndex",
    "NegativeRules",
    "Negatives",
    "community_detection",
    "lexical_search",
    "mine_hard_negatives",
    "mine_negatives",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "semantic_search",
    "top_k",
]
