"""What a run computes with: the losses over all processes, the optimiser and its schedule, and their state."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from likewise.extras import extra
from likewise.losses.loss import Loss
from likewise.training import checkpoints
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.objectives import Batch, Losses, Objective
from likewise.training.optimizers import optimizer_of
from likewise.training.schedules import schedule

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


class Run:
    """The losses of ``objectives``, wrapped for all processes, with their optimiser and its schedule over ``steps``."""

    def __init__(
        self,
        accelerator: Accelerator,
        objectives: Sequence[Objective],
        args: SentenceTransformerTrainingArguments,
        steps: int,
        optimizers: tuple[Optimizer | None, LRScheduler | None],
    ):
        self.accelerator = accelerator
        self.objectives = objectives
        self.max_grad_norm = args.max_grad_norm or math.inf
        self.losses = Losses([objective.loss for objective in objectives]).to(accelerator.device)
        for loss in self.losses.modules():
            if isinstance(loss, Loss):
                loss.token_budget = args.token_budget or loss.token_budget
                loss.replays = loss.replays or args.gradient_checkpointing
        optimizer, given_schedule = optimizers
        if optimizer is None:
            optimizer = optimizer_of(
                self.losses,
                args.optim,
                args.learning_rate,
                args.weight_decay,
                (args.adam_beta1, args.adam_beta2),
                args.adam_epsilon,
                args.learning_rate_mapping,
            )
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.lr_scheduler = given_schedule or schedule(
            optimizer, args.lr_scheduler_type, args.warmup_steps, steps, **(args.lr_scheduler_kwargs or {})
        )
        self.module = accelerator.prepare_model(self.losses)
        # What decides the order of the data: a run that goes on must have the same.
        names = ("per_device_train_batch_size", "gradient_accumulation_steps", "seed", "data_seed")
        own = {name: getattr(args, name) for name in (*names, "dataloader_drop_last")}
        samplers = {name: str(getattr(args, name)) for name in ("batch_sampler", "multi_dataset_batch_sampler")}
        rows = {objective.name: len(objective.data) for objective in objectives}
        self.identity = own | samplers | {"rows": rows, "processes": accelerator.num_processes}

    def gradients(self, batches: Sequence[Batch]) -> float:
        """Leave the gradients of the mean loss of ``batches`` in the weights: that loss.

        Raises:
            FloatingPointError: A loss is NaN or infinite; the message names the batch.
        """
        self.module.train()
        total = 0.0
        for number, batch in enumerate(batches, 1):
            waits = number < len(batches)  # gradients are shared between processes once a step
            with self.accelerator.no_sync(self.module) if waits else nullcontext():
                with self.accelerator.autocast():
                    loss = self.module(batch.place, *self.objectives[batch.place].batch(batch.rows))
                self.accelerator.backward(loss / len(batches))
            value = float(loss.detach())
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss became {value}, at {self._named([batch])}")
            total += value / len(batches)
        return total

    def clip(self, batches: Sequence[Batch]) -> float:
        """Cut the gradient to its greatest length: the length before.

        Raises:
            FloatingPointError: It is NaN or infinite; the message names the batches.
        """
        norm = float(self.accelerator.clip_grad_norm_(self.losses.parameters(), self.max_grad_norm))
        if self.accelerator.scaler is None and not math.isfinite(norm):
            raise FloatingPointError(f"the gradient became {norm}, at {self._named(batches)}")
        return norm

    def update(self) -> float:
        """Move the weights by their gradients, and go on in the schedule: the learning rate of this step."""
        self.optimizer.step()
        rate = float(self.optimizer.param_groups[0]["lr"])
        if not self.accelerator.optimizer_step_was_skipped:  # in float16, a step whose gradient overflowed
            self.lr_scheduler.step()
        self.optimizer.zero_grad()
        return rate

    def finish(self) -> None:
        """Give the losses back as they were before several processes shared them."""
        self.accelerator.unwrap_model(self.module, keep_fp32_wrapper=False)
        self.losses.eval()

    def tensors(self, weights_only: bool) -> dict[str, Any]:
        """All that a checkpoint keeps; called by all processes, for each has random states of its own."""
        from accelerate.utils import gather_object

        weights = {"weights": self.losses.state_dict()}
        if weights_only:
            return weights
        random_states = gather_object([checkpoints.random_states()])
        scaler = self.accelerator.scaler
        return weights | {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.lr_scheduler.state_dict(),
            "random": random_states,
            "run": self.identity,
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def restore(self, tensors: Mapping[str, Any], folder: Path) -> None:
        """Go on from what ``tensors()`` gave, read from the checkpoint ``folder``.

        Raises:
            ValueError: It cannot be resumed from, or is of another run.
        """
        if "optimizer" not in tensors:
            raise ValueError(f"{folder} holds the model only (save_only_model) and cannot be resumed from")
        for name, value in self.identity.items():
            if (found := tensors["run"].get(name)) != value:
                raise ValueError(f"{folder} is of another run: {name} was {found}, now it is {value}")
        self.restore_weights(tensors)
        self.optimizer.load_state_dict(tensors["optimizer"])
        self.lr_scheduler.load_state_dict(tensors["schedule"])
        checkpoints.restore_random_states(tensors["random"][self.accelerator.process_index])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(tensors["scaler"])

    def restore_weights(self, tensors: Mapping[str, Any]) -> None:
        """Take the weights of a checkpoint."""
        self.losses.load_state_dict(tensors["weights"])

    def _named(self, batches: Sequence[Batch]) -> str:
        """Which rows they are, for a message."""
        named = []
        for batch in batches[:4]:
            rows = ", ".join(map(str, batch.rows[:8])) + (" …" if len(batch.rows) > 8 else "")
            named.append(f"rows {rows} of {self.objectives[batch.place].name or 'the training data'}")
        return "; ".join(named)


def seed_everything(seed: int, process: int) -> None:
    """Seed all generators; dropout differs between processes."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed + process)


def accelerator_of(args: SentenceTransformerTrainingArguments) -> Accelerator:
    """The devices, processes, precision and trackers of a run.

    Raises:
        ImportError: The extra "train" is not installed.
    """
    with extra("train", "Training"):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    handlers = [
        InitProcessGroupKwargs(timeout=timedelta(seconds=args.ddp_timeout)),
        DistributedDataParallelKwargs(find_unused_parameters=args.ddp_find_unused_parameters is not False),
    ]
    # Without being told, accelerate takes several processes of a machine without a GPU for runs of their own.
    is_shared = int(os.environ.get("WORLD_SIZE", "1")) > 1
    AcceleratorState._reset_state()  # shared by all of the process: a run before may have had another precision
    return Accelerator(
        mixed_precision="bf16" if args.bf16 else "fp16" if args.fp16 else "no",
        cpu=args.use_cpu or (is_shared and not torch.accelerator.is_available()),
        log_with=args.trackers or None,
        project_dir=str(args.output_dir),
        kwargs_handlers=handlers,
    )
