"""``model.fit``, as scripts from before 2024 call it: the same loop, told in the older words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from torch import nn

from likewise.losses.loss import Loss
from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.callbacks import TrainerCallback, TrainerControl, TrainerState
from likewise.training.optimizers import without_decay
from likewise.training.samplers import MultiDatasetBatchSamplers
from likewise.training.schedules import schedule
from likewise.training.trainer import SentenceTransformerTrainer

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from likewise.model import Model

SCHEDULERS = {  # fit's names, in lower case → the trainer's
    "constantlr": "constant",
    "warmupconstant": "constant_with_warmup",
    "warmuplinear": "linear",
    "warmupcosine": "cosine",
    "warmupcosinewithhardrestarts": "cosine_with_restarts",
}


class FitCallback(TrainerCallback):
    """Evaluates after each epoch, keeps the best model in ``output_path``, and calls the user's function."""

    def __init__(
        self,
        model: Model,
        evaluator: Any,
        output_path: str | None,
        save_best_model: bool,
        callback: Callable[[float, float, int], None] | None,
    ):
        self.model = model
        self.evaluator = evaluator
        self.output_path = output_path
        self.save_best_model = save_best_model
        self.callback = callback
        self.best: float | None = None

    def on_epoch_end(
        self, args: SentenceTransformerTrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Ask for an evaluation."""
        control.should_evaluate = self.evaluator is not None

    def on_evaluate(
        self,
        args: SentenceTransformerTrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float],
        **others: Any,
    ) -> None:
        """Keep the model if it is the best so far."""
        name = getattr(self.evaluator, "primary_metric", None) or "evaluator"
        score = metrics.get(f"eval_{name}")
        if score is None:
            return
        sign = 1 if getattr(self.evaluator, "greater_is_better", True) else -1
        if self.save_best_model and (self.best is None or sign * score > sign * self.best):
            self.best = score
            if self.output_path is not None:
                self.model.save_pretrained(self.output_path)
        if self.callback is not None:
            self.callback(score, state.epoch, state.global_step)


def fit(
    model: Model,
    train_objectives: Sequence[tuple[Any, Loss]],
    evaluator: Any = None,
    epochs: int = 1,
    steps_per_epoch: int | None = None,
    scheduler: str = "WarmupLinear",
    warmup_steps: int = 10000,
    optimizer_class: type[Optimizer] | None = None,
    optimizer_params: Mapping[str, Any] | None = None,
    weight_decay: float = 0.01,
    evaluation_steps: int = 0,
    output_path: str | None = None,
    save_best_model: bool = True,
    max_grad_norm: float = 1,
    use_amp: bool = False,
    callback: Callable[[float, float, int], None] | None = None,
    show_progress_bar: bool = True,
    checkpoint_path: str | None = None,
    checkpoint_save_steps: int = 500,
    checkpoint_save_total_limit: int = 0,
    resume_from_checkpoint: bool = False,
    *,
    trainer_class: type[SentenceTransformerTrainer] = SentenceTransformerTrainer,
) -> None:
    """Train ``model`` on each ``(DataLoader of InputExample, loss)`` in turn; a batch of each is taken as often.

    The optimiser is AdamW at 2e-5 unless ``optimizer_class`` and ``optimizer_params`` say otherwise. The best model by
    ``evaluator``, or without one the last, is written into ``output_path``.

    Raises:
        ValueError: There is no such scheduler, or the data do not fit a loss.
    """
    from torch.optim import AdamW

    if scheduler.lower() not in SCHEDULERS:
        raise ValueError(f"scheduler {scheduler!r} is not known; use one of {', '.join(SCHEDULERS)}")
    loaders, losses = zip(*train_objectives, strict=True)
    examples = {f"data set {place}": list(_examples(loader)) for place, loader in enumerate(loaders, 1)}
    sizes = {getattr(loader, "batch_size", None) or 8 for loader in loaders}
    with TemporaryDirectory() as scratch:
        args = SentenceTransformerTrainingArguments(
            output_dir=checkpoint_path or output_path or scratch,
            per_device_train_batch_size=max(sizes),
            multi_dataset_batch_sampler=MultiDatasetBatchSamplers.ROUND_ROBIN,
            num_train_epochs=epochs,
            max_steps=steps_per_epoch * epochs if steps_per_epoch else -1,
            eval_strategy="steps" if evaluation_steps > 0 else "no",
            eval_steps=evaluation_steps or None,
            max_grad_norm=max_grad_norm,
            fp16=use_amp,
            disable_tqdm=not show_progress_bar,
            save_strategy="steps" if checkpoint_path else "no",
            save_steps=checkpoint_save_steps,
            save_total_limit=checkpoint_save_total_limit or None,
        )
        named_losses = dict(zip(examples, losses, strict=True))
        module = nn.ModuleList(named_losses.values())
        without = without_decay(module)
        kept = [p for name, p in module.named_parameters() if name in without]
        decaying = [p for name, p in module.named_parameters() if name not in without]
        optimizer = (optimizer_class or AdamW)(
            [{"params": decaying, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}],
            **(optimizer_params or {"lr": 2e-5}),
        )
        batches = min(-(-len(rows) // args.per_device_train_batch_size) for rows in examples.values())
        steps = args.max_steps if args.max_steps > 0 else batches * epochs * len(examples)
        trainer = trainer_class(
            model,
            args,
            examples,
            loss=named_losses,
            evaluator=evaluator,
            callbacks=[FitCallback(model, evaluator, output_path, save_best_model, callback)],
            optimizers=(optimizer, schedule(optimizer, SCHEDULERS[scheduler.lower()], warmup_steps, steps)),
        )
        trainer.train(resume_from_checkpoint=resume_from_checkpoint or None)
        if output_path is not None and (evaluator is None or not save_best_model):
            trainer.save_model(output_path)


def _examples(loader: Any) -> Any:
    """The examples that a DataLoader draws from; of any other iterable, its batches one after the other."""
    if hasattr(loader, "dataset"):
        return loader.dataset
    return (example for batch in loader for example in (batch if isinstance(batch, list | tuple) else [batch]))
