"""What became of the texts of a call: how many tokens each has, and how many of them the model has read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.tokens import TooLong


@dataclass(frozen=True, slots=True)
class EncodingReport:
    """The tokens of each text of a call to ``encode``; special tokens and the prompt are counted too."""

    max_seq_length: float  # the most that the model reads of a text, in tokens
    tokens: NDArray[np.int32]  # (texts,), before anything is cut
    read: NDArray[np.int32]  # (texts,), those that the vector is made of

    @property
    def lost(self) -> NDArray[np.int32]:
        """How many tokens were cut off each text, (texts,)."""
        return self.tokens - self.read

    @property
    def cut(self) -> NDArray[np.intp]:
        """Which texts lost tokens: their indices."""
        return np.flatnonzero(self.lost)

    def check(self) -> None:
        """Refuse texts that were cut.

        Raises:
            TooLong: There is one.
        """
        if len(self.cut):
            place = int(self.cut[0])
            raise TooLong(place, int(self.tokens[place]), self.max_seq_length)

    def __str__(self) -> str:
        return str(Tally(self))


@dataclass(frozen=True, slots=True)
class Counts:
    """What was cut off some texts of at most ``limit`` tokens."""

    limit: float = math.inf
    texts: int = 0
    cut: int = 0  # of the texts
    tokens: int = 0
    lost: int = 0  # of the tokens

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            min(self.limit, other.limit), *(a + b for a, b in zip(self._numbers, other._numbers, strict=True))
        )

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.limit, *(a - b for a, b in zip(self._numbers, other._numbers, strict=True)))

    @property
    def _numbers(self) -> tuple[int, int, int, int]:
        return self.texts, self.cut, self.tokens, self.lost


class Tally:
    """What was cut off, counted over the reports of many calls."""

    def __init__(self, report: EncodingReport | None = None):
        self.counts = Counts()
        if report is not None:
            self.add(report)

    @property
    def cut(self) -> int:
        """How many texts lost tokens."""
        return self.counts.cut

    def add(self, report: EncodingReport) -> None:
        """Count the texts of ``report`` too."""
        tokens, lost = (int(numbers.sum(dtype=np.int64)) for numbers in (report.tokens, report.lost))
        self.counts += Counts(report.max_seq_length, len(report.tokens), len(report.cut), tokens, lost)

    def of(self, encode: Callable[..., tuple[Any, EncodingReport]]) -> Callable[..., Any]:
        """``encode``, which can give a report, as a function that gives vectors alone; all reports are counted."""

        def counted(texts: Any, **arguments: Any) -> Any:
            vectors, report = encode(texts, return_report=True, **arguments)
            self.add(report)
            return vectors

        return counted

    def __str__(self) -> str:
        counts = self.counts
        share = counts.lost / max(1, counts.tokens)
        return (
            f"{counts.cut:,} of {counts.texts:,} texts have more than {counts.limit:,} tokens and were cut; "
            f"{counts.lost:,} tokens, {share:.1%}, were lost"
        )


def empty_report(max_seq_length: float, texts: int) -> EncodingReport:
    """A report to be filled in, of so many texts."""
    return EncodingReport(max_seq_length, np.zeros(texts, dtype=np.int32), np.zeros(texts, dtype=np.int32))
