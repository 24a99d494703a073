"""Ctrl-C in a run: the step is finished and a checkpoint written, from which the run can go on."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from likewise.training.callbacks import TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from likewise.training.arguments import SentenceTransformerTrainingArguments

NOTICE = "\nStopping after this step, with a checkpoint; Ctrl-C again stops at once.\n"


class Interruption(TrainerCallback):
    """While it is entered, the first Ctrl-C asks for a checkpoint, after which the run ends with KeyboardInterrupt.

    The second one ends it at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(2, NOTICE.encode())  # print cannot be called while it is at work

    def on_step_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Ask for a checkpoint."""
        control.should_save = control.should_save or self.asked

    def on_save(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """End the run, now that the checkpoint is there."""
        if self.asked:
            raise KeyboardInterrupt
