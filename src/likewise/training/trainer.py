"""The training loop."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from likewise.checkpoint.model_card import Score
from likewise.extras import extra
from likewise.files import whole_folder
from likewise.losses.loss import Loss
from likewise.training import checkpoints, health
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.callbacks import FlowCallback, TrainerControl, TrainerState, call
from likewise.training.card import scores_of, training_facts
from likewise.training.evaluating import evaluation_loss, evaluator_scores
from likewise.training.objectives import Batch, Losses, LossOf, Objective, epoch_plan, objectives_of
from likewise.training.optimizers import optimizer_of
from likewise.training.reports import ProgressCallback, TrackerCallback, rows_called
from likewise.training.schedules import schedule

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from likewise.sentence_transformer import SentenceTransformer


@dataclass(frozen=True)
class TrainOutput:
    """What a run came to."""

    global_step: int
    training_loss: float  # mean over all steps
    metrics: dict[str, float]


class SentenceTransformerTrainer:
    """Trains ``model`` on ``train_dataset`` with ``loss``: one of each, or mappings with the same names.

    A data set is anything that ``training_data`` takes: a datasets.Dataset, a data frame, a list, a file. ``loss`` is a
    loss made for this model, or its class; without one it is CoSENTLoss. ``evaluator`` is one or several.

    Raises:
        ValueError: A data set has not the columns that its loss needs, or rows without a text or a label.
        ImportError: The extra "train" is not installed.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        args: SentenceTransformerTrainingArguments | None = None,
        train_dataset: object = None,
        eval_dataset: object = None,
        loss: LossOf | Mapping[str, LossOf] | None = None,
        evaluator: Any = None,
        callbacks: Sequence[Any] | None = None,
        optimizers: tuple[Optimizer | None, LRScheduler | None] = (None, None),
        **others: Any,
    ):
        if others:
            raise TypeError(
                f"SentenceTransformerTrainer has no argument {next(iter(others))!r}: the model tokenises the texts, "
                "and a run is set by args, loss, evaluator, callbacks and optimizers"
            )
        self.model = model
        self.args = args or SentenceTransformerTrainingArguments()
        self.accelerator = _accelerator(self.args)
        model.live.move(str(self.accelerator.device), _precision(self.args))
        self.loss = _made(loss, model)
        self.objectives: list[Objective] = []
        if train_dataset is not None:
            with self.accelerator.main_process_first():  # the others then find the tokens in the cache
                self.objectives = objectives_of(model, train_dataset, self.loss, self.args)
        self.eval_dataset = eval_dataset
        self.evaluator = evaluator
        self.optimizers = optimizers
        self.scores: list[Score] = []  # of the last evaluation
        self.state = TrainerState()
        self.control = TrainerControl()
        self.callbacks: list[Any] = [FlowCallback()]
        if self.accelerator.is_local_main_process and not self.args.disable_tqdm:
            columns = {len(objective.data.columns) for objective in self.objectives}
            self.callbacks.append(ProgressCallback(self._rows_per_step, rows_called(columns)))
        if self.args.trackers:
            self.callbacks.append(TrackerCallback(self.accelerator))
        for callback in callbacks or ():
            self.add_callback(callback)

    def add_callback(self, callback: Any) -> None:
        """Tell ``callback``, an object or its class, of the run's events."""
        self.callbacks.append(callback() if isinstance(callback, type) else callback)

    def remove_callback(self, callback: Any) -> None:
        """Take a callback away, given itself or its class."""
        self.callbacks = [c for c in self.callbacks if c is not callback and type(c) is not callback]

    # Training

    def train(self, resume_from_checkpoint: str | bool | None = None) -> TrainOutput:
        """Train to the end, or go on from a checkpoint (a folder; True: the newest in ``output_dir``).

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: The checkpoint is damaged or of another run, or there is nothing to train on.
            FloatingPointError: The loss or the gradient became NaN or infinite; the last checkpoint stays.
        """
        started = time.perf_counter()
        self._start(resume_from_checkpoint)
        state, watch, first_step = self.state, health.LossWatch(), self.state.global_step
        self._tell("on_train_begin")
        if self.args.eval_on_start and first_step == 0:
            self.evaluate()  # not the best so far: there is no checkpoint of it
        for epoch, plan, updates in self._remaining_epochs():
            for update in updates:
                batches = plan[update * self.args.gradient_accumulation_steps :][
                    : self.args.gradient_accumulation_steps
                ]
                self._tell("on_step_begin")
                loss = self._step(batches)
                state.global_step += 1
                state.epoch = epoch + min(1.0, (update + 1) * self.args.gradient_accumulation_steps / len(plan))
                state.add_loss(loss)
                watch.see(state.global_step, loss)
                if state.global_step in health.LOOKS:
                    health.check_embeddings(self.model, health.different_texts(self.objectives), state.global_step)
                self._tell("on_step_end")
                self._log_evaluate_save()
                if self.control.should_training_stop or self.control.should_epoch_stop:
                    break
            self.control.should_epoch_stop = False
            self._tell("on_epoch_end")
            self._log_evaluate_save()
            if self.control.should_training_stop:
                break
        return self._finish(first_step, time.perf_counter() - started)

    def _start(self, resume_from_checkpoint: str | bool | None) -> None:
        """Make the optimiser and its schedule, and go to where the run begins or goes on."""
        args = self.args
        if not self.objectives:
            raise ValueError("there is nothing to train on: give train_dataset")
        given = args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        folder = (
            checkpoints.checkpoint_to_resume(given if given is True else str(given), str(args.output_dir))
            if given
            else None
        )
        if self.accelerator.is_main_process:
            checkpoints.remove_half_written(str(args.output_dir))
        random.seed(args.seed)
        np.random.seed(args.seed)
        torch.manual_seed(args.seed + self.accelerator.process_index)
        plan = self._plan(0)
        health.check_data(self.objectives, plan)
        self._updates = self._updates_of_epochs()
        steps = sum(self._updates)
        health.check_warmup(args.warmup_steps, steps)
        self.state = TrainerState.of_run(args, steps, len(self._updates))
        self.control = TrainerControl()
        self._losses = Losses([objective.loss for objective in self.objectives]).to(self.accelerator.device)
        for loss in self._losses.modules():
            if isinstance(loss, Loss):
                loss.token_budget = args.token_budget or loss.token_budget
                loss.replays = loss.replays or args.gradient_checkpointing
        given_optimizer, given_schedule = self.optimizers
        optimizer = given_optimizer or optimizer_of(
            self._losses,
            args.optim,
            args.learning_rate,
            args.weight_decay,
            (args.adam_beta1, args.adam_beta2),
            args.adam_epsilon,
            args.learning_rate_mapping,
        )
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.lr_scheduler = given_schedule or schedule(
            optimizer, args.lr_scheduler_type, args.warmup_steps, steps, **(args.lr_scheduler_kwargs or {})
        )
        self._module = self.accelerator.prepare_model(self._losses)  # over all processes, where there are several
        if folder is not None:
            self._restore(folder)

    def _remaining_epochs(self) -> Iterator[tuple[int, list[Batch], range]]:
        """Each epoch that is not over: its number, its batches, and the optimiser steps in it that remain."""
        before = 0
        for epoch, updates in enumerate(self._updates):
            done = max(0, self.state.global_step - before)
            before += updates
            if done < updates:
                if done == 0:
                    self._tell("on_epoch_begin")
                yield epoch, self._plan(epoch), range(done, updates)

    def _step(self, batches: Sequence[Batch]) -> float:
        """One optimiser step on the mean loss of ``batches``: that loss."""
        self._module.train()
        total = 0.0
        for number, batch in enumerate(batches, 1):
            waits = number < len(batches)  # gradients are shared between processes once a step
            with self.accelerator.no_sync(self._module) if waits else nullcontext():
                with self.accelerator.autocast():
                    loss = self._module(batch.place, *self.objectives[batch.place].batch(batch.rows))
                self.accelerator.backward(loss / len(batches))
            value = float(loss.detach())
            if not math.isfinite(value):
                self._fail(f"the loss became {value}", [batch])
            total += value / len(batches)
        limit = self.args.max_grad_norm or math.inf
        self._gradient_norm = float(self.accelerator.clip_grad_norm_(self._losses.parameters(), limit))
        if self.accelerator.scaler is None and not math.isfinite(self._gradient_norm):
            self._fail(f"the gradient became {self._gradient_norm}", batches)
        self._tell("on_pre_optimizer_step")
        self.optimizer.step()
        self._tell("on_optimizer_step")
        self._learning_rate = float(self.optimizer.param_groups[0]["lr"])
        if not self.accelerator.optimizer_step_was_skipped:  # in float16, a step whose gradient overflowed
            self.lr_scheduler.step()
        self.optimizer.zero_grad()
        return total

    def _log_evaluate_save(self) -> None:
        """Do what the callbacks asked for."""
        state, control = self.state, self.control
        if control.should_log:
            control.should_log = False
            if state.steps_since_log:
                loss = torch.tensor(state.loss_since_log / state.steps_since_log, device=self.accelerator.device)
                self.log(
                    {
                        "loss": float(self.accelerator.reduce(loss, "mean")),
                        "grad_norm": self._gradient_norm,
                        "learning_rate": self._learning_rate,
                    }
                )
                state.loss_since_log, state.steps_since_log = 0.0, 0
        is_better = False
        if control.should_evaluate:
            control.should_evaluate = False
            is_better = self._evaluate_in_train()
        if control.should_save or (is_better and self.args.save_strategy == "best"):
            control.should_save = False
            self._save_checkpoint(is_better)

    def _finish(self, first_step: int, seconds: float) -> TrainOutput:
        state, args = self.state, self.args
        self.accelerator.unwrap_model(self._module, keep_fp32_wrapper=False)
        self.model.network.eval()
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            _, tensors = checkpoints.read_state(Path(state.best_model_checkpoint))
            self._losses.load_state_dict(tensors["weights"])
            self._take_best_scores()
        rows = (state.global_step - first_step) * self._rows_per_step
        metrics = {
            "train_runtime": seconds,
            "train_samples_per_second": rows / seconds,
            "train_steps_per_second": (state.global_step - first_step) / seconds,
            "train_loss": state.loss_total / max(1, state.global_step),
        }
        self.log(metrics)
        self._tell("on_train_end")
        self._describe()
        if args.push_to_hub:
            self.push_to_hub()
        return TrainOutput(state.global_step, metrics["train_loss"], metrics | {"epoch": state.epoch})

    # Evaluation

    def evaluate(self, eval_dataset: object = None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """The loss on ``eval_dataset``, by default the trainer's, and the scores of the evaluator, logged.

        Keys are "eval_loss", or "eval_NAME_loss" for several data sets, and "eval_" before each key of the evaluator.
        """
        started = time.perf_counter()
        found: dict[str, float] = {}
        rows = 0
        source = self.eval_dataset if eval_dataset is None else eval_dataset
        if source is not None:
            classes = {objective.name: objective.data.classes for objective in self.objectives}
            objectives = objectives_of(self.model, source, self.loss, self.args, classes)
            rows = sum(len(objective.data) for objective in objectives)
            losses = Losses([objective.loss for objective in objectives]).to(self.accelerator.device)
            found |= evaluation_loss(losses, objectives, self.args.per_device_eval_batch_size, self.accelerator)
        if self.evaluator is not None:
            found |= self._evaluator_scores()
        prefix = f"{metric_key_prefix}_"
        metrics = {name if name.startswith(prefix) else prefix + name: value for name, value in found.items()}
        seconds = time.perf_counter() - started
        metrics[f"{prefix}runtime"] = seconds
        if rows:
            metrics[f"{prefix}samples_per_second"] = rows / seconds
        self.log(metrics)
        self._tell("on_evaluate", metrics=metrics)
        return metrics

    def _evaluator_scores(self) -> dict[str, float]:
        """What the evaluator finds, computed by one process for all."""
        shared: list[Any] = [None]
        if self.accelerator.is_main_process:
            folder = Path(str(self.args.output_dir)) / "eval"
            shared = [evaluator_scores(self.evaluator, self.model, folder, self.state.epoch, self.state.global_step)]
        if self.accelerator.num_processes > 1:
            torch.distributed.broadcast_object_list(shared)
        self.scores = scores_of(self.evaluator, shared[0])
        found: dict[str, float] = shared[0]
        return found

    def _take_best_scores(self) -> None:
        """Let ``scores`` be those of the best model rather than of the last evaluation."""
        for entry in self.state.log_history:
            found = {name.removeprefix("eval_"): value for name, value in entry.items() if name.startswith("eval_")}
            if entry["step"] == self.state.best_global_step and found:
                self.scores = scores_of(self.evaluator, found)

    def _evaluate_in_train(self) -> bool:
        """Evaluate; whether it is the best so far by ``metric_for_best_model``."""
        metrics, args, state = self.evaluate(), self.args, self.state
        if args.metric_for_best_model is None:
            return False
        name = f"eval_{args.metric_for_best_model.removeprefix('eval_')}"
        if name not in metrics:
            raise ValueError(f"metric_for_best_model {name!r} is not among what was evaluated: {', '.join(metrics)}")
        value = metrics[name]
        best = state.best_metric
        if best is not None and not (value > best if args.greater_is_better else value < best):
            return False
        state.best_metric, state.best_global_step = value, state.global_step
        return True

    # Telling and keeping

    def log(self, logs: Mapping[str, float]) -> None:
        """Add an entry to ``state.log_history`` and tell callbacks and trackers."""
        entry = {**logs, "epoch": self.state.epoch}
        self.state.log_history.append({**entry, "step": self.state.global_step})
        self._tell("on_log", logs=entry)

    def save_model(self, output_dir: str | None = None) -> None:
        """Write the model, with its card, into ``output_dir``, by default the run's."""
        self._describe()
        if self.accelerator.is_main_process:
            self.model.save_pretrained(output_dir or str(self.args.output_dir))

    def push_to_hub(self) -> str | None:
        """Upload the model to the Hub: the address."""
        if not self.accelerator.is_main_process:
            return None
        args = self.args
        name = args.hub_model_id or Path(str(args.output_dir)).resolve().name
        return self.model.push_to_hub(name, args.hub_token, args.hub_private_repo, exist_ok=True)

    def _save_checkpoint(self, is_best: bool) -> None:
        """Write a checkpoint, whole or not at all, and remove what is too many."""
        from accelerate.utils import gather_object

        args, state = self.args, self.state
        output_dir = str(args.output_dir)
        folder = checkpoints.checkpoint_folder(output_dir, state.global_step)
        if is_best or state.best_global_step == state.global_step:
            state.best_model_checkpoint = str(folder)
        state.callback_states = {
            type(callback).__name__: callback.state() for callback in self.callbacks if hasattr(callback, "restore")
        }
        random_states = gather_object([checkpoints.random_states()])
        self._describe()
        if self.accelerator.is_main_process:
            with whole_folder(folder) as part:
                self.model.save_pretrained(part)
                tensors = {"weights": self._losses.state_dict()}
                if not args.save_only_model:
                    tensors |= {
                        "optimizer": self.optimizer.state_dict(),
                        "schedule": self.lr_scheduler.state_dict(),
                        "random": random_states,
                        "run": self._run,
                    }
                    if self.accelerator.scaler is not None:
                        tensors["scaler"] = self.accelerator.scaler.state_dict()
                checkpoints.write_state(part, state, tensors, args.to_dict())
            if args.save_total_limit is not None:
                checkpoints.remove_old(output_dir, args.save_total_limit, state.best_model_checkpoint)
            if args.push_to_hub and args.hub_strategy == "every_save":
                self.push_to_hub()
        self.accelerator.wait_for_everyone()
        self._tell("on_save")

    def _restore(self, folder: Path) -> None:
        """Go on where the checkpoint ``folder`` was written."""
        state, tensors = checkpoints.read_state(folder)
        if "optimizer" not in tensors:
            raise ValueError(f"{folder} holds the model only (save_only_model) and cannot be resumed from")
        for name, value in self._run.items():
            if (found := tensors["run"].get(name)) != value:
                raise ValueError(f"{folder} is of another run: {name} was {found}, now it is {value}")
        self._losses.load_state_dict(tensors["weights"])
        self.optimizer.load_state_dict(tensors["optimizer"])
        self.lr_scheduler.load_state_dict(tensors["schedule"])
        checkpoints.restore_random_states(tensors["random"][self.accelerator.process_index])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(tensors["scaler"])
        for callback in self.callbacks:
            if type(callback).__name__ in state.callback_states:
                callback.restore(state.callback_states[type(callback).__name__])
        state.max_steps, state.num_train_epochs = self.state.max_steps, self.state.num_train_epochs
        self.state = state

    # Inside

    @property
    def _rows_per_step(self) -> int:
        args = self.args
        return args.per_device_train_batch_size * args.gradient_accumulation_steps * self.accelerator.num_processes

    @property
    def _run(self) -> dict[str, Any]:
        """What decides the order of the data: a resumed run must have the same."""
        args = self.args
        names = (
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "seed",
            "data_seed",
            "dataloader_drop_last",
        )
        samplers = {"batch_sampler": str(args.batch_sampler), "multi": str(args.multi_dataset_batch_sampler)}
        rows = {objective.name: len(objective.data) for objective in self.objectives}
        own = {name: getattr(args, name) for name in names}
        return own | samplers | {"rows": rows, "processes": self.accelerator.num_processes}

    def _plan(self, epoch: int) -> list[Batch]:
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        plan = epoch_plan(self.objectives, self.args, epoch, processes, process)
        if not plan:
            raise ValueError(
                f"an epoch has no batch: there are {sum(len(o.data) for o in self.objectives)} rows for "
                f"{processes} times {self.args.per_device_train_batch_size}"
            )
        return plan

    def _updates_of_epochs(self) -> list[int]:
        """The optimiser steps of each epoch, the last one cut where max_steps or a part of an epoch ends it."""
        args = self.args

        def updates(epoch: int) -> int:
            return -(-len(self._plan(epoch)) // args.gradient_accumulation_steps)

        found: list[int] = []
        if args.max_steps > 0:
            while sum(found) < args.max_steps:
                found.append(min(updates(len(found)), args.max_steps - sum(found)))
            return found
        whole, part = divmod(args.num_train_epochs, 1)
        found = [updates(epoch) for epoch in range(int(whole))]
        return found + ([math.ceil(updates(int(whole)) * part)] if part else [])

    def _describe(self) -> None:
        """Tell the model what its card shall say."""
        self.model.training_facts = training_facts(self.objectives, self.args)
        self.model.scores = self.scores

    def _tell(self, event: str, **others: Any) -> None:
        self.control = call(
            self.callbacks,
            event,
            self.args,
            self.state,
            self.control,
            model=self.model,
            optimizer=getattr(self, "optimizer", None),
            lr_scheduler=getattr(self, "lr_scheduler", None),
            **others,
        )

    def _fail(self, what: str, batches: Sequence[Batch]) -> None:
        kept = checkpoints.checkpoints_in(str(self.args.output_dir))
        named = [
            f"rows {', '.join(map(str, batch.rows[:8]))}{' …' if len(batch.rows) > 8 else ''} of "
            f"{self.objectives[batch.place].name or 'the training data'}"
            for batch in batches
        ]
        last = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise FloatingPointError(
            f"{what} in step {self.state.global_step + 1}, at {'; '.join(named[:4])}. {last}. A lower learning_rate, "
            "warm-up or max_grad_norm may help, and so may a look at these rows"
        )


def _accelerator(args: SentenceTransformerTrainingArguments) -> Accelerator:
    with extra("train", "Training"):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    handlers = [
        InitProcessGroupKwargs(timeout=timedelta(seconds=args.ddp_timeout)),
        DistributedDataParallelKwargs(find_unused_parameters=args.ddp_find_unused_parameters is not False),
    ]
    AcceleratorState._reset_state()  # shared by all of the process: a run before may have had another precision
    return Accelerator(
        mixed_precision="bf16" if args.bf16 else "fp16" if args.fp16 else "no",
        cpu=args.use_cpu,
        log_with=args.trackers or None,
        project_dir=str(args.output_dir),
        kwargs_handlers=handlers,
    )


def _precision(args: SentenceTransformerTrainingArguments) -> str:
    """What an evaluation within the run computes in."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"


def _made(loss: Any, model: SentenceTransformer) -> Any:
    """The loss, or the mapping of losses, with those that came as a class made for ``model``; each once."""
    if loss is None:
        from likewise.losses import CoSENTLoss

        loss = CoSENTLoss
    if not isinstance(loss, Mapping):
        return loss if isinstance(loss, Loss) else loss(model)
    made = {one: one if isinstance(one, Loss) else one(model) for one in loss.values()}
    return {name: made[one] for name, one in loss.items()}
