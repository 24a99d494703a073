"""MatryoshkaLoss is a weighted sum of another loss on the first dimensions, whichever loss that is."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from likewise import SentenceTransformer, losses, models
from tests.losses.test_mini_batches import COLUMNS, check_equal, gradients

RANDOM = torch.Generator().manual_seed(0)


def test_it_is_the_weighted_sum_of_parts(model: SentenceTransformer) -> None:
    inner = losses.MultipleNegativesRankingLoss(model)
    loss = losses.MatryoshkaLoss(model, inner, [8, 32, 5], [0.5, 1, 3])
    columns = [torch.randn(6, 32, generator=RANDOM) for _ in range(3)]
    parts = {dim: inner.from_embeddings([F.normalize(c[:, :dim], dim=1) for c in columns]) for dim in (5, 8, 32)}
    torch.testing.assert_close(loss.from_embeddings(columns), 0.5 * parts[8] + parts[32] + 3 * parts[5])
    assert loss.matryoshka_dims == (32, 8, 5)
    assert loss.matryoshka_weights == (1, 0.5, 3)
    assert loss.needs == inner.needs
    assert loss.draws_negatives_from_batch


@pytest.mark.parametrize("kind", ["MultipleNegativesRankingLoss", "GISTEmbedLoss"])
def test_a_cached_loss_within_gives_the_same(kind: str, guide: SentenceTransformer, model: SentenceTransformer) -> None:
    arguments: dict[str, Any] = {"guide": guide, "temperature": 0.1} if "GIST" in kind else {}
    found = []
    for name, cut in ((kind, {}), (f"Cached{kind}", {"mini_batch_size": 5})):
        inner = getattr(losses, name)(model, **arguments, **cut)
        loss = losses.MatryoshkaLoss(model, inner, [32, 16, 4]).eval()
        value = loss(COLUMNS)
        found.append((value.detach(), gradients(model.network, value)))
    torch.testing.assert_close(found[1][0], found[0][0], atol=0, rtol=1e-6)
    check_equal(found[1][1], found[0][1])


def test_texts_are_embedded_once(model: SentenceTransformer) -> None:
    class Counting(losses.CosineSimilarityLoss):
        times = 0

        def embed(self, columns: Any) -> list[torch.Tensor]:
            self.times += 1
            return super().embed(columns)

        def targets(self, columns: Any, labels: Any) -> Any:
            self.times += 10
            return labels

    inner = Counting(model)
    losses.MatryoshkaLoss(model, inner, [32, 16, 4])(COLUMNS[:2], [0.5] * len(COLUMNS[0]))
    assert inner.times == 11


def test_a_teachers_vectors_are_cut_too(model: SentenceTransformer) -> None:
    inner = losses.MSELoss(model)
    teacher = torch.randn(5, 32, generator=RANDOM)
    column = torch.randn(5, 32, generator=RANDOM)
    expected = sum(F.mse_loss(F.normalize(column[:, :dim], dim=1), teacher[:, :dim]) for dim in (32, 7))
    found = losses.MatryoshkaLoss(model, inner, [32, 7]).from_embeddings([column], teacher)
    torch.testing.assert_close(found, torch.as_tensor(expected))


def test_some_dimensions_are_drawn_at_each_step(model: SentenceTransformer) -> None:
    inner = losses.CosineSimilarityLoss(model)
    columns, labels = [torch.randn(4, 32, generator=RANDOM) for _ in range(2)], torch.rand(4, generator=RANDOM)
    singles = [
        losses.MatryoshkaLoss(model, inner, [dim]).from_embeddings(columns, labels).item() for dim in (32, 16, 8)
    ]
    two = losses.MatryoshkaLoss(model, inner, [32, 16, 8], n_dims_per_step=2)
    sums = {round(sum(singles) - left_out, 5) for left_out in singles}
    assert {round(two.from_embeddings(columns, labels).item(), 5) for _ in range(50)} == sums


def test_wrong_losses_and_dimensions_are_told(model: SentenceTransformer, tiny_folder: Any) -> None:
    inner = losses.CosineSimilarityLoss(model)
    of_one_width = [
        losses.SoftmaxLoss(model, num_labels=2),
        losses.MSELoss(model, projection_dim=4),
        losses.DenoisingAutoEncoderLoss(model),
        losses.MatryoshkaLoss(model, inner, [32]),
    ]
    for wrong in of_one_width:
        name = type(wrong).__name__
        with pytest.raises(ValueError, match=rf"cannot hold {name}, which takes embeddings of one width only"):
            losses.MatryoshkaLoss(model, wrong, [32, 16])
    for dims in ([], [0, 8], [33], [-1]):
        with pytest.raises(ValueError, match=r"matryoshka_dims must be one or more numbers from 1 to 32, .* not \["):
            losses.MatryoshkaLoss(model, inner, dims)
    with pytest.raises(ValueError, match="there are 1 matryoshka_weights for 2 matryoshka_dims; give one each"):
        losses.MatryoshkaLoss(model, inner, [32, 8], [1])
    other = SentenceTransformer(modules=[models.Transformer(tiny_folder), models.Pooling(32)], device="cpu")
    with pytest.raises(ValueError, match="CosineSimilarityLoss in it must be made for the same model"):
        losses.MatryoshkaLoss(other, inner, [32])


def test_an_untrained_whole_is_told(model: SentenceTransformer, caplog: pytest.LogCaptureFixture) -> None:
    losses.MatryoshkaLoss(model, losses.CosineSimilarityLoss(model), [8])
    assert "matryoshka_dims lacks 32" in caplog.text


def test_its_weights_are_those_within_each_once(model: SentenceTransformer) -> None:
    inner = losses.MSELoss(model)
    loss = losses.MatryoshkaLoss(model, inner, [32, 8])
    assert {id(weight) for weight in loss.parameters()} == {id(weight) for weight in inner.parameters()}
    assert len(list(loss.parameters())) == len(list(model.parameters()))
    assert loss.get_config_dict() == {
        "loss": "MSELoss",
        "matryoshka_dims": (32, 8),
        "matryoshka_weights": (1, 1),
        "n_dims_per_step": -1,
    }
