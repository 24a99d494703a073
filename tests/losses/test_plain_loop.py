"""A loss in a plain PyTorch loop, and what it tells of data that do not fit it."""

from typing import Any

import numpy as np
import pytest
import torch

from likewise import SentenceTransformer, losses
from likewise.losses.columns import column_of

FIRST = ["the kettle is boiling", "we walked to the station", "it was late in winter", "the garden is green"]
SECOND = ["water for the tea boils", "the train was late", "music on paper", "the green garden"]
CLASSES = [0, 1, 2, 0]


def test_encoder_and_head_learn(model: SentenceTransformer) -> None:
    loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), num_labels=3)
    before = {name: weight.detach().clone() for name, weight in loss.named_parameters()}
    vectors = model.encode(FIRST)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-3)
    values = []
    for _ in range(15):
        value = loss([FIRST, SECOND], CLASSES)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]
    moved = {name for name, weight in loss.named_parameters() if not torch.equal(weight, before[name])}
    assert {"classifier.weight", "classifier.bias"} < moved
    assert {name for name in before if name.startswith("network.")} & moved
    assert np.abs(model.encode(FIRST) - vectors).max() > 0.01  # the model encodes with what was learnt


@pytest.mark.parametrize(
    "labels", [CLASSES, np.array(CLASSES), torch.tensor(CLASSES), np.array(CLASSES, np.int32), [0.0, 1.0, 2.0, 0.0]]
)
def test_labels_may_be_any_array_or_list(labels: Any, model: SentenceTransformer) -> None:
    torch.manual_seed(0)
    loss = losses.SoftmaxLoss(model, num_labels=3)
    assert loss([FIRST, SECOND], labels).item() == loss([FIRST, SECOND], torch.tensor(CLASSES)).item()


def test_texts_may_be_tokenised_already(model: SentenceTransformer) -> None:
    loss = losses.CosineSimilarityLoss(model)
    scores = [0.8, 0.2, 0.1, 0.9]
    columns = [column_of(model, FIRST), column_of(model, SECOND)]
    assert loss(columns, scores).item() == loss([FIRST, SECOND], scores).item()


@pytest.mark.parametrize(
    ("loss", "columns", "labels"),
    [
        ("CosineSimilarityLoss", 2, [0.8, 0.2, 0.1, 0.9]),
        ("CoSENTLoss", 2, [0.8, 0.2, 0.1, 0.9]),
        ("AnglELoss", 3, [1.0, 1.0, 0.0, 1.0]),
        ("ContrastiveLoss", 2, [1.0, 0.0, 1.0, 0.0]),
        ("OnlineContrastiveLoss", 2, [1.0, 0.0, 1.0, 0.0]),
        ("MSELoss", 1, np.zeros((4, 32)).tolist()),
        ("MarginMSELoss", 3, [0.1, 2.0, 0.3, 1.5]),
        ("DistillKLDivLoss", 3, [[0.1, 2.0], [0.3, 1.5], [0.0, 0.1], [2.0, 1.0]]),
    ],
)
def test_labels_of_a_wider_type_do_not_widen_the_loss(
    loss: str, columns: int, labels: list[Any], model: SentenceTransformer
) -> None:
    value = getattr(losses, loss)(model)([FIRST, SECOND, SECOND[::-1]][:columns], labels)
    assert value.dtype == torch.float32
    value.backward()


def test_an_anchor_with_negatives_needs_no_label(model: SentenceTransformer) -> None:
    loss, columns = losses.AnglELoss(model), [FIRST, SECOND, SECOND[::-1]]
    assert loss(columns).item() == loss(columns, [1.0] * 4).item() > 0


def test_a_class_may_be_left_out(model: SentenceTransformer) -> None:
    loss = losses.SoftmaxLoss(model, num_labels=3)
    torch.testing.assert_close(loss([FIRST, SECOND], [0, 1, -100, -100]), loss([FIRST[:2], SECOND[:2]], [0, 1]))


@pytest.mark.parametrize(
    ("loss", "columns", "labels", "wanted"),
    [
        ("SoftmaxLoss", 1, CLASSES, "SoftmaxLoss needs two texts and a class as the label .* has 1 column of text and"),
        ("SoftmaxLoss", 2, None, "needs two texts and a class as the label .* 2 columns of text and no labels"),
        (
            "CosineSimilarityLoss",
            3,
            CLASSES,
            "needs two texts and a similarity from 0 to 1 as the label.* has 3 columns",
        ),
        ("TripletLoss", 2, None, "TripletLoss needs an anchor, a positive and a negative, but the data has 2 columns"),
        ("CoSENTLoss", 2, None, "needs two texts and a number as the label, .* no labels"),
        ("AnglELoss", 2, None, "needs two texts .* and a number as the label, .* no labels"),
        ("ContrastiveLoss", 2, None, r"needs two texts and a label of 1 \(alike\) or 0 \(not alike\), .* no labels"),
        ("OnlineContrastiveLoss", 1, CLASSES, r"needs two texts and a label of 1 \(alike\) or 0"),
        ("BatchAllTripletLoss", 2, CLASSES, "needs one text and a class as the label .* has 2 columns of text"),
        (
            "BatchHardTripletLoss",
            1,
            None,
            "needs one text and a class as the label .* has 1 column of text and no labels",
        ),
        ("BatchHardSoftMarginTripletLoss", 1, None, "needs one text and a class as the label"),
        ("BatchSemiHardTripletLoss", 1, None, "needs one text and a class as the label"),
        ("MSELoss", 1, None, "needs one or more texts and several numbers as the label"),
        ("MarginMSELoss", 2, CLASSES, "needs a query, a positive and one or more negatives and a number or several as"),
        ("DistillKLDivLoss", 2, CLASSES, "needs a query, a positive and one or more negatives and several numbers as"),
    ],
)
def test_wrong_data_is_told_what_the_loss_needs(
    loss: str, columns: int, labels: list[int] | None, wanted: str, model: SentenceTransformer
) -> None:
    arguments = {"num_labels": 3} if loss == "SoftmaxLoss" else {}
    with pytest.raises(ValueError, match=wanted):
        getattr(losses, loss)(model, **arguments)([FIRST] * columns, labels)


def test_columns_and_labels_must_be_equally_long(model: SentenceTransformer) -> None:
    loss = losses.CosineSimilarityLoss(model)
    with pytest.raises(ValueError, match=r"columns of text and labels .* equally long, .* \[4, 4, 1\]"):
        loss([FIRST, SECOND], [0.5])
    with pytest.raises(ValueError, match=r"equally long, but their lengths are \[4, 3, 2\]"):
        losses.TripletLoss(model)([FIRST, SECOND[:3], SECOND[:2]])


@pytest.mark.parametrize("wrong", [[0, 1, 2, 3], [0, 1, -1, 2], [0, 1, 0.5, 2]])
def test_a_label_that_is_no_class_is_told(wrong: list[float], model: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match=r"the label (3|-1|0\.5) is no class: with num_labels=3 they are 0 to 2"):
        losses.SoftmaxLoss(model, 32, 3)([FIRST, SECOND], wrong)


@pytest.mark.parametrize(
    ("loss", "columns", "labels", "wanted"),
    [
        ("MSELoss", 1, np.zeros((4, 31)), r"\(4, 32\) or \(4, 1, 32\), but they are \(4, 31\); .* projection_dim"),
        ("MSELoss", 2, np.zeros(4), r"\(4, 32\) or \(4, 2, 32\), but they are \(4,\)"),
        ("MarginMSELoss", 4, np.zeros(4), r"for each negative, \(4, 2\), or .*, \(4, 3\), but the labels are \(4,\)"),
        ("DistillKLDivLoss", 3, np.zeros((4, 3)), r"score of the positive .* \(4, 2\), but the labels are \(4, 3\)"),
    ],
)
def test_labels_of_another_shape_are_told(
    loss: str, columns: int, labels: Any, wanted: str, model: SentenceTransformer
) -> None:
    with pytest.raises(ValueError, match=wanted):
        getattr(losses, loss)(model)([FIRST] * columns, labels)
