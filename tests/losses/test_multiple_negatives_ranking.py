"""Ranking within a batch, against loops over single scores in float64, and SimCSE."""

from collections.abc import Callable
from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import SentenceTransformer, losses
from likewise.losses.columns import column_of
from likewise.losses.multiple_negatives_ranking import ranking_losses
from tests.peer.loss_values import Network

TEXTS = ["the kettle is boiling", "we walked to the station", "it was late in winter", "the garden is green"]
FORWARD, QUERIES, BACKWARD, DOCUMENTS = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
HARDER: dict[str | None, Callable[[bool, bool], bool]] = {  # whether a score grows: by own row, by being the positive
    None: lambda own, positive: False,
    "in_batch_negatives": lambda own, positive: not own,
    "hard_negatives": lambda own, positive: own and not positive,
    "all_negatives": lambda own, positive: not positive,
}


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def one_loss(columns: NDArray[np.float64], row: int, scale: float, directions: tuple[str, ...], **how: Any) -> float:
    """The loss of one row, term by term; ``columns`` (1 + documents of a row, rows, dim)."""
    queries, documents = columns[0], columns[1:]
    rows = range(len(queries))
    terms: dict[str, list[float]] = {direction: [] for direction in directions}
    for place, column in enumerate(documents):
        for other in rows:
            found = cosine(queries[row], column[other])
            grows = HARDER[how["mode"]](other == row, other == row and place == 0)
            terms[FORWARD].append(scale * found + how["strength"] * found * grows)
            if DOCUMENTS in directions and other != row:
                terms[DOCUMENTS].append(scale * cosine(documents[0][row], column[other]))
    for other in rows:
        if QUERIES in directions and other != row:
            terms[QUERIES].append(scale * cosine(queries[row], queries[other]))
        if BACKWARD in directions:
            terms[BACKWARD].append(scale * cosine(documents[0][row], queries[other]))
    positive = scale * cosine(queries[row], documents[0][row])
    if how["joint"]:
        return log(sum(exp(score) for scores in terms.values() for score in scores)) - positive
    return sum(log(sum(map(exp, scores))) for scores in terms.values()) / len(terms) - positive


@given(
    rows=st.integers(1, 5),
    negatives=st.integers(0, 3),
    others=st.sets(st.sampled_from((QUERIES, BACKWARD, DOCUMENTS))),
    mode=st.sampled_from(list(HARDER)),
    strength=st.floats(0, 9),
    joint=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_row_is_as_by_hand(
    rows: int, negatives: int, others: set[str], mode: Any, strength: float, joint: bool, seed: int
) -> None:
    columns = np.random.default_rng(seed).standard_normal((2 + negatives, rows, 4))
    directions: Any = (FORWARD, *sorted(others & {BACKWARD} if not joint else others))
    queries, *documents = torch.from_numpy(columns)
    some = torch.arange(rows)[seed % rows :]  # a block of rows
    found = ranking_losses(
        queries,
        torch.cat(documents),
        some,
        3.0,
        directions=directions,
        partition_mode="joint" if joint else "per_direction",
        hardness_mode=mode,
        hardness_strength=strength,
    )
    how = {"mode": mode, "strength": strength, "joint": joint}
    expected = [one_loss(columns, int(row), 3.0, directions, **how) for row in some]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=1e-9)


def test_a_harder_negative_is_taken_as_a_constant() -> None:
    queries, documents = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True).unbind()
    rows = torch.arange(4)
    plain = ranking_losses(queries, documents, rows, hardness_mode=None).sum()
    harder = ranking_losses(queries, documents, rows, hardness_mode="all_negatives", hardness_strength=2.0).sum()
    assert harder > plain
    # With the weights of its softmax, its gradient is that of the similarities times the scale alone.
    scores = 20 * torch.nn.functional.cosine_similarity(queries[:, None], documents[None], dim=2)
    constant = (scores + 2 / 20 * scores.detach() * ~torch.eye(4, dtype=torch.bool)).logsumexp(1) - scores.diagonal()
    for mine, expected in zip(
        *(torch.autograd.grad(v, (queries, documents)) for v in (harder, constant.sum())), strict=True
    ):
        torch.testing.assert_close(mine, expected)


def test_symmetric_is_the_mean_of_both_directions() -> None:
    model: Any = Network()
    queries, documents = torch.randn(2, 5, 6)
    there = losses.MultipleNegativesRankingLoss(model).from_embeddings([queries, documents])
    back = losses.MultipleNegativesRankingLoss(model).from_embeddings([documents, queries])
    both = losses.MultipleNegativesSymmetricRankingLoss(model).from_embeddings([queries, documents])
    torch.testing.assert_close(both, (there + back) / 2)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"scale": 0}, "scale must be more than 0, not 0"),
        ({"directions": ()}, 'must hold "query_to_doc"'),
        ({"directions": ("doc_to_query",)}, r'must hold "query_to_doc", .* not \(\'doc_to_query\',\) alone'),
        ({"directions": ("query_to_doc", "sideways")}, "must be some of query_to_doc, .*sideways"),
        ({"directions": "query_to_doc"}, "must be some of"),
        ({"partition_mode": "apart"}, "partition_mode must be one of joint, per_direction, not apart"),
        (
            {"directions": ("query_to_doc", "doc_to_doc"), "partition_mode": "per_direction"},
            'needs a positive in each direction, and doc_to_doc has none; use partition_mode="joint"',
        ),
        ({"hardness_mode": "very"}, "hardness_mode must be one of in_batch_negatives, .* not very"),
        ({"hardness_strength": -1}, "hardness_strength must be at least 0, not -1"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], wanted: str) -> None:
    model: Any = Network()
    with pytest.raises(ValueError, match=wanted):
        losses.MultipleNegativesRankingLoss(model, **arguments)


def test_a_strength_of_zero_is_told(caplog: pytest.LogCaptureFixture) -> None:
    model: Any = Network()
    losses.MultipleNegativesRankingLoss(model, hardness_mode="all_negatives")
    assert "hardness_mode='all_negatives' does nothing" in caplog.text


def test_too_few_columns_are_told(model: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match=r"needs a query, its document and any number of hard negatives, but .* 1 col"):
        losses.MultipleNegativesRankingLoss(model)([TEXTS])


def test_the_same_text_twice_is_simcse(model: SentenceTransformer) -> None:
    loss = losses.MultipleNegativesRankingLoss(model).train()
    torch.manual_seed(0)
    first, second = loss.embed([column_of(model, TEXTS)] * 2)
    assert ((first - second).abs().amax(dim=1) > 0.01).all()  # each text has two masks
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-3)
    values = []
    for _ in range(30):
        value = loss([TEXTS, TEXTS])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-5:]) < 0.7 * np.mean(values[:5])
    loss.eval()
    first, second = loss.embed([column_of(model, TEXTS)] * 2)
    torch.testing.assert_close(first, second)
