"""Cross-encoders learn in the bi-encoder's loop: pairs, negatives, lists; checkpoints and evaluations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments, InputExample
from likewise.cross_encoder import losses
from likewise.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from tests.tiny_checkpoints import WORDS, tiny_classifier

QUERIES = list(WORDS[:16])
ALIKE = [f"the {word} is on the river" for word in QUERIES]
OTHERS = [f"a {WORDS[(place + 5) % 16]} in the garden" for place in range(16)]
PAIRS: dict[str, Any] = {
    "sentence1": QUERIES * 2,
    "sentence2": ALIKE + OTHERS,
    "label": [1.0] * 16 + [0.0] * 16,
}
CLASSES: dict[str, Any] = {**PAIRS, "label": [0] * 16 + [2] * 16}
TRIPLETS: dict[str, Any] = {"query": QUERIES, "positive": ALIKE, "negative": OTHERS}
MARGINS: dict[str, Any] = TRIPLETS | {"score": [1.5, 2.0] * 8}
LISTS: dict[str, list[Any]] = {
    "query": QUERIES,
    "docs": [[ALIKE[place], *OTHERS[place : place + place % 3 + 1]] for place in range(16)],
}
LISTS["labels"] = [[1] + [0] * (len(docs) - 1) for docs in LISTS["docs"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("classifier"))


def arguments(folder: Path, **others: Any) -> CrossEncoderTrainingArguments:
    settings: dict[str, Any] = {
        "per_device_train_batch_size": 8,
        "num_train_epochs": 6,
        "learning_rate": 2e-3,
        "save_strategy": "no",
        "logging_strategy": "epoch",
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": "none",
    }
    return CrossEncoderTrainingArguments(output_dir=str(folder), **(settings | others))


@pytest.mark.parametrize(
    ("loss", "data"),
    [
        (None, PAIRS),
        (losses.BinaryCrossEntropyLoss, PAIRS),
        (losses.MSELoss, PAIRS),
        (losses.MultipleNegativesRankingLoss, TRIPLETS),
        (losses.CachedMultipleNegativesRankingLoss, TRIPLETS),
        (losses.MarginMSELoss, MARGINS),
        (losses.RankNetLoss, LISTS),
        (losses.ListNetLoss, LISTS),
        (losses.LambdaLoss, LISTS),
        (losses.ListMLELoss, LISTS),
    ],
)
def test_every_loss_goes_down_and_the_pairs_part(
    folder: Path, tmp_path: Path, loss: Callable[[Any], Any] | None, data: dict[str, list[Any]]
) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(folder, device="cpu", dtype="float32")
    trainer = CrossEncoderTrainer(model, arguments(tmp_path), data, loss=loss)
    trainer.train()
    values = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert values[-1] < 0.97 * values[0]  # ListNet has a least value far above 0
    alike, others = (model.predict(list(zip(QUERIES, texts, strict=True))) for texts in (ALIKE, OTHERS))
    assert alike.mean() > others.mean() + 0.02


def test_classes_are_learnt_with_several_labels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(tiny_classifier(tmp_path / "classes", labels=3), device="cpu", dtype="float32")
    CrossEncoderTrainer(model, arguments(tmp_path), CLASSES).train()
    found = model.predict(list(zip(CLASSES["sentence1"], CLASSES["sentence2"], strict=True))).argmax(1)
    assert (found == CLASSES["label"]).mean() > 0.9


@pytest.mark.parametrize("loss_fct", [None, torch.nn.MSELoss()])
def test_fit_as_the_older_tutorials_call_it(folder: Path, tmp_path: Path, loss_fct: Any) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(folder, device="cpu", dtype="float32")
    rows = zip(*PAIRS.values(), strict=True)
    examples: Any = [InputExample(texts=[first, second], label=label) for first, second, label in rows]
    pairs = list(zip(PAIRS["sentence1"], PAIRS["sentence2"], strict=True))
    evaluator = CrossEncoderCorrelationEvaluator(pairs, PAIRS["label"])
    model.fit(
        torch.utils.data.DataLoader(examples, shuffle=True, batch_size=8),
        evaluator,
        epochs=6,
        loss_fct=loss_fct,
        warmup_steps=2,
        optimizer_params={"lr": 2e-3},
        output_path=str(tmp_path),
        show_progress_bar=False,
    )
    again = CrossEncoder(tmp_path, dtype="float32")
    assert evaluator(again)["spearman"] > 0.7
    assert again.predict(pairs).shape == (32,)


def test_a_run_that_was_cut_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    def weights(model: CrossEncoder) -> dict[str, torch.Tensor]:
        return {name: values.clone() for name, values in model.network.state_dict().items()}

    def trainer(name: str, **others: Any) -> CrossEncoderTrainer:
        torch.manual_seed(0)
        model = CrossEncoder(folder, device="cpu", dtype="float32")
        settings: dict[str, Any] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 1}
        return CrossEncoderTrainer(
            model, arguments(tmp_path / name, **settings, **others), LISTS, loss=losses.LambdaLoss
        )

    whole = trainer("whole")
    whole.train()
    cut = trainer("cut")
    cut.add_callback(_StopAfter(3))
    cut.train()
    assert cut.state.global_step == 3
    again = trainer("cut")
    again.train(resume_from_checkpoint=True)
    expected = weights(whole.model)  # type: ignore[arg-type]
    for name, values in weights(again.model).items():  # type: ignore[arg-type]
        assert torch.equal(values, expected[name]), name


class _StopAfter:
    def __init__(self, steps: int):
        self.steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        control.should_training_stop = state.global_step >= self.steps


def test_evaluations_and_the_saved_model(folder: Path, tmp_path: Path) -> None:
    model = CrossEncoder(folder, device="cpu", dtype="float32")
    pairs = list(zip(PAIRS["sentence1"], PAIRS["sentence2"], strict=True))
    evaluator = CrossEncoderCorrelationEvaluator(pairs, PAIRS["label"], name="held-out")
    args = arguments(tmp_path, num_train_epochs=1, eval_strategy="epoch")
    trainer = CrossEncoderTrainer(model, args, PAIRS, PAIRS, evaluator=evaluator)
    trainer.train()
    logged = {name for entry in trainer.state.log_history for name in entry}
    assert {"eval_loss", "eval_held-out_spearman"} <= logged
    trainer.save_model(str(tmp_path / "saved"))
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "BinaryCrossEntropyLoss" in card
    assert "spearman" in card
    again = CrossEncoder(tmp_path / "saved", dtype="float32")
    np.testing.assert_allclose(again.predict(pairs), model.predict(pairs), atol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**LISTS, "labels": [[1, 0]] * 15 + [[1]]}, r"row \d+: the column 'docs' holds \d texts, but there are"),
        ({**LISTS, "labels": [1] * 16}, "its label must be a list of numbers"),
        ({**LISTS, "docs": [*LISTS["docs"][:-1], []]}, "1 of 16 rows has no text or no label"),
        ({**LISTS, "docs": [*LISTS["docs"][:-1], ["", "rain", "tea"]]}, "1 of 16 rows has no text or no label"),
        ({**LISTS, "docs": ALIKE, "labels": [1.0, 0.0] * 8}, "has one text in each row"),
    ],
)
def test_lists_that_do_not_fit_are_told_by_their_row(
    folder: Path, tmp_path: Path, data: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CrossEncoderTrainer(CrossEncoder(folder), arguments(tmp_path), data, loss=losses.LambdaLoss).train()


def test_lists_are_refused_where_a_loss_takes_texts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which is not text"):
        CrossEncoderTrainer(CrossEncoder(folder), arguments(tmp_path), LISTS, loss=losses.BinaryCrossEntropyLoss)
