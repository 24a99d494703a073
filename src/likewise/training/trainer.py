"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from likewise.checkpoint.model_card import Score
from likewise.files import whole_folder
from likewise.losses.loss import Loss
from likewise.training import checkpoints, health
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.callbacks import FlowCallback, TrainerControl, TrainerState, call
from likewise.training.card import scores_of, training_facts
from likewise.training.evaluating import evaluation_loss, evaluator_scores
from likewise.training.memory import freed_memory_is_kept
from likewise.training.objectives import Batch, Losses, LossOf, Objective, epoch_plan, objectives_of, updates_of_epochs
from likewise.training.reports import ProgressCallback, TrackerCallback, rows_called
from likewise.training.run import Run, accelerator_of, seed_everything

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from likewise.model import Model


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

    run: Run  # what computes, once a training has begun
    looks_at_embeddings = True  # now and then, whether they have become one point

    def __init__(
        self,
        model: Model,
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
                f"{type(self).__name__} has no argument {next(iter(others))!r}: the model tokenises the texts, "
                "and a run is set by args, loss, evaluator, callbacks and optimizers"
            )
        self.model = model
        self.args = args or SentenceTransformerTrainingArguments()
        self.accelerator = accelerator_of(self.args)
        model.live.move(str(self.accelerator.device), self.args.precision)
        self.loss = _made(self.default_loss() if loss is None else loss, model)
        if self.args.eval_strategy != "no" and eval_dataset is None and evaluator is None:
            raise ValueError("eval_strategy asks for evaluations, but there is no eval_dataset and no evaluator")
        self.objectives: list[Objective] = []
        if train_dataset is not None:
            with self.accelerator.main_process_first():  # the others then find the tokens in the cache
                self.objectives = objectives_of(model, train_dataset, self.loss, self.args)
        self.eval_dataset = eval_dataset
        self.eval_objectives: list[Objective] = []  # made for the first evaluation
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

    def default_loss(self) -> Any:
        """The loss of a trainer that is given none."""
        from likewise.losses import CoSENTLoss

        return CoSENTLoss

    def add_callback(self, callback: Any) -> None:
        """Tell ``callback``, an object or its class, of the run's events."""
        self.callbacks.append(callback() if isinstance(callback, type) else callback)

    def remove_callback(self, callback: Any) -> None:
        """Take a callback away, given itself or its class."""
        self.callbacks = [c for c in self.callbacks if c is not callback and type(c) is not callback]

    # Training

    @freed_memory_is_kept()
    def train(self, resume_from_checkpoint: str | bool | None = None) -> TrainOutput:
        """Train to the end, or go on from a checkpoint (a folder; True: the newest in ``output_dir``).

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: The checkpoint is damaged or of another run, or there is nothing to train on.
            FloatingPointError: The loss or the gradient became NaN or infinite; the last checkpoint stays.
        """
        started = time.perf_counter()
        self._start(resume_from_checkpoint)
        state, accumulation = self.state, self.args.gradient_accumulation_steps
        watch, first_step = health.Watch(), state.global_step
        self._tell("on_train_begin")
        if self.args.eval_on_start and first_step == 0:
            self.evaluate()  # not the best so far: there is no checkpoint of it
        for epoch, plan, updates in self._remaining_epochs():
            for update in updates:
                seen = (update + 1) * accumulation  # batches of this epoch, with this step's
                self._tell("on_step_begin")
                loss = self._step(plan[seen - accumulation : seen])
                state.global_step += 1
                state.epoch = epoch + min(1.0, seen / len(plan))
                state.add_loss(loss)
                watch.see(state.global_step, loss)
                if self.looks_at_embeddings:
                    watch.look(state.global_step, self.model, self.objectives)
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
        """Make the run, and go to where it begins or goes on."""
        args = self.args
        if not self.objectives:
            raise ValueError("there is nothing to train on: give train_dataset")
        given = args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        folder = checkpoints.checkpoint_to_resume(given, str(args.output_dir)) if given else None
        if self.accelerator.is_main_process:
            checkpoints.remove_half_written(str(args.output_dir))
        seed_everything(args.seed, self.accelerator.process_index)
        first = self._plan(0)
        health.check_data(self.objectives, first)
        self._updates = updates_of_epochs(args, lambda epoch: len(self._plan(epoch) if epoch else first))
        steps = sum(self._updates)
        health.check_warmup(args.warmup_steps, steps)
        self.state, self.control = TrainerState.of_run(args, steps, len(self._updates)), TrainerControl()
        self.run = Run(self.accelerator, self.objectives, args, steps, self.optimizers)
        if folder is not None:
            self._restore(folder)
        self.state.is_world_process_zero = self.accelerator.is_main_process
        self.state.is_local_process_zero = self.accelerator.is_local_main_process

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
        try:
            loss = self.run.gradients(batches)
            self._gradient_norm = self.run.clip(batches)
        except FloatingPointError as error:
            kept = checkpoints.checkpoints_in(str(self.args.output_dir))
            last = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
            raise FloatingPointError(
                f"in step {self.state.global_step + 1}, {error}; {last}. A lower learning_rate, warm-up or "
                "max_grad_norm may help, and so may a look at these rows"
            ) from error
        self._tell("on_pre_optimizer_step")
        self._learning_rate = self.run.update()
        self._tell("on_optimizer_step")
        return loss

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
        self.run.finish()
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            _, tensors = checkpoints.read_state(Path(state.best_model_checkpoint))
            self.run.restore_weights(tensors)
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
        if eval_dataset is not None or self.eval_dataset is not None:
            objectives = self._evaluated(eval_dataset)
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

    def _evaluated(self, eval_dataset: object) -> list[Objective]:
        """The data to evaluate on; the trainer's own are read and tokenised once."""
        if eval_dataset is None and self.eval_objectives:
            return self.eval_objectives
        classes = {objective.name: objective.data.classes for objective in self.objectives}
        source = self.eval_dataset if eval_dataset is None else eval_dataset
        found = objectives_of(self.model, source, self.loss, self.args, classes)
        if eval_dataset is None:
            self.eval_objectives = found
        return found

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
        args, state = self.args, self.state
        output_dir = str(args.output_dir)
        folder = checkpoints.checkpoint_folder(output_dir, state.global_step)
        if is_best or state.best_global_step == state.global_step:
            state.best_model_checkpoint = str(folder)
        state.callback_states = {
            type(callback).__name__: callback.state() for callback in self.callbacks if hasattr(callback, "restore")
        }
        tensors = self.run.tensors(args.save_only_model)
        self._describe()
        if self.accelerator.is_main_process:
            with whole_folder(folder) as part:
                self.model.save_pretrained(part)
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
        self.run.restore(tensors, folder)
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

    def _plan(self, epoch: int) -> list[Batch]:
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        plan = epoch_plan(self.objectives, self.args, epoch, processes, process)
        if not plan:
            raise ValueError(
                f"an epoch has no batch: there are {sum(len(o.data) for o in self.objectives)} rows for "
                f"{processes} times {self.args.per_device_train_batch_size}"
            )
        return plan

    def _describe(self) -> None:
        """Tell the model what its card shall say."""
        self.model.training_facts = training_facts(self.objectives, self.args)
        self.model.scores = self.scores

    def _tell(self, event: str, **others: Any) -> None:
        run: Run | None = vars(self).get("run")  # an evaluation may come before any training
        self.control = call(
            self.callbacks,
            event,
            self.args,
            self.state,
            self.control,
            model=self.model,
            optimizer=None if run is None else run.optimizer,
            lr_scheduler=None if run is None else run.lr_scheduler,
            **others,
        )


def _made(loss: Any, model: Model) -> Any:
    """The loss, or the mapping of losses, with those that came as a class made for ``model``; each once."""
    if not isinstance(loss, Mapping):
        return _of_model(loss, model)
    made = {one: _of_model(one, model) for one in loss.values()}
    return {name: made[one] for name, one in loss.items()}


def _of_model(loss: LossOf, model: Model) -> Loss:
    made = loss if isinstance(loss, Loss) else loss(model)
    if made.network is not model.network:
        raise ValueError(f"the {type(made).__name__} was made for another model; make it for the one that is trained")
    return made
