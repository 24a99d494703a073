"""Search: exact nearest neighbours, pairs that are most alike, duplicates, clusters, maps, and hard negatives."""

from likewise.search.clusters import Cluster, cluster_labels, describe_clusters, typical_words
from likewise.search.duplicates import Duplicates, exact_duplicates, find_duplicates, near_duplicates
from likewise.search.hard_negatives import mine_hard_negatives
from likewise.search.lexical import LexicalIndex, lexical_search
from likewise.search.map import map_page
from likewise.search.negatives import NegativeRules, Negatives, mine_negatives
from likewise.search.paraphrases import paraphrase_mining, paraphrase_mining_embeddings
from likewise.search.semantic import semantic_search, top_k

__all__ = [
    "Cluster",
    "Duplicates",
    "LexicalIndex",
    "NegativeRules",
    "Negatives",
    "cluster_labels",
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
    "semantic_search",
    "top_k",
    "typical_words",
]
