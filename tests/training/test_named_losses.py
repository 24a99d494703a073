"""Losses by name: every one can be made, and a mistake is told with what there is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise import SentenceTransformer, losses
from likewise.similarity import dot_score, pairwise_euclidean_sim
from likewise.training.data import TrainingData
from likewise.training.named_losses import NAMES, check_loss, named_loss

DATA = TrainingData({"a": ["tea", "rain", "tea"]}, np.array([0, 2, 1]), "label")
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "MatryoshkaLoss": {"loss": "CoSENTLoss", "matryoshka_dims": [32, 16]},
}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DenoisingAutoEncoderLoss"])
def test_every_loss_can_be_made(name: str, model: SentenceTransformer, tiny_folder: Path) -> None:
    arguments = {"guide": str(tiny_folder)} if "GIST" in name else NEEDED.get(name, {})
    assert type(named_loss(model, name, arguments, DATA)) is getattr(losses, name)


def test_every_loss_has_a_name() -> None:
    assert set(NAMES) == {name for name in losses.__all__ if name.endswith("Loss")} - {"Loss"}


def test_functions_and_losses_are_given_by_their_names(model: SentenceTransformer) -> None:
    ranking: Any = named_loss(model, "MultipleNegativesRankingLoss", {"similarity_fct": "dot_score", "scale": 1}, DATA)
    assert (ranking.similarity_fct, ranking.scale) == (dot_score, 1)
    cosent = named_loss(model, "CoSENTLoss", {"similarity_fct": "pairwise_euclidean_sim"}, DATA)
    assert cosent.similarity_fct is pairwise_euclidean_sim
    triplet: Any = named_loss(model, "TripletLoss", {"distance_metric": "COSINE", "triplet_margin": 0.5}, DATA)
    assert triplet.distance_metric is losses.TripletDistanceMetric.COSINE
    batch = named_loss(model, "BatchAllTripletLoss", {"distance_metric": "cosine_distance"}, DATA)
    assert batch.distance_metric is losses.BatchHardTripletLossDistanceFunction.cosine_distance
    within = {"loss": "AnglELoss", "loss_arguments": {"scale": 3.0}}
    matryoshka = named_loss(model, "MatryoshkaLoss", {"loss": within, "matryoshka_dims": [8, 32]}, DATA)
    assert isinstance(matryoshka.loss, losses.AnglELoss)
    assert matryoshka.loss.scale == 3
    assert matryoshka.loss.network is model.network


def test_classes_are_counted(model: SentenceTransformer) -> None:
    assert named_loss(model, "SoftmaxLoss", {}, DATA).num_labels == 3
    assert named_loss(model, "SoftmaxLoss", {"num_labels": 7}, DATA).num_labels == 7
    named = TrainingData(DATA.columns, DATA.labels, "label", ("no", "perhaps", "so", "yes"))
    assert named_loss(model, "SoftmaxLoss", {}, named).num_labels == 4


MISTAKES: list[tuple[str, Mapping[str, Any], str]] = [
    ("CosinesimilarityLos", {}, r"^there is no loss 'CosinesimilarityLos'; did you mean 'CosineSimilarityLoss'\? the "),
    ("CoSENTLoss", {"scal": 1}, r"^CoSENTLoss has no argument 'scal'; did you mean 'scale'\? the arguments: scale, si"),
    (
        "CosineSimilarityLoss",
        {"loss_fct": "l1"},
        r"^CosineSimilarityLoss has no argument 'loss_fct'; the arguments: no",
    ),
    ("CoSENTLoss", {"scale": "20"}, r"^scale of CoSENTLoss must be a number, not '20'$"),
    ("CoSENTLoss", {"scale": True}, r"^scale of CoSENTLoss must be a number, not True$"),
    ("TripletLoss", {"distance_metric": "cosine"}, r"^distance_metric of TripletLoss has no choice 'cosine'; did you "),
    ("GISTEmbedLoss", {}, r"^GISTEmbedLoss needs the argument 'guide'; the arguments: guide, temperature, "),
    ("GISTEmbedLoss", {"guide": 3}, r"^guide of GISTEmbedLoss must be a text, not 3$"),
    ("MatryoshkaLoss", {"loss": "CoSENTLoss"}, r"^MatryoshkaLoss needs the argument 'matryoshka_dims'"),
    (
        "MatryoshkaLoss",
        {"loss": "CoSENTLoss", "matryoshka_dims": [1.5]},
        r"must be a list, each a whole number, not \[",
    ),
    ("MatryoshkaLoss", {"loss": "Cosent", "matryoshka_dims": [8]}, r"^there is no loss 'Cosent'; did you mean 'CoSEN"),
    (
        "MatryoshkaLoss",
        {"loss": 3, "matryoshka_dims": [8]},
        r"^the loss within must be a name, or a table with loss and",
    ),
    ("MatryoshkaLoss", {"loss": {"loss": "CoSENTLoss", "scale": 3}, "matryoshka_dims": [8]}, r"has no key 'scale'"),
]


@pytest.mark.parametrize(("name", "arguments", "told"), MISTAKES)
def test_a_mistake_tells_what_there_is(name: str, arguments: Mapping[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_loss(name, arguments)
