"""What became of the texts of a call: how many tokens each has, and how many of them the model has read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
            ValueError: There is one.
        """
        if len(self.cut):
            place = int(self.cut[0])
            raise ValueError(
                f"text {place} has {self.tokens[place]:,} tokens, and the model reads {self.max_seq_length:,}; cut it, "
                'or give long_texts="chunk" to embed it in chunks or "truncate" to leave the rest out'
            )

    def __str__(self) -> str:
        share = self.lost.sum(dtype=np.int64) / max(1, self.tokens.sum(dtype=np.int64))
        return (
            f"{len(self.cut):,} of {len(self.tokens):,} texts have more than {self.max_seq_length:,} tokens and were "
            f"cut; {self.lost.sum(dtype=np.int64):,} tokens, {share:.1%}, were lost"
        )


def empty_report(max_seq_length: float, texts: int) -> EncodingReport:
    """A report to be filled in, of so many texts."""
    return EncodingReport(max_seq_length, np.zeros(texts, dtype=np.int32), np.zeros(texts, dtype=np.int32))
