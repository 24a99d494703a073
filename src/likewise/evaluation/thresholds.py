"""The threshold on a score from which pairs are best called alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[float, float]:
    """The highest accuracy that a threshold gives, and the threshold: pairs that score as much or more are alike.

    scores (pairs,); labels (pairs,), 1 or 0. A threshold lies in the middle between two scores, in their type of
    number; it may also lie just above all of them. Of several that are as good the highest is taken.
    """
    ordered, ends, alike = _groups(scores, labels)
    negatives = len(labels) - alike[-1]
    right = alike + negatives - (ends + 1 - alike)  # found, and not taken for alike
    best = int(right.argmax())
    if negatives >= right[best]:
        return float(negatives / len(labels)), float(np.nextafter(ordered[0], np.inf, dtype=ordered.dtype))
    return float(right[best] / len(labels)), _between(ordered, ends[best])


def best_f1(
    scores: NDArray[Any], labels: NDArray[Any], positives: int | None = None
) -> tuple[float, float, float, float]:
    """The highest F1 that a threshold gives, its precision, its recall, and the threshold; zeros without a positive.

    scores (pairs,); labels (pairs,), 1 or 0; ``positives`` counts those that were never scored too.
    """
    if not len(scores) or not np.any(labels):
        return 0.0, 0.0, 0.0, 0.0
    ordered, ends, alike = _groups(scores, labels)
    precision = alike / (ends + 1)
    recall = alike / (positives or alike[-1])
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)
    best = int(f1.argmax())
    return float(f1[best]), float(precision[best]), float(recall[best]), _between(ordered, ends[best])


def matthews(predicted: NDArray[Any], labels: NDArray[Any]) -> float:
    """Matthews' correlation (1975) of two columns of yes and no: -1 to 1, and 0 where one of them does not vary."""
    guess, truth = (np.asarray(column, dtype=np.float64) for column in (predicted, labels))
    spread = guess.std() * truth.std()
    return float(((guess - guess.mean()) * (truth - truth.mean())).mean() / spread) if spread > 0 else 0.0


def _groups(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.int64]]:
    """The scores in falling order; where each group of equal ones ends; how many are alike up to there."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    return ordered, ends, np.cumsum(np.asarray(labels)[order] == 1)[ends]


def _between(ordered: NDArray[Any], end: int) -> float:
    """The middle between the score at ``end`` and the next; never the next itself, by rounding."""
    if end + 1 == len(ordered):
        return float(ordered[end])
    middle = (ordered[end] + ordered[end + 1]) / 2
    return float(ordered[end] if middle == ordered[end + 1] else middle)
