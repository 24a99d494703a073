"""How good a ranking is: average precision, reciprocal rank and discounted gain."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def average_precision(labels: NDArray[Any], scores: NDArray[Any], positives: int | None = None) -> float:
    """Average precision: the sum of each rise of the recall times the precision there; 0 without a positive.

    labels (items,), 1 or 0; scores (items,), higher for better, equal ones counting as one step. ``positives`` counts
    those that were never scored too. As scikit-learn's average_precision_score.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, found = scores[order], np.cumsum(np.asarray(labels)[order] == 1)
    total = positives if positives is not None else int(found[-1]) if len(found) else 0
    if not total or not len(found):
        return 0.0
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    rises = np.diff(found[ends], prepend=0) / total
    return float(rises @ (found[ends] / (ends + 1)))


def reciprocal_rank(labels: NDArray[Any], scores: NDArray[Any], k: int) -> float:
    """One over the rank of the first positive among the ``k`` best, from 1; 0 without one. Ties in their order.

    labels (items,), 1 or 0; scores (items,).
    """
    best = np.argsort(-scores, kind="stable")[:k]
    places = np.flatnonzero(np.asarray(labels)[best])
    return float(1 / (places[0] + 1)) if len(places) else 0.0


def tied_ndcg(gains: NDArray[Any], scores: NDArray[Any], k: int) -> float:
    """Normalised discounted cumulative gain of the ``k`` best; 0 without a gain.

    gains (items,), at least 0; scores (items,). Items with the same score share the mean of their gains, as if all
    orders of them were averaged (McSherry & Najork 2008, section 2.2). As scikit-learn's ndcg_score.
    """
    discounts = np.where(np.arange(len(gains)) < k, 1 / np.log2(np.arange(len(gains)) + 2), 0)
    _, groups, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    shared = (np.bincount(groups, weights=gains) / counts)[np.sort(groups)]  # the mean gain of each rank
    ideal = float(np.sort(gains)[::-1] @ discounts)
    return float(shared @ discounts) / ideal if ideal > 0 else 0.0


def ranking_metrics(
    gains: NDArray[Any],
    ideals: list[NDArray[Any]],
    *,
    accuracy_at_k: list[int],
    precision_recall_at_k: list[int],
    ndcg_at_k: list[int],
    mrr_at_k: list[int],
    map_at_k: list[int],
) -> dict[str, float]:
    """Means over all queries of what is usual in retrieval, by keys such as "ndcg@10".

    gains (queries, ranks): what each query found, best first, is worth; 0 stands for nothing, and for nothing found.
    ideals: for each query the gains of all that it should find, in any order, at least one. Accuracy@k is the share of
    queries that find anything. The gain is not raised to a power (Järvelin & Kekäläinen 2002), as in trec_eval.
    """
    found = gains > 0
    wanted = np.array([len(ideal) for ideal in ideals])
    ranks = np.arange(1, gains.shape[1] + 1)
    discounts = 1 / np.log2(ranks + 1)
    precisions = np.cumsum(found, axis=1) / ranks  # (queries, ranks)
    metrics = {f"accuracy@{k}": found[:, :k].any(axis=1).mean() for k in accuracy_at_k}
    metrics |= {f"precision@{k}": (found[:, :k].sum(axis=1) / k).mean() for k in precision_recall_at_k}
    metrics |= {f"recall@{k}": (found[:, :k].sum(axis=1) / wanted).mean() for k in precision_recall_at_k}
    for k in ndcg_at_k:
        best = [np.sort(ideal)[::-1][:k] for ideal in ideals]
        most = np.array([ideal @ (1 / np.log2(np.arange(len(ideal)) + 2)) for ideal in best])
        metrics[f"ndcg@{k}"] = (gains[:, :k] @ discounts[:k] / most).mean()
    for k in mrr_at_k:
        metrics[f"mrr@{k}"] = (found[:, :k] / ranks[:k]).max(axis=1, initial=0).mean()
    for k in map_at_k:
        sums = (precisions * found)[:, :k].sum(axis=1)
        metrics[f"map@{k}"] = (sums / np.minimum(k, wanted)).mean()
    return {key: float(value) for key, value in metrics.items()}
