"""What a training run is told: the incumbent's names for what people set, checked when they are given."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from likewise.training.optimizers import OPTIMIZERS
from likewise.training.samplers import BatchSamplers, MultiDatasetBatchSamplers
from likewise.training.schedules import SCHEDULES

Strategy = Literal["no", "steps", "epoch"]
Prompts = str | Mapping[str, str] | Mapping[str, Mapping[str, str]]
Made = TypeVar("Made")

NOT_NEEDED = {  # arguments of the incumbent that do nothing here → what to do instead
    "dataloader_num_workers": "leave it out: the texts are tokenised once, before the first step",
    "dataloader_pin_memory": "leave it out: nothing is loaded while training",
    "dataloader_persistent_workers": "leave it out: the texts are tokenised once, before the first step",
    "dataloader_prefetch_factor": "leave it out: the texts are tokenised once, before the first step",
    "group_by_length": 'give batch_sampler="group_by_length"',
    "remove_unused_columns": "leave it out: choose the columns with training_data(…, columns=[…])",
    "label_names": "leave it out: choose the label with training_data(…, label=…)",
    "overwrite_output_dir": "leave it out: a run goes on only with train(resume_from_checkpoint=True)",
    "evaluation_strategy": "give eval_strategy",
    "torch_compile": "leave it out: batches have no fixed shape",
    "fsdp": "leave it out: a model of a size that needs it is not trained here",
    "deepspeed": "leave it out: a model of a size that needs it is not trained here",
    "tf32": 'call torch.set_float32_matmul_precision("high"), or give bf16=True',
    "auto_find_batch_size": "give gradient_checkpointing=True: memory then holds token_budget tokens at a time",
    "do_train": "leave it out, and call train()",
    "do_eval": "leave it out, and call evaluate()",
    "logging_dir": "leave it out: trackers write into output_dir",
    "logging_nan_inf_filter": "leave it out: a loss that is NaN stops the run, and the last good checkpoint stays",
    "ignore_data_skip": "leave it out: going on in the middle of the data takes no time",
    "prediction_loss_only": "leave it out",
}


class _Checked(type):
    """Refuses an argument that there is not, and names the nearest one."""

    def __call__(cls: type[Made], *arguments: Any, **named: Any) -> Made:
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        for name in named:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                advice = NOT_NEEDED.get(name) or (
                    f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                )
                raise TypeError(f"{cls.__name__} has no argument {name!r}: {advice}")
        made: Made = type.__call__(cls, *arguments, **named)
        return made


@dataclass
class SentenceTransformerTrainingArguments(metaclass=_Checked):
    """The settings of a run. Steps are optimiser steps; names and defaults are those of sentence-transformers.

    Raises:
        TypeError: There is no such argument; the message names the nearest one.
        ValueError: A value is not possible, or two do not go together.
    """

    output_dir: str | os.PathLike[str] | None = None  # by default "trainer_output"
    # What is seen, how often
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    num_train_epochs: float = 3.0
    max_steps: int = -1  # more than 0: ends the run, whatever num_train_epochs
    gradient_accumulation_steps: int = 1  # batches a step; each loss still sees one batch
    dataloader_drop_last: bool = False  # leave out the last batch of an epoch where it is smaller
    batch_sampler: BatchSamplers | str = BatchSamplers.BATCH_SAMPLER
    multi_dataset_batch_sampler: MultiDatasetBatchSamplers | str = MultiDatasetBatchSamplers.PROPORTIONAL
    prompts: Prompts | None = None  # for all columns, by column, by data set, or by data set and column
    router_mapping: Mapping[str, Any] | None = None  # column → route, or data set → column → route
    missing_rows: Literal["error", "skip"] = "error"  # what to do with rows without a text or a label
    tokens_cache: str | os.PathLike[str] | None = None  # a folder that keeps the tokens for another run
    # How it is learnt
    learning_rate: float = 5e-5
    learning_rate_mapping: Mapping[str, float] | None = None  # pattern of parameter names → their learning rate
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: Mapping[str, Any] | None = None
    warmup_steps: float = 0  # below 1: a share of all steps
    warmup_ratio: float | None = None
    optim: str = "adamw_torch_fused"
    weight_decay: float = 0.0  # not of biases and norms
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0  # 0: gradients are not clipped
    # How it is computed
    bf16: bool = False
    fp16: bool = False
    gradient_checkpointing: bool = False  # activations are computed again instead of kept
    token_budget: int | None = None  # tokens computed together
    use_cpu: bool = False
    seed: int = 42
    data_seed: int | None = None  # by default as seed
    ddp_find_unused_parameters: bool | None = None
    ddp_timeout: int = 1800  # seconds
    # What is told
    logging_strategy: Strategy = "steps"
    logging_steps: float = 500  # below 1: a share of all steps
    logging_first_step: bool = False
    disable_tqdm: bool | None = None
    report_to: str | Sequence[str] | None = "none"  # "tensorboard", "wandb", "trackio", "all"
    run_name: str | None = None
    project: str = "likewise"
    # When it is evaluated
    eval_strategy: Strategy = "no"
    eval_steps: float | None = None  # by default as logging_steps
    eval_delay: float = 0  # steps, or epochs, before the first evaluation
    eval_on_start: bool = False
    # What is kept
    save_strategy: Literal["no", "steps", "epoch", "best"] = "steps"
    save_steps: float = 500
    save_total_limit: int | None = None  # checkpoints; the best one stays beside them
    save_only_model: bool = False  # such a checkpoint cannot be resumed from
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None  # by default "loss"
    greater_is_better: bool | None = None  # by default unless the metric ends with "loss"
    resume_from_checkpoint: str | os.PathLike[str] | bool | None = None
    push_to_hub: bool = False
    hub_model_id: str | None = None  # by default the name of output_dir
    hub_strategy: Literal["end", "every_save"] = "every_save"
    hub_token: str | None = field(default=None, repr=False)
    hub_private_repo: bool | None = None

    def __post_init__(self) -> None:
        self.output_dir = os.fspath(self.output_dir or "trainer_output")
        self.batch_sampler = BatchSamplers(self.batch_sampler)
        self.multi_dataset_batch_sampler = MultiDatasetBatchSamplers(self.multi_dataset_batch_sampler)
        if self.warmup_ratio:
            if self.warmup_steps:
                raise ValueError(
                    f"give warmup_steps or warmup_ratio, not both: {self.warmup_steps}, {self.warmup_ratio}"
                )
            self.warmup_steps = self.warmup_ratio
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} is not known; use one of {', '.join(choices)}")
        if self.bf16 and self.fp16:
            raise ValueError("bf16 and fp16 exclude each other; bf16 is the safer one where the hardware has it")
        for name in ("logging_steps", "eval_steps", "save_steps"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(
                    f'{name} must be above 0, not {getattr(self, name)}; "no" as the strategy switches it off'
                )
        if self.eval_steps is None:
            self.eval_steps = self.logging_steps
        if self.load_best_model_at_end:
            self._check_best()
        if self.metric_for_best_model is None and (self.load_best_model_at_end or self.save_strategy == "best"):
            self.metric_for_best_model = "loss"
        if self.greater_is_better is None and self.metric_for_best_model is not None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")

    def _check_best(self) -> None:
        if self.eval_strategy == "no" or self.save_strategy == "no":
            raise ValueError("load_best_model_at_end needs an eval_strategy and a save_strategy, not 'no'")
        if self.save_strategy == "best":
            return
        if self.eval_strategy != self.save_strategy:
            strategies = f"{self.eval_strategy!r} and {self.save_strategy!r}"
            raise ValueError(
                f"load_best_model_at_end needs eval_strategy and save_strategy to be the same, not {strategies}"
            )
        times = self.save_steps / (self.eval_steps or 1)
        if self.eval_strategy == "steps" and abs(times - round(times)) > 1e-6:  # shares of all steps are not exact
            steps = f"save_steps {self.save_steps} is no multiple of eval_steps {self.eval_steps}"
            raise ValueError(f"load_best_model_at_end: {steps}, so a checkpoint would have no score")

    @property
    def precision(self) -> str:
        """What products are computed in: "float32", "bfloat16" or "float16"."""
        return "bfloat16" if self.bf16 else "float16" if self.fp16 else "float32"

    @property
    def trackers(self) -> list[str]:
        """The names of the trackers that the run reports to."""
        given = [self.report_to] if isinstance(self.report_to, str) else list(self.report_to or [])
        return [name for name in given if name != "none"]

    @property
    def train_batch_size(self) -> int:
        """``per_device_train_batch_size``, by its older name."""
        return self.per_device_train_batch_size

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, as JSON can hold them; the token is left out."""
        return {name: value for name, value in asdict(self).items() if name != "hub_token"}


CHOICES: dict[str, Sequence[str]] = {
    "logging_strategy": ("no", "steps", "epoch"),
    "eval_strategy": ("no", "steps", "epoch"),
    "save_strategy": ("no", "steps", "epoch", "best"),
    "hub_strategy": ("end", "every_save"),
    "missing_rows": ("error", "skip"),
    "lr_scheduler_type": tuple(SCHEDULES),
    "optim": tuple(OPTIMIZERS),
}
