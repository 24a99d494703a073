"""Which model is the best, and what is said of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise import SentenceTransformer, SentenceTransformerTrainer
from likewise.evaluation import SentenceEvaluator
from likewise.losses import CosineSimilarityLoss
from tests.training.conftest import scored_pairs
from tests.training.test_trainer import arguments, weights


class Foretold(SentenceEvaluator):
    """Finds the scores that it was made with, one after the other, and keeps the weights that it saw."""

    name = "dev"
    primary_metric = "dev_score"

    def __init__(self, scores: list[float]):
        self.scores: Iterator[float] = iter(scores)
        self.seen: list[dict[str, object]] = []

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        self.seen.append(dict(weights(model)))
        return {"score": next(self.scores)}


@pytest.fixture
def trained(model: SentenceTransformer, tmp_path: Path) -> SentenceTransformerTrainer:
    """After a run whose model was best before the first step, and then after the second."""
    args = arguments(
        tmp_path,
        max_steps=3,
        learning_rate=0.01,
        eval_on_start=True,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="dev_score",
    )
    evaluator = Foretold([9.0, 1.0, 2.0, 0.5])
    trainer = SentenceTransformerTrainer(
        model, args, scored_pairs(12), loss=CosineSimilarityLoss(model), evaluator=evaluator
    )
    trainer.train()
    return trainer


def test_the_model_before_training_is_never_the_best(trained: SentenceTransformerTrainer) -> None:
    assert (trained.state.best_metric, trained.state.best_global_step) == (2.0, 2)
    now = weights(trained.model)
    assert all((now[name] == weight).all() for name, weight in trained.evaluator.seen[2].items())
    assert any((now[name] != weight).any() for name, weight in trained.evaluator.seen[3].items())


def test_the_card_tells_the_scores_of_the_best(trained: SentenceTransformerTrainer, tmp_path: Path) -> None:
    assert [score.value for score in trained.scores] == [2.0]
    trained.save_model(str(tmp_path / "final"))
    card = (tmp_path / "final" / "README.md").read_text(encoding="utf-8")
    assert "0.5000" not in card
    assert "2.0000" in card
