"""Clusters that were put into the vectors are found, and told by formulas that are worked out slowly here."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from likewise.search import cluster_labels, describe_clusters, typical_words
from likewise.search.clusters import ALGORITHMS

WORDS = ["tea", "kettle", "train", "rain", "stove", "green"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=5)


def planted(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around so many far directions, of any length, in a random order, and which is which."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = np.eye(8)[truth] + 0.08 * random.normal(size=(len(truth), 8))
    return (rows * random.uniform(0.5, 9, size=(len(truth), 1))).astype(np.float32), truth


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_planted_clusters_are_found_and_the_largest_is_the_first(algorithm: str) -> None:
    vectors, truth = planted((20, 50, 30))
    labels = cluster_labels(vectors, algorithm, None if algorithm == "hdbscan" else 3)
    inside = labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], labels[inside]) == 1
    sizes = [size for _, size in sorted(Counter(labels[inside].tolist()).items())]
    assert sizes == sorted(sizes, reverse=True)
    np.testing.assert_array_equal(labels, cluster_labels(3 * vectors, algorithm, None if algorithm == "hdbscan" else 3))


def test_the_number_of_clusters() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 4))
    assert cluster_labels(vectors).max() + 1 == 10, "the root of half the rows"
    assert cluster_labels(np.random.default_rng(0).normal(size=(6000, 2))).max() + 1 == 50
    assert cluster_labels(vectors, clusters=1).tolist() == [0] * 200
    assert sorted(cluster_labels(vectors[:3], clusters=9).tolist()) == [0, 1, 2]
    assert cluster_labels(np.ones((5, 4)), clusters=3).tolist() == [0] * 5, "all rows are the same"
    assert cluster_labels(np.empty((0, 4))).shape == (0,)
    assert cluster_labels(vectors[:4], "hdbscan").tolist() == [-1] * 4, "fewer than the smallest cluster"


def test_the_most_central_texts_come_first_and_only_once() -> None:
    angles = np.radians([0, 30, 10, 50, 30, 200, 205])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([1, 1, 1, 1, 1, 0, 0])
    texts = ["far", "middle", "near", "edge", "middle", "south", "south-east"]
    rest, north = describe_clusters(vectors, labels, texts, central=2, stop_words=())
    mean = vectors[:5].mean(0)
    assert np.argmax(vectors[:5] @ mean) in (1, 4)
    assert (north.number, north.size, north.central) == (1, 5, (1, 2))
    assert (rest.number, rest.size) == (0, 2)
    assert describe_clusters(vectors, np.full(7, -1), texts) == []


def test_labels_and_texts_must_fit() -> None:
    with pytest.raises(ValueError, match="equally many, but there are 2, 1 and 2"):
        describe_clusters(np.ones((2, 2)), np.zeros(1, np.int64), ["a", "b"])


@given(clusters=st.lists(TEXTS, max_size=5), most=st.integers(0, 7))
def test_typical_words_have_the_weight_of_the_formula(clusters: list[list[str]], most: int) -> None:
    documents = [" ".join(texts).split() for texts in clusters]
    found = typical_words(clusters, most, stop_words=())
    assert len(found) == len(clusters)
    for document, words in zip(documents, found, strict=True):
        mean = sum(map(len, documents)) / len(documents)
        weights = {
            word: document.count(word) * log(1 + mean / sum(other.count(word) for other in documents))
            for word in set(document)
        }
        assert list(words) == sorted(weights, key=lambda word: (-weights[word], word))[:most]


def test_words_that_say_nothing_are_left_out() -> None:
    texts = [["The kettle was the one, 2024 and a b"], ["le train et la gare"]]
    assert typical_words(texts) == [("kettle",), ("et", "gare", "la", "le", "train")]
    assert typical_words(texts, stop_words={"et", "la", "le"})[1] == ("gare", "train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("optics",), "there is no algorithm 'optics'; use one of kmeans, agglomerative, hdbscan"),
        (("kmeans", 0), "at least 1 cluster, not 0"),
        (("hdbscan", 3), "hdbscan finds the number of clusters itself"),
    ],
)
def test_what_cannot_be_done(arguments: tuple[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cluster_labels(np.ones((3, 2)), *arguments)


def test_too_many_rows_for_all_pairs() -> None:
    with pytest.raises(ValueError, match="20,001 texts are more than the 20,000 that it can take; use kmeans"):
        cluster_labels(np.random.default_rng(0).normal(size=(20_001, 2)), "agglomerative")


def test_vectors_that_are_not_numbers() -> None:
    with pytest.raises(ValueError, match="row 1 of the vectors, counted from 0, holds NaN"):
        cluster_labels(np.array([[1, 0], [np.inf, 1]]))
