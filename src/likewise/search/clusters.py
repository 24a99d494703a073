"""Clusters of texts by their vectors, each told by its most central texts and its typical words.

The algorithms are scikit-learn's, on vectors of length 1, so that distances follow the cosine:
|a − b|² = 2 − 2 cos(a, b).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.extras import extra
from likewise.search.lexical import words_of
from likewise.search.semantic import unit_vectors

ALGORITHMS = ("kmeans", "agglomerative", "hdbscan")
NO_CLUSTER = -1  # hdbscan leaves out what lies between clusters
MOST_BY_DEFAULT = 50  # clusters: more than people read
FEW = 2000  # rows: so few are clustered from ten beginnings, of which k-means keeps the best
MOST_FOR_AGGLOMERATIVE = 20_000  # rows: it holds the distances of all pairs, 1.6 GB of them


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, as people are told of it."""

    number: int
    size: int
    central: tuple[int, ...]  # the rows closest to the mean of the cluster, the closest first, no text twice
    words: tuple[str, ...]  # the most typical first

    @property
    def name(self) -> str:
        """Some typical words."""
        return ", ".join(self.words[:3]) or f"cluster {self.number}"


def cluster_labels(
    vectors: NDArray[Any],
    algorithm: str = "kmeans",
    clusters: int | None = None,
    smallest: int = 5,
    seed: int = 42,
) -> NDArray[np.int64]:
    """The cluster of each row of ``vectors`` (rows, dim): (rows,), 0 for the largest cluster, then 1, and so on.

    ``algorithm`` is one of ALGORITHMS. "kmeans" and "agglomerative" (Ward's) make so many ``clusters``; where that is
    None, √(rows / 2) (Mardia et al. 1979, section 13), but at most 50, and never more than there are rows. "hdbscan"
    (Campello et al. 2013) finds the number itself, each of at least ``smallest`` rows; rows in none get −1.

    Raises:
        ValueError: An argument is out of range, there are too many rows for the algorithm, or the vectors hold NaN or
            infinity.
        ImportError: scikit-learn is missing.
    """
    check_algorithm(algorithm, clusters)
    unit = unit_vectors(vectors)
    if not len(unit):
        return np.empty(0, np.int64)
    with extra("cluster", "Clustering"):
        import sklearn.cluster
    if algorithm == "hdbscan":
        if len(unit) < max(smallest, 2):
            return np.full(len(unit), NO_CLUSTER)
        made = sklearn.cluster.HDBSCAN(min_cluster_size=smallest, copy=True)
    else:
        number = min(clusters or min(max(round(sqrt(len(unit) / 2)), 1), MOST_BY_DEFAULT), _different(unit))
        if number == 1:
            return np.zeros(len(unit), np.int64)
        if algorithm == "kmeans":
            made = sklearn.cluster.KMeans(number, n_init=10 if len(unit) <= FEW else 1, random_state=seed)
        else:
            if len(unit) > MOST_FOR_AGGLOMERATIVE:
                raise ValueError(
                    f"agglomerative clustering compares all pairs at once, and {len(unit):,} texts are more than the "
                    f"{MOST_FOR_AGGLOMERATIVE:,} that it can take; use kmeans"
                )
            made = sklearn.cluster.AgglomerativeClustering(number, linkage="ward")
    return _largest_first(made.fit_predict(unit))


def check_algorithm(algorithm: str, clusters: int | None = None) -> None:
    """Refuse what cluster_labels cannot do.

    Raises:
        ValueError: There is no such algorithm, or it does not take a number of clusters, or not this one.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"there is no algorithm {algorithm!r}; use one of {', '.join(ALGORITHMS)}")
    if clusters is not None and clusters < 1:
        raise ValueError(f"there must be at least 1 cluster, not {clusters}")
    if clusters is not None and algorithm == "hdbscan":
        raise ValueError("hdbscan finds the number of clusters itself; leave it out, or use kmeans")


def describe_clusters(
    vectors: NDArray[Any],
    labels: NDArray[np.int64],
    texts: Sequence[str],
    central: int = 3,
    words: int = 8,
    stop_words: Collection[str] | None = None,
) -> list[Cluster]:
    """What each cluster of ``labels`` (rows,) is about, in the order of their numbers; −1 is none.

    ``central`` texts are those whose vectors have the highest cosine with the mean of the cluster's, each of length 1.
    For ``words`` see typical_words.

    Raises:
        ValueError: Vectors, labels and texts are not equally many, or the vectors hold NaN or infinity.
    """
    if not len(vectors) == len(labels) == len(texts):
        sizes = f"{len(vectors)}, {len(labels)} and {len(texts)}"
        raise ValueError(f"vectors, labels and texts must be equally many, but there are {sizes}")
    unit = unit_vectors(vectors)
    numbers = [number for number in np.unique(labels).tolist() if number != NO_CLUSTER]
    rows = {number: np.flatnonzero(labels == number) for number in numbers}
    typical = typical_words([[texts[row] for row in rows[number].tolist()] for number in numbers], words, stop_words)
    described = []
    for number, found in zip(numbers, typical, strict=True):
        own = rows[number]
        closeness = unit[own] @ unit[own].mean(0)
        closest: dict[str, int] = {}
        for row in own[np.argsort(-closeness, kind="stable")].tolist():
            closest.setdefault(texts[row], row)
        described.append(Cluster(number, len(own), tuple(closest.values())[:central], found))
    return described


def typical_words(
    clusters: Sequence[Iterable[str]], most: int = 8, stop_words: Collection[str] | None = None
) -> list[tuple[str, ...]]:
    """For each of ``clusters``, an iterable of texts, its ``most`` typical words, the most typical first.

    They have the highest class-based tf-idf (Grootendorst 2022, "BERTopic", section 3.3): for the word t in the
    cluster c

        W(t, c) = tf(t, c) · log(1 + A / f(t)),

    where tf(t, c) says how often c holds t, f(t) how often all clusters do, and A is the mean number of words of a
    cluster. Equal weights stand in the order of the alphabet. Words are those of LexicalIndex, without single letters,
    numbers and ``stop_words``: scikit-learn's English ones by default; give ``()`` for none.
    """
    if stop_words is None:
        with extra("cluster", "Leaving out English stop words"):
            from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
        stop_words = ENGLISH_STOP_WORDS
    ignored = frozenset(stop_words)
    counts = [Counter(word for text in texts for word in words_of(text) if _says(word, ignored)) for texts in clusters]
    everywhere: Counter[str] = Counter()
    for count in counts:
        everywhere.update(count)
    mean = everywhere.total() / max(len(counts), 1)

    def weight(word: str, often: int) -> float:
        return often * log(1 + mean / everywhere[word])

    return [tuple(sorted(count, key=lambda word: (-weight(word, count[word]), word))[:most]) for count in counts]


def _says(word: str, ignored: Collection[str]) -> bool:
    return len(word) > 1 and not word.isdecimal() and word not in ignored


def _different(unit: NDArray[np.float32]) -> int:
    """How many rows differ: k-means warns where it cannot make as many clusters."""
    return len({row.tobytes() for row in unit})


def _largest_first(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The same clusters, numbered by their size; equal ones by their first row."""
    numbers, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    order = order[numbers[order] != NO_CLUSTER]
    renamed = np.full(len(labels), NO_CLUSTER, np.int64)
    for new, old in enumerate(numbers[order]):
        renamed[labels == old] = new
    return renamed
