"""What goes on in a run, for whoever wants to watch or steer it: the state, the control, callbacks.

Names and events are those of Transformers, whose own callbacks work here too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.training.arguments import SentenceTransformerTrainingArguments

EVENTS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_step_begin"),
    *("on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_evaluate", "on_save", "on_log"),
)


@dataclass
class TrainerState:
    """How far a run is; saved with each checkpoint."""

    epoch: float = 0.0
    global_step: int = 0  # optimiser steps done
    max_steps: int = 0
    num_train_epochs: int = 0
    logging_steps: int = 500
    eval_steps: int = 500
    save_steps: int = 500
    train_batch_size: int = 8
    log_history: list[dict[str, Any]] = field(default_factory=list)
    best_metric: float | None = None
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    is_world_process_zero: bool = True
    is_local_process_zero: bool = True
    loss_since_log: float = 0.0  # sum of the losses of the steps since the last log
    steps_since_log: int = 0
    loss_total: float = 0.0
    callback_states: dict[str, Any] = field(default_factory=dict)  # of the callbacks that have a ``state()``

    @classmethod
    def of_run(cls, args: SentenceTransformerTrainingArguments, steps: int, epochs: int) -> TrainerState:
        """The state at the start of a run of ``steps`` steps; shares of them become whole numbers."""

        def whole(interval: float | None) -> int:
            interval = interval or 1
            return max(1, math.ceil(interval * steps) if interval < 1 else int(interval))

        return cls(
            max_steps=steps,
            num_train_epochs=epochs,
            logging_steps=whole(args.logging_steps),
            eval_steps=whole(args.eval_steps),
            save_steps=whole(args.save_steps),
            train_batch_size=args.per_device_train_batch_size,
        )

    def add_loss(self, loss: float) -> None:
        """Count the loss of one step."""
        self.loss_since_log += loss
        self.steps_since_log += 1
        self.loss_total += loss

    def to_json(self) -> str:
        """The state as the text of a JSON file."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, path: Path) -> TrainerState:
        """The state in the JSON file ``path``.

        Raises:
            ValueError: It is damaged.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            known = {f.name for f in fields(cls)}
            return cls(**{name: value for name, value in values.items() if name in known})
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}); resume from another checkpoint") from error


@dataclass
class TrainerControl:
    """What shall happen next; a callback may change it."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False


class TrainerCallback:
    """Base of callbacks: a method for each event that is wanted, ``(args, state, control, **others)``.

    The events are ``on_train_begin``, ``on_step_end`` and so on (EVENTS). A method may change ``control`` or return it.
    """


class EarlyStoppingCallback(TrainerCallback):
    """Ends the run when ``metric_for_best_model`` has not become better for ``early_stopping_patience`` evaluations.

    Better means by more than ``early_stopping_threshold``.
    """

    def __init__(self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0):
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold
        self.early_stopping_patience_counter = 0
        self.best: float | None = None

    def on_train_begin(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Refuse a run that never evaluates."""
        if args.metric_for_best_model is None or args.eval_strategy == "no":
            raise ValueError("EarlyStoppingCallback needs an eval_strategy and metric_for_best_model")

    def on_evaluate(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **others: Any,
    ) -> None:
        """Count the evaluations that were not better."""
        value = metrics.get(f"eval_{str(args.metric_for_best_model).removeprefix('eval_')}")
        if value is None:
            return
        gain = 0.0 if self.best is None else value - self.best if args.greater_is_better else self.best - value
        if self.best is None or gain > self.early_stopping_threshold:
            self.best, self.early_stopping_patience_counter = value, 0
        else:
            self.early_stopping_patience_counter += 1
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def state(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best": self.best, "counter": self.early_stopping_patience_counter}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.best, self.early_stopping_patience_counter = state["best"], state["counter"]


class FlowCallback(TrainerCallback):
    """Decides by the arguments when to log, evaluate and save, and when the run is over."""

    def on_step_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """After each optimiser step."""
        step = state.global_step
        is_last = step >= state.max_steps
        if (step == 1 and args.logging_first_step) or (
            args.logging_strategy == "steps" and step % state.logging_steps == 0
        ):
            control.should_log = True
        if args.eval_strategy == "steps" and args.eval_delay <= step and (step % state.eval_steps == 0 or is_last):
            control.should_evaluate = True
        if args.save_strategy == "steps" and (step % state.save_steps == 0 or is_last):
            control.should_save = True
        if is_last:
            control.should_training_stop = True

    def on_epoch_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """After each pass through the data."""
        control.should_log = control.should_log or args.logging_strategy == "epoch"
        if args.eval_strategy == "epoch" and args.eval_delay <= state.epoch:
            control.should_evaluate = True
        control.should_save = control.should_save or args.save_strategy == "epoch"


def call(
    callbacks: Sequence[Any],
    event: str,
    args: SentenceTransformerTrainingArguments,
    state: TrainerState,
    control: TrainerControl,
    **others: Any,
) -> TrainerControl:
    """Tell ``event`` to every callback that has a method for it; the control, or the one that a callback gave back."""
    for callback in callbacks:
        method = getattr(callback, event, None)
        if method is not None:
            control = method(args, state, control, **others) or control
    return control
