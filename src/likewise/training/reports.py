"""What a run tells while it goes on: a line on the terminal, and trackers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from likewise.training.callbacks import TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from likewise.training.arguments import SentenceTransformerTrainingArguments


class ProgressCallback(TrainerCallback):
    """A line on standard error: steps, time left, loss, learning rate, rows per second, the last evaluation."""

    def __init__(self, rows_per_step: int):
        self.rows_per_step = rows_per_step
        self.bar: Any = None
        self.shown: dict[str, str] = {}

    def on_train_begin(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Open the line."""
        from tqdm import tqdm

        shape = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps, {elapsed}<{remaining}{postfix}"
        self.bar = tqdm(
            desc="Training", total=state.max_steps, initial=state.global_step, bar_format=shape, file=sys.stderr
        )
        self.started = state.global_step

    def on_step_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Go on by a step."""
        seconds = max(self.bar.format_dict["elapsed"], 1e-9)
        rate = (state.global_step - self.started) * self.rows_per_step / seconds
        loss = state.loss_since_log / max(1, state.steps_since_log)
        self.shown |= {"loss": f"{loss:.4f}"} if state.steps_since_log else {}
        self.shown |= {"rows/s": f"{rate:,.0f}"}
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **others: Any,
    ) -> None:
        """Show the learning rate."""
        if "learning_rate" in logs:
            self.shown |= {"loss": f"{logs['loss']:.4f}", "lr": f"{logs['learning_rate']:.2e}"}

    def on_evaluate(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **others: Any,
    ) -> None:
        """Show the last evaluation: the metric that chooses the best model, or the loss."""
        wanted = f"eval_{(args.metric_for_best_model or 'loss').removeprefix('eval_')}"
        name = wanted if wanted in metrics else next((n for n in metrics if "spearman" in n or "ndcg" in n), None)
        if name is not None and self.bar is not None:
            self.shown |= {name: f"{metrics[name]:.4f}"}
            self.bar.set_postfix(self.shown)

    def on_train_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Close the line."""
        self.bar.close()


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
