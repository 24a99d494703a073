"""A training example as older scripts write it."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class InputExample:
    """The texts of one row, and its label."""

    guid: str = ""
    texts: Sequence[str] = field(default_factory=list)
    label: int | float | Sequence[float] = 0

    def __str__(self) -> str:
        return f"<InputExample> label: {self.label}, texts: {'; '.join(self.texts)}"
