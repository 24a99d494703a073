"""Losses of texts: the pairs that they make, the gradients that reach the weights, chunks, and lists in every form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.cross_encoder import losses
from likewise.cross_encoder.cross_encoder import CrossEncoder
from likewise.cross_encoder.losses.columns import column_of
from likewise.cross_encoder.losses.multiple_negatives_ranking import documents_of_other_rows
from likewise.losses.columns import Column, ListColumn

QUERIES = ["the kettle is boiling", "we walked to the station in the rain", "music"]
DOCUMENTS = [
    "water for the tea boils",
    "the train was late",
    "it was on paper, and it was green in the garden of winter",
]
NEGATIVES = ["a small bridge", "not the river", "rain"]
LISTS = [["the train was late", "a river", "tea"], ["the station was small and green"], ["rain", "not music on paper"]]
GRADES = [[0.0, 1.0, 3.0], [1.0], [2.0, 0.0]]


def gradients(network: torch.nn.Module, value: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    value.backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


def padded_logits(folder: Path, pairs: list[tuple[str, str]]) -> tuple[torch.nn.Module, Tensor]:
    """What Transformers gives for padded pairs, (pairs,)."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        *map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt"
    )
    return network, network(**tokens).logits[:, 0]


def test_a_loss_and_its_gradients_are_those_of_padded_pairs(model: CrossEncoder, folder: Path) -> None:
    model.network.eval()
    network, logits = padded_logits(folder, list(zip(QUERIES, DOCUMENTS, strict=True)))
    expected = F.binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0, 0.7]))
    found = losses.BinaryCrossEntropyLoss(model)([QUERIES, DOCUMENTS], [1.0, 0.0, 0.7])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    theirs = sum(float(gradient.square().sum()) for gradient in gradients(network, expected).values())
    ours = sum(float(gradient.square().sum()) for gradient in gradients(model.network, found).values())
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_loss_of_lists_is_that_of_padded_pairs(model: CrossEncoder, folder: Path) -> None:
    model.network.eval()
    pairs = [(query, text) for query, texts in zip(QUERIES, LISTS, strict=True) for text in texts]
    _, logits = padded_logits(folder, pairs)
    entropies = [
        F.cross_entropy(own[None], torch.tensor([grades]).softmax(1))
        for own, grades in zip(logits.split([3, 1, 2]), GRADES, strict=True)
    ]
    found = losses.ListNetLoss(model)([QUERIES, LISTS], GRADES)
    torch.testing.assert_close(found, torch.stack(entropies).mean(), atol=1e-6, rtol=1e-5)


def batch(name: str) -> tuple[list[Any], Any]:
    if name in ("BinaryCrossEntropyLoss", "MSELoss"):
        return [QUERIES, DOCUMENTS], [1.0, 0.0, 0.5]
    if name == "MarginMSELoss":
        return [QUERIES, DOCUMENTS, NEGATIVES], [0.5, -1.0, 2.0]
    if name.endswith("MultipleNegativesRankingLoss"):
        return [QUERIES, DOCUMENTS, NEGATIVES], None
    return [QUERIES, LISTS], GRADES


NAMES = [
    *("BinaryCrossEntropyLoss", "MSELoss", "MarginMSELoss", "MultipleNegativesRankingLoss"),
    *("CachedMultipleNegativesRankingLoss", "ADRMSELoss", "LambdaLoss", "ListMLELoss", "ListNetLoss"),
    *("PListMLELoss", "RankNetLoss"),
]


@pytest.mark.parametrize("name", NAMES)
def test_chunks_and_replays_change_nothing(name: str, model: CrossEncoder) -> None:
    model.network.eval()
    texts, labels = batch(name)
    loss = getattr(losses, name)(model)
    found = []
    for budget, at_once, replays in ((10_000, None, False), (20, None, False), (10_000, 2, True)):
        loss.token_budget, loss.pairs_at_once, loss.replays = budget, at_once, replays
        torch.manual_seed(0)
        value = loss(texts, labels)
        found.append((value.detach(), gradients(model.network, value)))
    for value, of_weights in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        assert of_weights.keys() == found[0][1].keys()
        for weight, gradient in of_weights.items():
            torch.testing.assert_close(gradient, found[0][1][weight], atol=1e-5, rtol=1e-4)
    assert any(gradient.any() for gradient in found[0][1].values())


def test_cached_ranking_is_plain_ranking_with_dropout_too(model: CrossEncoder) -> None:
    model.network.train()
    found = []
    for kind in (losses.MultipleNegativesRankingLoss, losses.CachedMultipleNegativesRankingLoss):
        loss = kind(model, num_negatives=2)
        torch.manual_seed(3)
        value = loss([QUERIES, DOCUMENTS, NEGATIVES])
        found.append((value.detach(), gradients(model.network, value)))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-7, rtol=0)
    for weight, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][weight], gradient, atol=1e-6, rtol=1e-5)


def test_the_mini_batch_bounds_the_pairs_computed_together(model: CrossEncoder) -> None:
    sizes: list[int] = []
    model.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    with torch.no_grad():
        losses.LambdaLoss(model, mini_batch_size=4)([QUERIES, LISTS], GRADES)
        losses.LambdaLoss(model)([QUERIES, LISTS], GRADES)
        losses.CachedMultipleNegativesRankingLoss(model, None, mini_batch_size=5)([QUERIES, DOCUMENTS])
    assert sizes == [4, 2, 6, 5, 4]


def test_replayed_chunks_are_computed_twice_and_not_remembered(model: CrossEncoder) -> None:
    sizes: list[int] = []
    model.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    losses.CachedMultipleNegativesRankingLoss(model, None, mini_batch_size=5)([QUERIES, DOCUMENTS]).backward()
    assert sizes == [5, 4, 5, 4]
    sizes.clear()
    loss = losses.ListNetLoss(model)
    loss([QUERIES, LISTS], GRADES).backward()
    assert sizes == [6]
    loss.replays = True  # as a run with gradient_checkpointing asks for
    loss([QUERIES, LISTS], GRADES).backward()
    assert sizes == [6, 6, 6]


@pytest.mark.parametrize(
    "labels",
    [
        GRADES,
        [np.array(row) for row in GRADES],
        [torch.tensor(row) for row in GRADES],
        np.array([number for row in GRADES for number in row]),
        torch.tensor([number for row in GRADES for number in row], dtype=torch.float64),
        [0, 1, 3, 1, 2, 0],
        [[0, 1, 3], [1], [2, 0]],
    ],
)
def test_labels_of_lists_have_many_forms(labels: Any, model: CrossEncoder) -> None:
    loss = losses.ListNetLoss(model.eval())
    value = loss([QUERIES, LISTS], labels)
    assert value.dtype == torch.float32
    assert value.item() == loss([QUERIES, LISTS], GRADES).item()


def test_equally_long_lists_may_have_a_table_of_labels(model: CrossEncoder) -> None:
    loss, lists = losses.ListNetLoss(model.eval()), [DOCUMENTS, NEGATIVES]
    rows = [[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]]
    assert loss([QUERIES[:2], lists], torch.tensor(rows)).item() == loss([QUERIES[:2], lists], rows).item()


def test_texts_may_be_tokenised_already(model: CrossEncoder) -> None:
    model.network.eval()
    queries, lists = column_of(model, QUERIES), column_of(model, LISTS)
    assert isinstance(queries, Column)
    assert isinstance(lists, ListColumn)
    assert lists.counts.tolist() == [3, 1, 2]
    assert len(lists) == 3
    loss = losses.LambdaLoss(model)
    assert loss([queries, lists], GRADES).item() == loss([QUERIES, LISTS], GRADES).item()
    pairs = losses.MSELoss(model)
    assert (
        pairs([queries, column_of(model, DOCUMENTS)], [1, 2, 3]).item() == pairs([QUERIES, DOCUMENTS], [1, 2, 3]).item()
    )


def test_a_prompt_stands_before_each_text(model: CrossEncoder) -> None:
    found, expected = (
        column_of(model, LISTS, "the river: "),
        column_of(model, [["the river: " + t for t in r] for r in LISTS]),
    )
    assert isinstance(found, ListColumn)
    assert isinstance(expected, ListColumn)
    assert found.texts.tokens.ids.tolist() == expected.texts.tokens.ids.tolist()
    assert found.texts.texts == expected.texts.texts


def test_training_learns(model: CrossEncoder) -> None:
    model.network.eval()
    loss = losses.LambdaLoss(model)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-3)
    values = []
    for _ in range(20):
        value = loss([QUERIES, LISTS], GRADES)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]


def test_negatives_are_drawn_from_other_rows_each_once() -> None:
    torch.manual_seed(0)
    seen = set()
    for _ in range(50):
        drawn = documents_of_other_rows(5, 2, 3)
        assert drawn.shape == (5, 3)
        for row, places in enumerate(drawn.tolist()):
            assert len(set(places)) == 3
            assert row not in {place % 5 for place in places}
            seen |= {(row, place) for place in places}
    assert len(seen) == 5 * 8
    assert documents_of_other_rows(3, 2, None).tolist() == [[1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 3, 4]]
    assert documents_of_other_rows(1, 2, 4).shape == (1, 0)
