"""Metrics against scipy, scikit-learn, and what one would write down from the definition."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics import average_precision_score, matthews_corrcoef, ndcg_score

from likewise.evaluation.correlation import pearson, ranks, spearman
from likewise.evaluation.ranking import average_precision, ranking_metrics, reciprocal_rank, tied_ndcg
from likewise.evaluation.thresholds import best_accuracy, best_f1, matthews

LABELLED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25)  # few values, so many ties


def columns(rows: list[tuple[int, bool]]) -> tuple[NDArray[Any], NDArray[Any]]:
    scores, labels = zip(*rows, strict=True)
    return np.array(scores, np.float32) / np.float32(4), np.array(labels, np.int64)


# Correlation


@given(rows=st.lists(st.tuples(st.integers(-5, 5), st.floats(-100, 100, width=32)), min_size=3, max_size=30))
def test_correlations_are_those_of_scipy(rows: list[tuple[int, float]]) -> None:
    gold, found = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], np.float32)
    assume(np.ptp(gold) > 0 and np.ptp(found) > 1e-3)
    assert pearson(gold, found) == pytest.approx(pearsonr(gold, found.astype(float))[0], abs=1e-9)
    assert spearman(gold, found) == pytest.approx(spearmanr(gold, found)[0], abs=1e-12)
    np.testing.assert_array_equal(ranks(found), rankdata(found))


def test_a_column_that_does_not_vary_has_no_correlation() -> None:
    assert math.isnan(pearson(np.array([0.1, 0.1, 0.1]), np.array([1, 2, 3])))
    assert math.isnan(spearman(np.array([1, 2, 3]), np.full(3, 0.3, np.float32)))


# Thresholds: every threshold that can matter is tried


def called_alike(scores: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """All ways to call the pairs of highest score alike, none of them first."""
    levels = [np.inf, *sorted(set(scores.tolist()), reverse=True)]
    return [scores >= level for level in levels]


@given(rows=LABELLED)
def test_the_best_accuracy_is_the_best_there_is(rows: list[tuple[int, bool]]) -> None:
    scores, labels = columns(rows)
    accuracy, threshold = best_accuracy(scores, labels)
    best = max(float(np.mean(alike == labels)) for alike in called_alike(scores))
    assert accuracy == pytest.approx(best)
    assert np.mean((scores >= threshold) == labels) == pytest.approx(best)  # the threshold gives what it promises


@given(rows=LABELLED, others=st.integers(0, 3))
def test_the_best_f1_is_the_best_there_is(rows: list[tuple[int, bool]], others: int) -> None:
    scores, labels = columns(rows)
    total = int(labels.sum()) + others
    f1, precision, recall, threshold = best_f1(scores, labels, total)
    if not labels.any():
        assert (f1, precision, recall, threshold) == (0, 0, 0, 0)
        return
    best = 0.0
    for alike in called_alike(scores)[1:]:
        right = int(labels[alike].sum())
        best = max(best, 2 * right / (alike.sum() + total))
    assert f1 == pytest.approx(best)
    alike = scores >= threshold
    assert precision == pytest.approx(labels[alike].mean())
    assert recall == pytest.approx(labels[alike].sum() / total)


@pytest.mark.parametrize("highest", [1.0, np.nextafter(np.float32(1), np.float32(2))])
def test_a_threshold_between_neighbouring_numbers_lets_only_the_higher_in(highest: float) -> None:
    scores = np.array([np.nextafter(np.float32(highest), np.float32(0)), highest], np.float32)
    assert scores[0] < scores[1]
    for threshold in (best_f1(scores, np.array([0, 1]))[3], best_accuracy(scores, np.array([0, 1]))[1]):
        assert (scores >= threshold).tolist() == [False, True]


@given(rows=LABELLED, predicted=st.data())
def test_matthews_correlation_is_that_of_scikit_learn(rows: list[tuple[int, bool]], predicted: Any) -> None:
    _, labels = columns(rows)
    guess = np.array(predicted.draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels))))
    assume(len({*labels.tolist(), *guess.tolist()}) == 2)  # scikit-learn warns of one class
    assert matthews(guess, labels) == pytest.approx(matthews_corrcoef(labels, guess), abs=1e-12)


# Rankings


@given(rows=LABELLED)
def test_average_precision_and_ndcg_are_those_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, labels = columns(rows)
    if labels.any():
        assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    if len(labels) > 1:
        for k in (1, 3, 100):
            assert tied_ndcg(labels, scores, k) == pytest.approx(ndcg_score([labels], [scores], k=k), abs=1e-12)


def test_what_was_never_scored_lowers_average_precision() -> None:
    labels, scores = np.array([1, 0, 1]), np.array([3.0, 2.0, 1.0])
    assert average_precision(labels, scores, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(np.zeros(3), scores) == average_precision(labels, scores, 0) == 0


def test_the_reciprocal_rank_looks_as_deep_as_it_is_told() -> None:
    labels, scores = np.array([1, 0, 0]), np.array([1.0, 3.0, 2.0])
    assert reciprocal_rank(labels, scores, 3) == pytest.approx(1 / 3)
    assert reciprocal_rank(labels, scores, 2) == 0


@given(data=st.data(), k=st.integers(1, 12))
def test_retrieval_metrics_are_those_of_their_definitions(data: Any, k: int) -> None:
    ranked, ideals = [], []
    depth = data.draw(st.integers(1, 9))
    for _ in range(data.draw(st.integers(1, 4))):
        gains = data.draw(st.lists(st.integers(0, 3), min_size=depth, max_size=depth))
        missed = data.draw(st.lists(st.integers(1, 3), max_size=4))
        ideal = [gain for gain in gains if gain] + missed
        ranked.append(gains)
        ideals.append(ideal or [1])
    found = ranking_metrics(
        np.array(ranked, float),
        [np.array(ideal, float) for ideal in ideals],
        accuracy_at_k=[k],
        precision_recall_at_k=[k],
        ndcg_at_k=[k],
        mrr_at_k=[k],
        map_at_k=[k],
    )
    sums = dict.fromkeys(found, 0.0)
    for gains, ideal in zip(ranked, ideals, strict=True):
        top = gains[:k]
        hits = [rank for rank, gain in enumerate(top, start=1) if gain]
        sums[f"accuracy@{k}"] += bool(hits)
        sums[f"precision@{k}"] += len(hits) / k
        sums[f"recall@{k}"] += len(hits) / len(ideal)
        sums[f"mrr@{k}"] += 1 / hits[0] if hits else 0
        sums[f"map@{k}"] += sum(place / rank for place, rank in enumerate(hits, start=1)) / min(k, len(ideal))
        most = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(sorted(ideal, reverse=True)[:k], start=1))
        sums[f"ndcg@{k}"] += sum(gain / math.log2(rank + 1) for rank, gain in enumerate(top, start=1)) / most
    for key, total in sums.items():
        assert found[key] == pytest.approx(total / len(ranked)), key
