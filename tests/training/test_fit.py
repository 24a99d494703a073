"""``model.fit`` as the older tutorials call it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from likewise import InputExample, SentenceTransformer, losses
from likewise.readers import InputExample as Older
from tests.training.conftest import classed_pairs, scored_pairs
from tests.training.test_trainer import evaluator, weights


def examples(columns: dict[str, list[Any]]) -> list[InputExample]:
    left, right, labels = columns.values()
    return [InputExample(texts=[a, b], label=label) for a, b, label in zip(left, right, labels, strict=True)]


def loader(columns: dict[str, list[Any]]) -> "DataLoader[Any]":
    return DataLoader(examples(columns), shuffle=True, batch_size=4)  # type: ignore[arg-type]


def test_the_tutorial(model: SentenceTransformer, tmp_path: Path) -> None:
    called: list[tuple[float, float, int]] = []
    before = evaluator()(model)["dev_spearman_cosine"]
    model.fit(
        train_objectives=[(loader(scored_pairs(20)), losses.CosineSimilarityLoss(model=model))],
        evaluator=evaluator(),
        epochs=8,
        evaluation_steps=3,
        warmup_steps=5,
        optimizer_params={"lr": 2e-3},
        output_path=str(tmp_path / "output"),
        show_progress_bar=False,
        callback=lambda score, epoch, steps: called.append((score, epoch, steps)),
    )
    best = SentenceTransformer(tmp_path / "output", device="cpu", dtype="float32")
    scores = [score for score, _, _ in called]
    assert evaluator()(best)["dev_spearman_cosine"] == pytest.approx(max(scores), abs=1e-6)
    assert max(scores) > before
    assert called[-1][1:] == (8.0, 40)


def test_several_objectives_take_turns(model: SentenceTransformer, tmp_path: Path) -> None:
    head = losses.SoftmaxLoss(model, 32, 3)
    before, own = weights(model), head.classifier.weight.detach().clone()
    objectives = [(loader(classed_pairs(12)), head), (loader(scored_pairs(20)), losses.CosineSimilarityLoss(model))]
    model.fit(objectives, epochs=1, warmup_steps=0, output_path=str(tmp_path / "output"), show_progress_bar=False)
    assert not torch.equal(own, head.classifier.weight)
    assert any(not torch.equal(before[name], weight) for name, weight in weights(model).items())
    saved = SentenceTransformer(tmp_path / "output", device="cpu", dtype="float32")
    np.testing.assert_allclose(saved.encode(["rain"]), model.encode(["rain"]), atol=1e-5)


def test_a_scheduler_that_there_is_not(model: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match="scheduler 'kettle' is not known; use one of constantlr, warmupconstant"):
        model.fit([(loader(scored_pairs(8)), losses.CosineSimilarityLoss(model))], scheduler="kettle")


def test_the_older_import_path() -> None:
    assert Older is InputExample
    assert str(InputExample(texts=["a", "b"], label=1)) == "<InputExample> label: 1, texts: a; b"
