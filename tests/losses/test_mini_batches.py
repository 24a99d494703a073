"""The losses named Cached… give the values and gradients of those that are not, and hold one mini-batch at a time."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from likewise import SentenceTransformer, losses
from likewise.losses.columns import column_of, embed_columns
from likewise.losses.mini_batches import mean_in_blocks
from likewise.tokens import TokenBatch
from tests.tiny_checkpoints import WORDS

COUNT = 23  # rows


def texts(shift: int) -> list[str]:
    """Texts of 1 to 5 words."""
    starts = [row + shift for row in range(COUNT)]
    return [" ".join((WORDS * 3)[start : start + 1 + start * 7 % 5]) for start in starts]


COLUMNS = [texts(0), texts(3), texts(11)]
KINDS: dict[str, dict[str, Any]] = {
    "MultipleNegativesRankingLoss": {"directions": ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")},
    "MultipleNegativesSymmetricRankingLoss": {},
    "GISTEmbedLoss": {"temperature": 0.1},
}


def gradients(loss: nn.Module, value: Tensor) -> dict[str, Tensor]:
    loss.zero_grad()
    value.backward()
    found = {name: weight.grad for name, weight in loss.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def check_equal(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert (gradient - other[name]).norm() <= tolerance * max(1e-2, float(other[name].norm())), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [{"mini_batch_size": 5}, {"mini_batch_num_tokens": 30}, {"mini_batch_size": 100}])
def test_cached_is_the_same(
    kind: str, cut: dict[str, int], guide: SentenceTransformer, model: SentenceTransformer
) -> None:
    arguments: dict[str, Any] = KINDS[kind] | ({"guide": guide} if "GIST" in kind else {})
    plain = getattr(losses, kind)(model, **arguments).eval()
    cached = getattr(losses, f"Cached{kind}")(model, **arguments, **cut).eval()
    expected, found = plain(COLUMNS), cached(COLUMNS)
    torch.testing.assert_close(found, expected, atol=0, rtol=1e-6)
    check_equal(gradients(cached, found), gradients(plain, expected))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_second_pass_has_the_masks_and_the_precision_of_the_first(
    precision: str, model: SentenceTransformer
) -> None:
    loss = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5).train()
    columns = [column_of(model, column) for column in COLUMNS]
    found, after = [], []
    for replays in (False, True):
        torch.manual_seed(0)
        # With its cache, all chunks would share one rounded copy of a weight, and so one rounded sum of gradients.
        rounded = torch.autocast("cpu", torch.bfloat16, cache_enabled=False)
        with rounded if precision == "bfloat16" else nullcontext():
            vectors = embed_columns(loss.network, columns, texts_at_once=5, replays=replays)
            value = loss.from_embeddings(vectors)
        after.append(torch.rand(1))  # the generator stands where it would without
        found.append((value.detach(), gradients(loss, value)))
        after.append(torch.rand(1))
    assert torch.equal(found[0][0], found[1][0])
    check_equal(found[1][1], found[0][1], 2e-6)
    assert after[:2] == after[2:]


class Watched(nn.Module):
    """A network that notes how many texts and tokens it is given at once."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.seen: list[tuple[int, int]] = []

    @property
    def device(self) -> Any:
        return self.network.device

    def forward(self, batch: TokenBatch, route: str) -> Tensor:
        self.seen.append((len(batch), len(batch.ids)))
        vectors: Tensor = self.network(batch, route)
        return vectors


def test_a_mini_batch_is_no_larger_than_asked_for(model: SentenceTransformer) -> None:
    cuts: list[tuple[dict[str, Any], tuple[int, int]]] = [
        ({"mini_batch_size": 4}, (4, 4096)),
        ({"mini_batch_num_tokens": 30}, (99, 30)),
    ]
    for cut, limits in cuts:
        rows: list[int] = []

        def similarity(a: Tensor, b: Tensor, rows: list[int] = rows) -> Tensor:
            rows.append(len(a))
            return a @ b.T

        loss: Any = losses.CachedMultipleNegativesRankingLoss(model, 1.0, similarity, **cut)
        loss.network = watched = Watched(loss.network)
        loss(COLUMNS).backward()
        assert max(texts for texts, _ in watched.seen) <= limits[0]
        assert max(tokens for _, tokens in watched.seen) <= limits[1]
        assert sum(texts for texts, _ in watched.seen) == 2 * 3 * COUNT  # each twice
        assert max(rows) <= loss.mini_batch_size
        assert sum(rows) == 2 * COUNT


def nodes(value: Tensor) -> int:
    """How large the graph is that a value holds."""
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


def test_the_network_leaves_one_node_however_many_mini_batches(model: SentenceTransformer) -> None:
    columns = [column_of(model, COLUMNS[0])]
    few, many = (embed_columns(model.network, columns, texts_at_once=size, replays=True)[0] for size in (99, 2))
    assert nodes(few) == nodes(many)
    assert nodes(embed_columns(model.network, columns, texts_at_once=2)[0]) > 5 * nodes(many)


def test_frozen_weights_and_evaluation_need_no_gradient(model: SentenceTransformer) -> None:
    loss = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5).eval()
    expected = loss(COLUMNS).item()
    with torch.no_grad():
        assert loss(COLUMNS).item() == pytest.approx(expected)
    frozen = next(loss.network.parameters()).requires_grad_(False)
    loss(COLUMNS).backward()
    assert frozen.grad is None
    loss.requires_grad_(False)
    assert not loss(COLUMNS).requires_grad


def test_blocks_have_the_mean_of_all() -> None:
    numbers = torch.randn(11, dtype=torch.float64, requires_grad=True)
    for size in (1, 4, 11, 50):
        value = mean_in_blocks(lambda rows: numbers[rows] ** 2, torch.arange(11), size)
        torch.testing.assert_close(value, (numbers**2).mean())
        (gradient,) = torch.autograd.grad(value, numbers)
        torch.testing.assert_close(gradient, 2 / 11 * numbers.detach())


def test_progress_is_told_when_asked_for(model: SentenceTransformer, capsys: pytest.CaptureFixture[str]) -> None:
    losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5)(COLUMNS)
    assert capsys.readouterr().err == ""
    losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5, show_progress_bar=True)(COLUMNS)
    told = capsys.readouterr().err
    assert "Embedding: 100%" in told
    assert "Calculating loss: 100%" in told


@pytest.mark.parametrize("kind", ["CachedMultipleNegativesRankingLoss", "CachedGISTEmbedLoss"])
def test_mini_batches_of_nothing_are_refused(kind: str, guide: SentenceTransformer, model: SentenceTransformer) -> None:
    arguments: dict[str, Any] = {"guide": guide} if "GIST" in kind else {}
    with pytest.raises(ValueError, match="mini_batch_size must be at least 1, not 0"):
        getattr(losses, kind)(model, **arguments, mini_batch_size=0)
    with pytest.raises(ValueError, match="mini_batch_num_tokens must be at least 1, or None, not -3"):
        getattr(losses, kind)(model, **arguments, mini_batch_num_tokens=-3)
