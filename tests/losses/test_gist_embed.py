"""Ranking with a guide, against loops over single scores in float64."""

from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import SentenceTransformer, losses, models
from likewise.losses.columns import column_of
from likewise.losses.gist_embed import guided_losses
from tests.losses.test_multiple_negatives_ranking import cosine
from tests.tiny_checkpoints import tiny_encoder

FIRST = ["the kettle is boiling", "we walked to the station", "it was late in winter", "the garden is green"]
SECOND = ["water for the tea boils", "the train was late", "music on paper", "the green garden"]


def one_loss(
    columns: NDArray[np.float64], guides: NDArray[np.float64], row: int, limit: float, anchors: bool, positives: bool
) -> float:
    """The loss of one row, term by term, at a temperature of 0.2; what the guide puts above ``limit`` is left out."""
    positive = cosine(columns[0][row], columns[1][row]) / 0.2
    terms = [positive]
    compared = [(0, place) for place in range(1, len(columns))] + [(0, 0)] * anchors + [(1, 1)] * positives
    for left, right in compared:
        for other in range(columns.shape[1]):
            if (left, right, other) != (0, 1, row) and cosine(guides[left][row], guides[right][other]) <= limit:
                terms.append(cosine(columns[left][row], columns[right][other]) / 0.2)
    return log(sum(map(exp, terms))) - positive


@given(
    rows=st.integers(1, 5),
    negatives=st.integers(0, 2),
    relative=st.booleans(),
    margin=st.sampled_from((-0.3, 0.0, 0.2)),
    anchors=st.booleans(),
    positives=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_row_is_as_by_hand(
    rows: int, negatives: int, relative: bool, margin: float, anchors: bool, positives: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    columns, guides = random.standard_normal((2 + negatives, rows, 4)), random.standard_normal((2 + negatives, rows, 3))
    embedded, guided = torch.from_numpy(columns), torch.from_numpy(guides)
    some = torch.arange(rows)[seed % rows :]
    found = guided_losses(
        embedded[0],
        embedded[1:].flatten(0, 1),
        guided[0],
        guided[1:].flatten(0, 1),
        some,
        0.2,
        "relative" if relative else "absolute",
        margin,
        anchors,
        positives,
    )
    expected = []
    for row in map(int, some):
        highest = cosine(guides[0][row], guides[1][row])
        limit = highest - margin * (abs(highest) if relative else 1)
        expected.append(one_loss(columns, guides, row, limit, anchors, positives))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=1e-9)


def test_what_is_as_near_as_the_positive_stays_however_it_is_rounded() -> None:
    guide = torch.nn.functional.normalize(torch.randn(1, 384, generator=torch.Generator().manual_seed(0)))
    anchors, documents = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(1))
    nearly = guide.repeat(50, 1) + 3e-8 * torch.randn(50, 384, generator=torch.Generator().manual_seed(2))
    everything = guided_losses(anchors, documents, nearly, nearly, torch.arange(50), 1.0, "absolute", 0.0, False, False)
    expected = torch.nn.functional.cosine_similarity(anchors[:, None], documents[None], dim=2)
    torch.testing.assert_close(everything, expected.logsumexp(1) - expected.diagonal())


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    """Of another architecture, with other token numbers."""
    folder: Path = tiny_encoder(tmp_path_factory.mktemp("guide"), "roberta", seed=1, hidden_size=16)
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(16)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32", default_prompt_name="query")


@pytest.mark.parametrize("kind", ["GISTEmbedLoss", "CachedGISTEmbedLoss"])
def test_the_guide_sees_the_texts_and_does_not_learn(
    kind: str, guide: SentenceTransformer, model: SentenceTransformer
) -> None:
    guide.prompts["query"] = "a prompt that is meant for its own texts: "
    loss = getattr(losses, kind)(model, guide)
    assert {id(weight) for weight in loss.parameters()} == {id(weight) for weight in model.network.parameters()}
    columns = [column_of(model, FIRST, "tea: "), column_of(model, SECOND)]
    targets = loss.targets(columns, None)
    expected = guide.encode([*("tea: " + text for text in FIRST), *SECOND], prompt="")
    np.testing.assert_allclose(targets.flatten(0, 1).numpy(), expected, atol=1e-6)
    value = loss(columns)
    torch.testing.assert_close(value, loss.from_embeddings(loss.embed(columns), targets))
    value.backward()
    assert all(weight.grad is not None for weight in loss.parameters())


def test_wrong_guides_and_margins_are_told(guide: SentenceTransformer, model: SentenceTransformer) -> None:
    wrong: Any = "all-MiniLM-L6-v2"
    with pytest.raises(TypeError, match=r"not its name: give SentenceTransformer\('all-MiniLM-L6-v2'\)"):
        losses.GISTEmbedLoss(model, wrong)
    with pytest.raises(ValueError, match="the guide must not learn: load the model a second time"):
        losses.GISTEmbedLoss(model, model)
    wrong = "none"
    with pytest.raises(ValueError, match="margin_strategy must be absolute or relative, not none"):
        losses.CachedGISTEmbedLoss(model, guide, margin_strategy=wrong)


def test_the_card_names_the_guide(guide: SentenceTransformer, model: SentenceTransformer) -> None:
    own = losses.GISTEmbedLoss(model, guide).get_config_dict()
    assert own == {
        "guide": guide.name,
        "temperature": 0.01,
        "margin_strategy": "absolute",
        "margin": 0.0,
        "contrast_anchors": True,
        "contrast_positives": True,
        "gather_across_devices": False,
    }
    cached = losses.CachedGISTEmbedLoss(model, guide, mini_batch_num_tokens=9).get_config_dict()
    assert cached == own | {"mini_batch_size": 32, "mini_batch_num_tokens": 9}
