"""The losses' arguments are sentence-transformers', and what does not fit is told so that it can be mended."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from likewise.cross_encoder import losses
from tests.cross_encoder.losses.given_logits import Ours

SIGNATURES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signatures_6.2.json").read_text(encoding="utf-8")
)
# Recorded by their kind only; sentence-transformers gives the weighting schemes arguments that nn.Module refuses.
OF_A_KIND = {"activation_fn", "weighting_scheme", "lambda_weight"}
OF_ANY_NAME = {"args", "kwargs"}
OF_LISTS = {"activation_fn": "Identity", "mini_batch_size": None}
PAIRWISE = {"k": None, "sigma": 1.0, "eps": 1e-10, "reduction_log": "binary"}


def model(labels: int = 1) -> Any:
    return Ours(np.zeros((9, 9, labels), dtype=np.float32))


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_theirs(name: str) -> None:
    ours = inspect.signature(getattr(losses, name)).parameters
    theirs = {argument: default for argument, default in SIGNATURES[name].items() if argument not in OF_ANY_NAME}
    assert [argument for argument in ours if argument not in OF_ANY_NAME] == list(theirs)
    for argument, default in theirs.items():
        if default == "<required>":
            assert ours[argument].default is inspect.Parameter.empty
        elif argument not in OF_A_KIND:
            assert ours[argument].default == default


def test_every_loss_is_public() -> None:
    assert set(losses.__all__) == {*SIGNATURES, "CrossEncoderLoss"}


def test_defaults_that_are_modules() -> None:
    for name, arguments in SIGNATURES.items():
        if "activation_fn" in arguments:
            loss = getattr(losses, name)(model(2 if name == "CrossEntropyLoss" else 1))
            assert type(loss.activation_fn).__name__ == arguments["activation_fn"]
    assert losses.LambdaLoss(model()).weighting_scheme == losses.NDCGLoss2PPScheme(10.0)
    assert losses.LambdaLoss(model(), None).weighting_scheme == losses.NoWeightingScheme()
    assert losses.PListMLELoss(model()).lambda_weight == losses.PListMLELambdaWeight(None)


@pytest.mark.parametrize(
    ("name", "arguments", "card"),
    [
        ("BinaryCrossEntropyLoss", {"pos_weight": torch.tensor(4)}, {"activation_fn": "Identity", "pos_weight": 4.0}),
        ("MSELoss", {"activation_fn": torch.sigmoid}, {"activation_fn": "sigmoid"}),
        ("MarginMSELoss", {"activation_fn": nn.Sigmoid()}, {"activation_fn": "Sigmoid"}),
        ("MultipleNegativesRankingLoss", {}, {"scale": 10.0, "num_negatives": 4, "activation_fn": "Sigmoid"}),
        (
            "CachedMultipleNegativesRankingLoss",
            {"num_negatives": None},
            {"scale": 10.0, "num_negatives": None, "activation_fn": "Sigmoid", "mini_batch_size": 32},
        ),
        ("ListNetLoss", {"mini_batch_size": 8}, {"activation_fn": "Identity", "mini_batch_size": 8}),
        ("LambdaLoss", {"k": 5}, {"weighting_scheme": "NDCGLoss2PPScheme"} | PAIRWISE | {"k": 5} | OF_LISTS),
        ("RankNetLoss", {}, PAIRWISE | OF_LISTS),
        ("PListMLELoss", {}, {"lambda_weight": "PListMLELambdaWeight", "respect_input_order": True} | OF_LISTS),
        ("ListMLELoss", {}, {"respect_input_order": True} | OF_LISTS),
        ("ADRMSELoss", {}, {"alpha": 1.0} | OF_LISTS),
    ],
)
def test_the_card_is_told_the_arguments(name: str, arguments: dict[str, Any], card: dict[str, Any]) -> None:
    found = getattr(losses, name)(model(), **arguments).get_config_dict()
    assert found == card
    json.dumps(found)


# What does not fit


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name.endswith("Loss") and name != "CrossEntropyLoss"])
def test_scores_for_several_classes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} needs a model with one score for a pair, but this one has 3; make"):
        getattr(losses, name)(model(3))


def test_one_score_has_no_classes() -> None:
    with pytest.raises(ValueError, match=r"this one has 1; make it with CrossEncoder.*num_labels=2.* BinaryCross"):
        losses.CrossEntropyLoss(model(1))


def test_a_bi_encoder_is_refused() -> None:
    bi_encoder: Any = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="is for a CrossEncoder, not for a Linear; its"):
        losses.MSELoss(bi_encoder)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("MultipleNegativesRankingLoss", {"num_negatives": 0}, "num_negatives must be at least 1, or None for all"),
        ("MultipleNegativesRankingLoss", {"scale": 0}, "scale must be more than 0, not 0; 1 leaves"),
        ("CachedMultipleNegativesRankingLoss", {"mini_batch_size": 0}, "mini_batch_size must be at least 1, not 0"),
        ("LambdaLoss", {"k": 0}, "k must be at least 1, or None for all documents, not 0"),
        ("RankNetLoss", {"reduction_log": "decimal"}, 'must be "natural" or "binary", not \'decimal\''),
    ],
)
def test_arguments_that_cannot_be_are_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(losses, name)(model(), **arguments)


@pytest.mark.parametrize(
    ("name", "columns", "labels", "message"),
    [
        ("MSELoss", [["1"]], [1.0], "needs two texts and a number as the label, but the data has 1 column of text and"),
        (
            "MSELoss",
            [["1"], ["2"]],
            None,
            "and a number as the label, but the data has 2 columns of text and no labels",
        ),
        ("MSELoss", [["1"], ["2", "3"]], [1.0], r"equally long, but their lengths are \[1, 2\]"),
        ("MSELoss", [["1"], ["2"]], [1.0, 2.0], "a label for each row, but it has 1 rows and 2 labels"),
        ("MSELoss", [["1"], [["2", "3"]]], [1.0], "column 2 has a list of texts in each row; give one text a row, or"),
        ("MarginMSELoss", [["1"], ["2"]], [1.0], "needs a query, a positive and one or more negatives"),
        (
            "MarginMSELoss",
            [["1"], ["2"], ["3"]],
            [[1.0, 2.0, 3.0]],
            r"a score for the positive and each negative, \(1, 2",
        ),
        ("MultipleNegativesRankingLoss", [["1"]], None, "needs a query, its document and any number of hard negatives"),
        ("ListNetLoss", [["1"], [["2", "3"]]], None, "a label with a number for each document, but the data has 2 col"),
        ("ListNetLoss", [["1"], ["2"]], [1.0], "column 2 has one text in each row; put all documents of a query into"),
        ("ListNetLoss", [[["1"]], [["2"]]], [[1.0]], "column 1 has a list of texts in each row; give one text a row"),
        (
            "ListNetLoss",
            [["1"], [["2", "3"]]],
            [[1.0]],
            "row 0 of the batch has 2 documents, but 1 labels; a label must",
        ),
        (
            "ListNetLoss",
            [["1"], [["2", "3"]]],
            np.ones(3),
            "2 documents in 1 lists, but 3 labels; a label must be a lis",
        ),
        ("ListNetLoss", [["1", "2"], [["2"], []]], [[1.0], []], "row 1 of the batch has no document; leave such rows"),
    ],
)
def test_data_that_do_not_fit_are_told(name: str, columns: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(losses, name)(model())(columns, labels)


def test_a_label_that_is_no_class_is_told() -> None:
    loss = losses.CrossEntropyLoss(model(3))
    with pytest.raises(ValueError, match="the label 3 is no class: with num_labels=3 they are 0 to 2"):
        loss([["1", "2"], ["2", "3"]], [0, 3])
    assert loss([["1", "2"], ["2", "3"]], [0.0, -100.0]).item() == pytest.approx(np.log(3))


def test_parameters_are_the_models_and_positives_weight_moves_with_it() -> None:
    loss = losses.BinaryCrossEntropyLoss(model(), pos_weight=3)
    assert {name for name, _ in loss.named_parameters()} == {"network.logits"}
    assert "loss_fct.pos_weight" in loss.state_dict()
