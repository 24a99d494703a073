"""What a run tells while it goes on: a line on the terminal, and trackers."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from likewise.training.callbacks import TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from likewise.training.arguments import SentenceTransformerTrainingArguments

UNTOLD = ("_runtime", "_samples_per_second", "_sequential_score")  # how that ends which is no score, or one repeated


class ProgressCallback(TrainerCallback):
    """How far a run is, on standard error: time left, loss, learning rate, speed and the last evaluation.

    On a terminal that is one line that changes, with a line above it for each evaluation; elsewhere a line at each log.
    ``rows`` is what a row is called in the speed, "pairs" for example; it counts the seconds of the steps alone.
    """

    def __init__(self, rows_per_step: int, rows: str = "rows"):
        self.rows_per_step = rows_per_step
        self.rows = rows
        self.bar: Any = None
        self.seconds = 0.0  # in steps
        self.shown: dict[str, str] = {}
        self.score = ""  # of the last evaluation

    def on_train_begin(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Open the line."""
        from tqdm import tqdm

        self.first_step, self.seconds, self.shown, self.score = state.global_step, 0.0, {}, ""
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}",
            smoothing=0,  # evaluations come in between, so the time left is told from the mean
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
        )
        if args.eval_on_start and state.global_step == 0:
            self._show("evaluating")

    def on_step_begin(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Start the clock."""
        self.began = time.perf_counter()
        if state.global_step == self.first_step:
            self.began_training = self.began
            # The clock of tqdm: an evaluation before the first step is no step.
            self.bar.start_t = self.bar.last_print_t = time.time()

    def on_step_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Go on by a step."""
        self.seconds += time.perf_counter() - self.began
        if state.steps_since_log:
            self.shown["loss"] = f"loss {state.loss_since_log / state.steps_since_log:.4f}"
        self.shown["speed"] = f"{self._speed(state):,.0f} {self.rows}/s"
        self.bar.update(state.global_step - self.bar.n)
        self._show("evaluating" if control.should_evaluate else self.score, at_once=control.should_evaluate)

    def on_log(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **others: Any,
    ) -> None:
        """Show the learning rate."""
        if self.bar is None or "learning_rate" not in logs:
            return
        self.shown |= {"loss": f"loss {logs['loss']:.4f}", "lr": f"lr {logs['learning_rate']:.1e}"}
        if self.bar.disable:
            done = state.global_step - self.first_step
            left = (time.perf_counter() - self.began_training) / done * (state.max_steps - state.global_step)
            told = f"{self._line('loss', 'lr', 'speed')}, {self.bar.format_interval(left)} left"
            print(f"{_place(state)}, epoch {state.epoch:.2f}: {told}", file=sys.stderr, flush=True)

    def on_evaluate(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **others: Any,
    ) -> None:
        """Tell an evaluation, by the metric that chooses the best model."""
        name = _main_metric(args, metrics)
        if self.bar is None or name is None:
            return
        value = f"{metrics[f'eval_{name}']:.4f}"
        self.bar.write(f"{_place(state)}, evaluation: {name} {value}", file=sys.stderr)
        self.score = f"eval {value}"
        self._show(self.score)

    def on_train_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Close the line."""
        self.close()

    def close(self) -> None:
        """Leave the line as it is: what is printed next stands below it."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _speed(self, state: TrainerState) -> float:
        return (state.global_step - self.first_step) * self.rows_per_step / max(self.seconds, 1e-9)

    def _line(self, *names: str) -> str:
        return ", ".join(self.shown[name] for name in names if self.shown.get(name))

    def _show(self, evaluation: str, at_once: bool = True) -> None:
        """Set what stands beside the bar, drawn some ten times a second: in 80 columns there is room for it all."""
        if not self.bar.disable:
            self.shown["evaluation"] = evaluation
            self.bar.set_postfix_str(self._line("loss", "speed", "evaluation", "lr"), refresh=at_once)


def rows_called(columns: Collection[int]) -> str:
    """What rows are called that have so many ``columns`` of text."""
    return {1: "texts", 2: "pairs", 3: "triplets"}.get(min(columns, default=0), "rows") if len(columns) == 1 else "rows"


def _place(state: TrainerState) -> str:
    return f"step {state.global_step:,} of {state.max_steps:,}"


def _main_metric(args: SentenceTransformerTrainingArguments, metrics: Mapping[str, float]) -> str | None:
    """The metric that chooses the best model, else the loss, the first correlation or nDCG, or the first of all."""
    names = [name.removeprefix("eval_") for name in metrics if not name.endswith(UNTOLD)]
    wanted = [(args.metric_for_best_model or "loss").removeprefix("eval_"), "loss"]
    usual = [name for name in names if "spearman" in name or "ndcg" in name]
    return next((name for name in [*wanted, *usual, *names] if name in names), None)


class TrackerCallback(TrainerCallback):
    """Hands all that is logged to the trackers that accelerate knows: TensorBoard, Weights & Biases, trackio, …"""

    def __init__(self, accelerator: Any):
        self.accelerator = accelerator

    def on_train_begin(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Begin the run in each tracker."""
        plain = (str, int, float, bool)
        config = {name: value if isinstance(value, plain) else str(value) for name, value in args.to_dict().items()}
        names = {"wandb": {"name": args.run_name}, "trackio": {"name": args.run_name}} if args.run_name else {}
        self.accelerator.init_trackers(args.project, config=config, init_kwargs=names)

    def on_log(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **others: Any,
    ) -> None:
        """Pass on one entry of the log."""
        self.accelerator.log({n: v for n, v in logs.items() if isinstance(v, int | float)}, step=state.global_step)

    def on_train_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """End the run in each tracker."""
        self.accelerator.end_training()
