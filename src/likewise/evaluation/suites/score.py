"""One line of a suite's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What a model reached on a task."""

    task: str
    metric: str
    value: float  # times 100, as papers print it
    rows: int | None = None  # pairs, texts or queries that it is over; None for an average
