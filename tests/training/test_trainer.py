"""The loop: what it does at which step, what it logs, keeps and refuses."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import EarlyStoppingCallback, SentenceTransformer, SentenceTransformerTrainer
from likewise import SentenceTransformerTrainingArguments as Arguments
from likewise.evaluation import EmbeddingSimilarityEvaluator
from likewise.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss
from likewise.model import Model
from likewise.training import checkpoints
from likewise.training.callbacks import EVENTS, TrainerCallback
from tests.training.conftest import classed_pairs, scored_pairs

NewModel = Callable[[], SentenceTransformer]


def arguments(folder: Path, **changes: Any) -> Arguments:
    settings: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    return Arguments(output_dir=str(folder), use_cpu=True, **(settings | changes))


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.network.named_parameters()}


def evaluator(name: str = "dev") -> EmbeddingSimilarityEvaluator:
    pairs = scored_pairs(20)
    return EmbeddingSimilarityEvaluator(pairs["sentence1"], pairs["sentence2"], pairs["score"], name=name)


def without_dropout(model: SentenceTransformer) -> SentenceTransformer:
    """The same model, whose dropout drops nothing."""
    for part in model.network.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if hasattr(part, "attention_dropout"):
            part.attention_dropout = 0.0  # type: ignore[assignment]
    return model


def test_a_run_learns(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, num_train_epochs=20, learning_rate=1e-3, logging_steps=1)
    trainer = SentenceTransformerTrainer(model, args, scored_pairs(20), loss=CosineSimilarityLoss(model))
    output = trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert output.global_step == len(losses) == 100
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert output.training_loss == pytest.approx(np.mean(losses))


def test_the_loop_is_the_plain_loop(new_model: NewModel, tmp_path: Path) -> None:
    """Accumulation, clipping, decay, warm-up and schedule against ten lines of torch, dropout off."""
    pairs = scored_pairs(20)

    # The attention does not depend on the biases of the keys: their gradient is rounding, which a large epsilon hides.
    settings: dict[str, Any] = {"gradient_accumulation_steps": 2, "learning_rate": 0.01, "adam_epsilon": 1e-3}
    args = arguments(tmp_path, num_train_epochs=2, weight_decay=0.1, max_grad_norm=0.5, warmup_steps=2, **settings)
    model = without_dropout(new_model())
    SentenceTransformerTrainer(model, args, pairs, loss=CosineSimilarityLoss(model)).train()

    reference = without_dropout(new_model())
    loss = CosineSimilarityLoss(reference)
    loss.train()
    decaying = [p for n, p in loss.named_parameters() if not n.endswith("bias") and "norm" not in n]
    kept = [p for n, p in loss.named_parameters() if n.endswith("bias") or "norm" in n]
    optimizer = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}], lr=0.01, eps=1e-3
    )
    step, steps = 0, 6
    for epoch in range(2):
        order = torch.randperm(20, generator=order_generator(42, epoch)).tolist()
        batches = [order[start : start + 4] for start in range(0, 20, 4)]
        for group in (batches[0:2], batches[2:4], batches[4:5]):
            for group_of in optimizer.param_groups:
                group_of["lr"] = 0.01 * (step / 2 if step < 2 else (steps - step) / (steps - 2))
            for rows in group:
                columns = [[str(pairs[name][row]) for row in rows] for name in ("sentence1", "sentence2")]
                value = loss(columns, [pairs["score"][row] for row in rows])
                (value / len(group)).backward()
            torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    for name, weight in weights(reference).items():
        torch.testing.assert_close(weights(model)[name], weight, atol=1e-6, rtol=0, msg=name)


def order_generator(seed: int, epoch: int) -> torch.Generator:
    """What the order of an epoch is drawn from."""
    from likewise.training.samplers import order_seed

    return torch.Generator().manual_seed(order_seed(seed, epoch))


class Recorder(TrainerCallback):
    """Notes every event and the step that it came in."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in EVENTS:
            raise AttributeError(name)
        return lambda args, state, control, **others: self.events.append((name, state.global_step))


def test_what_happens_when(model: SentenceTransformer, tmp_path: Path) -> None:
    recorder = Recorder()
    args = arguments(
        tmp_path,
        num_train_epochs=2,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="steps",
        save_steps=4,
        logging_first_step=True,
    )
    trainer = SentenceTransformerTrainer(
        model, args, scored_pairs(12), scored_pairs(5), CosineSimilarityLoss(model), callbacks=[recorder]
    )
    trainer.train()

    def steps(event: str) -> list[int]:
        return [step for name, step in recorder.events if name == event]

    assert steps("on_step_end") == [1, 2, 3, 4, 5, 6]
    assert steps("on_evaluate") == [3, 6]
    assert steps("on_save") == [4, 6]
    assert steps("on_epoch_begin") == [0, 3]
    assert steps("on_epoch_end") == [3, 6]
    assert (steps("on_train_begin"), steps("on_train_end")) == ([0], [6])
    logged = [entry["step"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == [1, 2, 4, 6]
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-6"]


def test_a_shown_checkpoint_is_a_model(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, save_strategy="epoch")
    SentenceTransformerTrainer(model, args, scored_pairs(8), loss=CosineSimilarityLoss(model)).train()
    loaded = SentenceTransformer(tmp_path / "checkpoint-2", dtype="float32", device="cpu")
    np.testing.assert_allclose(loaded.encode(["a kettle"]), model.encode(["a kettle"]), atol=1e-5)


def test_the_best_model_is_kept_and_loaded(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(
        tmp_path,
        num_train_epochs=6,
        learning_rate=5e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_dev_spearman_cosine",
        save_total_limit=1,
    )
    trainer = SentenceTransformerTrainer(
        model, args, scored_pairs(20), loss=CosineSimilarityLoss(model), evaluator=evaluator()
    )
    trainer.train()
    found = {e["step"]: e["eval_dev_spearman_cosine"] for e in trainer.state.log_history if "eval_runtime" in e}
    best = max(found, key=lambda step: found[step])
    assert trainer.state.best_metric == found[best]
    assert trainer.state.best_model_checkpoint == str(tmp_path / f"checkpoint-{best}")
    assert evaluator()(model)["dev_spearman_cosine"] == pytest.approx(found[best])
    assert {path.name for path in tmp_path.glob("checkpoint-*")} <= {f"checkpoint-{best}", "checkpoint-30"}
    assert "dev_spearman" not in (tmp_path / f"checkpoint-{best}" / "config.json").read_text()


def test_the_metric_for_the_best_model_must_be_there(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, eval_strategy="epoch", metric_for_best_model="kettle")
    trainer = SentenceTransformerTrainer(
        model, args, scored_pairs(8), loss=CosineSimilarityLoss(model), evaluator=evaluator()
    )
    with pytest.raises(ValueError, match="'eval_kettle' is not among what was evaluated: eval_dev_pearson_cosine"):
        trainer.train()


def test_what_cannot_be_meant_is_refused(new_model: NewModel, tmp_path: Path) -> None:
    model = new_model()
    with pytest.raises(ValueError, match="the CosineSimilarityLoss was made for another model"):
        SentenceTransformerTrainer(model, arguments(tmp_path), scored_pairs(8), loss=CosineSimilarityLoss(new_model()))
    with pytest.raises(ValueError, match="asks for evaluations, but there is no eval_dataset and no evaluator"):
        SentenceTransformerTrainer(model, arguments(tmp_path, eval_strategy="epoch"), scored_pairs(8))
    with pytest.raises(TypeError, match="has no argument 'tokenizer': the model tokenises the texts"):
        SentenceTransformerTrainer(model, arguments(tmp_path), scored_pairs(8), tokenizer=model.tokenizer)


@pytest.mark.parametrize(
    ("limit", "best", "kept"),
    [(1, None, [5]), (2, None, [4, 5]), (1, 5, [5]), (1, 3, [3, 5]), (2, 3, [3, 5]), (2, 4, [4, 5]), (3, 1, [1, 4, 5])],
)
def test_old_checkpoints_make_room(limit: int, best: int | None, kept: list[int], tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoints.checkpoint_folder(str(tmp_path), step).mkdir()
    name = None if best is None else str(checkpoints.checkpoint_folder(str(tmp_path), best))
    checkpoints.remove_old(str(tmp_path), limit, name)
    assert checkpoints.checkpoints_in(str(tmp_path)) == [tmp_path / f"checkpoint-{step}" for step in kept]


def test_an_evaluation_needs_no_training(model: SentenceTransformer, tmp_path: Path) -> None:
    trainer = SentenceTransformerTrainer(
        model, arguments(tmp_path), None, scored_pairs(8), CosineSimilarityLoss(model), evaluator()
    )
    metrics = trainer.evaluate()
    assert metrics["eval_dev_spearman_cosine"] == evaluator()(model)["dev_spearman_cosine"]
    assert {"eval_loss", "eval_runtime", "eval_samples_per_second"} < metrics.keys()


def test_early_stopping(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(
        tmp_path, num_train_epochs=50, learning_rate=0.0, eval_strategy="epoch", metric_for_best_model="loss"
    )
    stopping = EarlyStoppingCallback(early_stopping_patience=2)
    trainer = SentenceTransformerTrainer(
        model, args, scored_pairs(8), scored_pairs(4), CosineSimilarityLoss(model), callbacks=[stopping]
    )
    assert trainer.train().global_step == 3 * 2  # the first evaluation is the best, two more are not better


def test_several_data_sets_each_with_its_loss(model: SentenceTransformer, tmp_path: Path) -> None:
    head = SoftmaxLoss(model, 32, 3)
    before = head.classifier.weight.detach().clone()
    losses: dict[str, Any] = {"nli": head, "sts": CosineSimilarityLoss(model), "pairs": MultipleNegativesRankingLoss}
    pairs = scored_pairs(12)
    data = {
        "nli": classed_pairs(12),
        "sts": pairs,
        "pairs": {"anchor": pairs["sentence1"], "positive": pairs["sentence2"]},
    }
    args = arguments(tmp_path, multi_dataset_batch_sampler="round_robin", logging_steps=1)
    trainer = SentenceTransformerTrainer(model, args, data, {"sts": scored_pairs(5)}, losses)
    assert trainer.train().global_step == 9
    assert not torch.equal(before, head.classifier.weight)
    assert "eval_sts_loss" in trainer.evaluate()
    with pytest.raises(ValueError, match="there is no loss for the data set 'kettle'"):
        SentenceTransformerTrainer(model, args, {"kettle": pairs}, loss=losses)


def test_a_data_set_that_does_not_fit_its_loss(model: SentenceTransformer, tmp_path: Path) -> None:
    pairs = scored_pairs(8)
    del pairs["score"]
    with pytest.raises(
        ValueError, match=r"needs two texts and a similarity from 0 to 1 as the label, but the data has 2"
    ):
        SentenceTransformerTrainer(model, arguments(tmp_path), pairs, loss=CosineSimilarityLoss(model))


def test_a_loss_that_is_not_a_number_stops_the_run(model: SentenceTransformer, tmp_path: Path) -> None:
    class Breaks(CosineSimilarityLoss):
        calls = 0

        def from_embeddings(self, columns: Any, labels: Any = None) -> torch.Tensor:
            self.calls += 1
            return super().from_embeddings(columns, labels) * (math.nan if self.calls == 4 else 1.0)

    args = arguments(tmp_path, save_strategy="steps", save_steps=2, num_train_epochs=2)
    trainer = SentenceTransformerTrainer(model, args, scored_pairs(12), loss=Breaks(model))
    with pytest.raises(FloatingPointError, match=r"in step 4, the loss became nan, at rows \d+, \d+, .*checkpoint-2"):
        trainer.train()
    assert all(torch.isfinite(weight).all() for weight in weights(model).values())
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2"]


def test_bfloat16_is_autocast(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, bf16=True, logging_steps=1)
    seen = []
    encoder: Any = model.network.encoder
    encoder.layers[0].expand.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    SentenceTransformerTrainer(
        model, args, scored_pairs(8), loss=CosineSimilarityLoss(model), evaluator=evaluator()
    ).train()
    assert set(seen) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_gradient_checkpointing_changes_nothing(new_model: NewModel, tmp_path: Path) -> None:
    found = []
    for checkpointing in (False, True):
        model = new_model()
        args = arguments(tmp_path, gradient_checkpointing=checkpointing, token_budget=16, adam_epsilon=1e-3)
        SentenceTransformerTrainer(model, args, scored_pairs(12), loss=CosineSimilarityLoss(model)).train()
        found.append(weights(model))
    for name, weight in found[0].items():
        torch.testing.assert_close(found[1][name], weight, atol=1e-6, rtol=0, msg=name)


def test_the_card_tells_what_was_learnt(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, learning_rate=3e-4, eval_strategy="epoch")
    trainer = SentenceTransformerTrainer(
        model, args, {"kettles": scored_pairs(8)}, loss=CosineSimilarityLoss(model), evaluator=evaluator("tea-dev")
    )
    trainer.train()
    model.save_pretrained(tmp_path / "saved")
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    for words in ("kettles", "CosineSimilarityLoss", "0.0003", "tea-dev", "spearman_cosine", "| 8 |"):
        assert words in card
    assert (tmp_path / "eval").is_dir()


def test_trackers_see_what_is_logged(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, report_to="tensorboard", logging_steps=1)
    SentenceTransformerTrainer(model, args, scored_pairs(8), loss=CosineSimilarityLoss(model)).train()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = next(path for path in tmp_path.rglob("events.out.tfevents.*") if path.stat().st_size > 500)
    accumulator = EventAccumulator(str(events.parent))
    accumulator.Reload()
    tags = {tag for kind in ("scalars", "tensors") for tag in accumulator.Tags()[kind]}
    assert any("loss" in tag for tag in tags)


def test_the_state_of_a_run_is_json(model: SentenceTransformer, tmp_path: Path) -> None:
    args = arguments(tmp_path, save_strategy="epoch", logging_steps=1)
    SentenceTransformerTrainer(model, args, scored_pairs(8), loss=CosineSimilarityLoss(model)).train()
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text(encoding="utf-8"))
    assert (state["global_step"], state["epoch"], len(state["log_history"])) == (2, 1.0, 2)
