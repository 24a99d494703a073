"""What mining negatives tells: the scores, what each rule removed, and which queries came out with too few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.search.negatives import NegativeRules, Negatives, Rows

MEASURES: dict[str, Callable[[NDArray[Any]], Any]] = {
    "mean": np.mean,
    "lowest": np.min,
    "25 %": lambda scores: np.quantile(scores, 0.25),
    "median": np.median,
    "75 %": lambda scores: np.quantile(scores, 0.75),
    "highest": np.max,
}


def summary(blocks: Sequence[Negatives], rules: NegativeRules) -> str:
    """Lines to print. The difference of a negative is to the lowest score of its query's positives."""
    columns = [
        np.concatenate([block.positive_scores for block in blocks]),
        np.concatenate([block.scores[block.is_found] for block in blocks]),
        np.concatenate([(block.lowest[:, None] - block.scores)[block.is_found] for block in blocks]),
    ]
    lines = [f"{'':8}{'positive':>12}{'negative':>12}{'difference':>12}"]
    lines.append(f"{'count':8}" + "".join(f"{len(column):>12,}" for column in columns))
    for name, measure in MEASURES.items():
        told = (f"{measure(column):.4f}" if len(column) else "–" for column in columns)
        lines.append(f"{name:8}" + "".join(f"{value:>12}" for value in told))
    candidates = sum(block.candidates for block in blocks)
    for rule in blocks[0].removed:
        removed = sum(block.removed[rule] for block in blocks)
        lines.append(f"{rule}={getattr(rules, rule)} removed {removed:,} of {candidates:,} candidates")
    counts = _counts(blocks)
    if few := int((counts < rules.num_negatives).sum()):
        lines.append(f"{few:,} of {len(counts):,} queries have fewer than {rules.num_negatives} negatives")
    return "\n".join(lines)


def told_of_lost(blocks: Sequence[Negatives], least: int, rules: NegativeRules) -> str | None:
    """What to say of queries with fewer than ``least`` negatives, which have no row in the result; None without any."""
    counts = _counts(blocks)
    lost = int((counts < least).sum())
    if not lost:
        return None
    advice = "a larger range_max, or milder limits of scores," if rules.judges_scores else "a larger corpus"
    what = "no negative" if least == 1 else f"fewer than {least} negatives"
    return f"{lost:,} of {len(counts):,} queries have {what}, and so no row in the result; {advice} may help"


def _counts(blocks: Sequence[Negatives]) -> Rows:
    """The number of negatives of each query."""
    return np.concatenate([block.is_found.sum(axis=1) for block in blocks])
