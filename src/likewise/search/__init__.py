"""Search: nearest neighbours, a kept index, pairs, communities, duplicates and clusters, maps, and hard negatives."""

from likewise.search.clusters import Cluster, cluster_labels, describe_clusters, typical_words
from likewise.search.communities import community_detection
from likewise.search.duplicates import Duplicates, exact_duplicates, find_duplicates, near_duplicates
from likewise.search.hard_negatives import mine_hard_negatives
from likewise.search.hybrid import reciprocal_rank_fusion
from likewise.search.index import Hit, Index
from likewise.search.lexical import LexicalIndex, lexical_search
from likewise.search.map import map_page
from likewise.search.negatives import NegativeRules, Negatives, mine_negatives
from likewise.search.paraphrases import paraphrase_mining, paraphrase_mining_embeddings
from likewise.search.semantic import semantic_search, top_k

__all__ = [
    "Cluster",
    "Duplicates",
    "Hit",
    "Index",
    "LexicalIndex",
    "NegativeRules",
    "Negatives",
    "cluster_labels",
    "community_detection",
    "describe_clusters",
    "exact_duplicates",
    "find_duplicates",
    "lexical_search",
    "map_page",
    "mine_hard_negatives",
    "mine_negatives",
    "near_duplicates",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "reciprocal_rank_fusion",
    "semantic_search",
    "top_k",
    "typical_words",
]
