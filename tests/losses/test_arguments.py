"""Every loss takes sentence-transformers' arguments, in its order and with its defaults, and tells them to the card."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from likewise import losses, util
from tests.peer.loss_values import Network

SIGNATURES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signatures_6.2.json").read_text(encoding="utf-8")
)
HERE_OPTIONAL = {("SoftmaxLoss", "embedding_dimension"), ("SoftmaxLoss", "num_labels")}  # for its older spelling
# Recorded by their kind only.
OF_A_KIND = ("distance_metric", "loss_fct", "cos_score_transformation", "similarity_fct", "directions")
RANKING = {
    "scale": 20.0,
    "similarity_fct": "cos_sim",
    "gather_across_devices": False,
    "directions": ("query_to_doc",),
    "partition_mode": "joint",
    "hardness_mode": None,
    "hardness_strength": 0.0,
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_theirs(name: str) -> None:
    ours = list(inspect.signature(getattr(losses, name)).parameters.values())
    for argument, (theirs, default) in zip(ours, SIGNATURES[name].items(), strict=False):
        assert argument.name == theirs
        if default == "<required>":
            assert argument.default is argument.empty or (name, theirs) in HERE_OPTIONAL
        elif theirs not in OF_A_KIND:
            assert argument.default == default
    assert len(ours) >= len(SIGNATURES[name])


def test_defaults_that_are_functions() -> None:
    model: Any = Network()
    triplets = losses.BatchHardTripletLossDistanceFunction
    assert losses.TripletLoss(model).distance_metric == losses.TripletDistanceMetric.EUCLIDEAN
    assert losses.ContrastiveLoss(model).distance_metric == losses.SiameseDistanceMetric.COSINE_DISTANCE
    assert losses.OnlineContrastiveLoss(model).distance_metric == losses.SiameseDistanceMetric.COSINE_DISTANCE
    assert losses.BatchAllTripletLoss(model).distance_metric == triplets.euclidean_distance
    assert triplets.eucledian_distance == triplets.euclidean_distance


def test_distance_metrics_are_functions() -> None:
    x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]])
    of_triplets = {metric.name: metric(x, y).item() for metric in losses.TripletDistanceMetric}
    assert of_triplets == pytest.approx({"COSINE": 0.4, "EUCLIDEAN": 4.0, "MANHATTAN": 4.0})
    of_pairs = {metric.name: metric(x, y).item() for metric in losses.SiameseDistanceMetric}
    assert of_pairs == pytest.approx({"COSINE_DISTANCE": 0.4, "EUCLIDEAN": 4.0, "MANHATTAN": 4.0}, abs=1e-5)


def test_the_width_of_embeddings_has_an_older_name_and_the_models_own_by_default() -> None:
    model: Any = Network()
    spellings: list[dict[str, Any]] = [{"sentence_embedding_dimension": 5}, {"embedding_dimension": 5}]
    for arguments in spellings:
        assert losses.SoftmaxLoss(model, num_labels=2, **arguments).classifier.weight.shape == (2, 15)
    assert losses.SoftmaxLoss(model, num_labels=2).classifier.weight.shape == (2, 18)
    assert losses.SoftmaxLoss(model, 6, 2, False, True, True).classifier.weight.shape == (2, 12)


def test_what_cannot_be_is_refused() -> None:
    model: Any = Network()
    with pytest.raises(TypeError, match="needs num_labels"):
        losses.SoftmaxLoss(model, 6)
    with pytest.raises(ValueError, match="choose one of concatenation_sent_rep"):
        losses.SoftmaxLoss(model, 6, 2, False, False, False)
    with pytest.raises(ValueError, match=r"embeddings have 6 dimensions, .* embedding_dimension=5"):
        losses.SoftmaxLoss(model, 5, 2).logits([torch.zeros(1, 6), torch.zeros(1, 6)])
    for temperature in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="student_temperature must be a number above 0"):
            losses.DistillKLDivLoss(model, student_temperature=temperature)


@pytest.mark.parametrize(
    ("name", "arguments", "card"),
    [
        (
            "SoftmaxLoss",
            {"num_labels": 3},
            {
                "num_labels": 3,
                "concatenation_sent_rep": True,
                "concatenation_sent_difference": True,
                "concatenation_sent_multiplication": False,
            },
        ),
        (
            "CosineSimilarityLoss",
            {"cos_score_transformation": torch.sigmoid},
            {"loss_fct": "MSELoss", "cos_score_transformation": "sigmoid"},
        ),
        ("TripletLoss", {}, {"distance_metric": "TripletDistanceMetric.EUCLIDEAN", "triplet_margin": 5}),
        ("CoSENTLoss", {}, {"scale": 20.0, "similarity_fct": "pairwise_cos_sim"}),
        (
            "CoSENTLoss",
            {"similarity_fct": util.pairwise_dot_score},
            {"scale": 20.0, "similarity_fct": "pairwise_dot_score"},
        ),
        ("AnglELoss", {"scale": 5.0}, {"scale": 5.0, "similarity_fct": "pairwise_angle_sim"}),
        (
            "ContrastiveLoss",
            {"margin": 1},
            {"distance_metric": "SiameseDistanceMetric.COSINE_DISTANCE", "margin": 1, "size_average": True},
        ),
        (
            "OnlineContrastiveLoss",
            {},
            {"distance_metric": "SiameseDistanceMetric.COSINE_DISTANCE", "margin": 0.5},
        ),
        ("BatchAllTripletLoss", {}, {"distance_metric": "euclidean_distance", "margin": 5}),
        ("BatchHardTripletLoss", {}, {"distance_metric": "euclidean_distance", "margin": 5}),
        ("BatchSemiHardTripletLoss", {}, {"distance_metric": "euclidean_distance", "margin": 5}),
        ("BatchHardSoftMarginTripletLoss", {}, {"distance_metric": "euclidean_distance"}),
        ("MSELoss", {"projection_dim": 4}, {"projection_dim": 4}),
        ("MultipleNegativesRankingLoss", {}, RANKING),
        (
            "MultipleNegativesSymmetricRankingLoss",
            {},
            RANKING | {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"},
        ),
        (
            "CachedMultipleNegativesRankingLoss",
            {"mini_batch_num_tokens": 50},
            RANKING | {"mini_batch_size": 32, "mini_batch_num_tokens": 50},
        ),
        ("MarginMSELoss", {}, {"similarity_fct": "pairwise_dot_score"}),
        ("DistillKLDivLoss", {}, {"similarity_fct": "pairwise_dot_score", "temperature": 1.0}),
        (
            "DistillKLDivLoss",
            {"temperature": 2.0, "teacher_temperature": 3.0},
            {"similarity_fct": "pairwise_dot_score", "temperature": 2.0, "teacher_temperature": 3.0},
        ),
    ],
)
def test_the_card_is_told_the_arguments(name: str, arguments: dict[str, Any], card: dict[str, Any]) -> None:
    loss = getattr(losses, name)(Network(), **arguments)
    assert loss.get_config_dict() == card
    json.dumps(card)
