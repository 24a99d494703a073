"""A run that cannot learn says why, once and early; a run that can says nothing."""

import warnings
from pathlib import Path
from typing import Any

import torch

from likewise import SentenceTransformer, SentenceTransformerTrainer, losses
from likewise.training.health import TrainingWarning
from tests.training.conftest import Columns, classed_pairs, scored_pairs
from tests.training.test_trainer import arguments


def warned(model: SentenceTransformer, data: Columns, loss: Any, folder: Path, **changes: Any) -> list[str]:
    """What a run warns of, besides torch."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SentenceTransformerTrainer(model, arguments(folder, **changes), data, loss=loss).train()
    return [str(warning.message) for warning in caught if issubclass(warning.category, TrainingWarning)]


def pairs(count: int = 16) -> Columns:
    scored = scored_pairs(count)
    return {"anchor": scored["sentence1"], "positive": scored["sentence2"]}


def test_a_good_run_says_nothing(model: SentenceTransformer, tmp_path: Path) -> None:
    assert warned(model, scored_pairs(60), losses.CosineSimilarityLoss(model), tmp_path) == []
    assert warned(model, classed_pairs(20), losses.SoftmaxLoss(model, 32, 3), tmp_path) == []
    assert warned(model, pairs(), losses.MultipleNegativesRankingLoss(model), tmp_path) == []


def test_scores_on_the_wrong_scale(model: SentenceTransformer, tmp_path: Path) -> None:
    data = scored_pairs(8)
    data["score"] = [5 * float(str(score)) for score in data["score"]]
    (message,) = warned(model, data, losses.CosineSimilarityLoss(model), tmp_path)
    assert message == (
        "CosineSimilarityLoss is meant for similarities from 0 to 1 (or -1 to 1), but the labels go from 1 to 5: "
        "divide them by 5"
    )


def test_one_class_only(model: SentenceTransformer, tmp_path: Path) -> None:
    data = classed_pairs(8) | {"label": [1] * 8}
    (message,) = warned(model, data, losses.SoftmaxLoss(model, 32, 3), tmp_path)
    assert message == "SoftmaxLoss finds one class only: all 8 labels are 1"


def test_no_negatives(model: SentenceTransformer, tmp_path: Path) -> None:
    loss = losses.MultipleNegativesRankingLoss(model)
    found = warned(model, pairs(8), loss, tmp_path, per_device_train_batch_size=1, max_steps=3)
    assert len(found) == 1
    assert "takes its negatives from the batch, but each batch has one row: raise per_device_train_batch" in found[0]
    data = pairs(8) | {"positive": ["the kettle"] * 8}
    (message,) = warned(model, data, loss, tmp_path)
    assert "all texts of a batch's second column are the same" in message


def test_no_two_of_a_class_in_a_batch(model: SentenceTransformer, tmp_path: Path) -> None:
    data: Columns = {"text": scored_pairs(8)["sentence1"], "label": list(range(8))}
    found = warned(model, data, losses.BatchAllTripletLoss(model), tmp_path)
    assert 'finds no two rows of one class in a batch: give batch_sampler="group_by_label"' in found[0]


def test_a_loss_of_nothing_from_the_first_steps(model: SentenceTransformer, tmp_path: Path) -> None:
    texts = scored_pairs(60)["sentence1"]
    data = {"anchor": texts, "positive": texts, "negative": scored_pairs(60)["sentence2"]}
    model.eval()
    loss = losses.TripletLoss(model, triplet_margin=-100)
    (message,) = warned(model, data, loss, tmp_path)
    assert "the loss was 0 in all of the first 10 steps, so nothing is learnt" in message


def test_embeddings_that_became_one_point(model: SentenceTransformer, tmp_path: Path) -> None:
    with torch.no_grad():
        encoder: Any = model.network.encoder
        norm = encoder.layers[-1].output_norm
        norm.weight.mul_(1e-4)
        norm.bias.fill_(1.0)
    found = warned(model, scored_pairs(60), losses.CosineSimilarityLoss(model), tmp_path, learning_rate=1e-9)
    assert len(found) == 1
    assert "after step 10, the embeddings of 32 different texts are one point (mean cosine 1.00000)" in found[0]


def test_warm_up_longer_than_the_run(model: SentenceTransformer, tmp_path: Path) -> None:
    (message,) = warned(model, scored_pairs(8), losses.CosineSimilarityLoss(model), tmp_path, warmup_steps=50)
    assert message == "warm-up takes 50 steps, but the run has only 2: the learning rate never gets up"
