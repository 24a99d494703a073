"""Dropout: where Transformers has it, in training only."""

from pathlib import Path
from typing import Any

import pytest
import torch

from likewise.network.dropout import Dropout, dropped
from likewise.network.encoder import Encoder
from tests.network.batches import packed, random_texts
from tests.network.twins import load_ours, load_theirs, their_token_vectors, token_vectors
from tests.tiny_checkpoints import MODEL_TYPES, tiny_encoder

TEXTS = random_texts([9, 9, 4], seed=0, ids=range(5, 100))


def changes(model_type: str, dropout: float, attention_dropout: float) -> dict[str, Any]:
    if model_type == "distilbert":
        return {"dropout": dropout, "attention_dropout": attention_dropout}
    if model_type == "modernbert":
        return {"embedding_dropout": dropout, "mlp_dropout": dropout, "attention_dropout": attention_dropout}
    return {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": attention_dropout}


def two_passes_agree(encoder: Encoder) -> bool:
    torch.manual_seed(0)
    with torch.no_grad():
        first, second = (torch.cat(token_vectors(encoder, packed(TEXTS))) for _ in range(2))
    return torch.equal(first, second)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(("dropout", "attention_dropout"), [(0.1, 0.1), (0.5, 0.0), (0.0, 0.5)])
def test_it_is_on_in_training_and_off_otherwise(
    tmp_path: Path, model_type: str, dropout: float, attention_dropout: float
) -> None:
    encoder = load_ours(tiny_encoder(tmp_path, model_type, **changes(model_type, dropout, attention_dropout)))
    assert two_passes_agree(encoder)  # a network is built for inference
    encoder.train()
    assert not two_passes_agree(encoder)
    encoder.eval()
    assert two_passes_agree(encoder)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_training_without_dropout_computes_what_inference_does(tmp_path: Path, model_type: str) -> None:
    encoder = load_ours(tiny_encoder(tmp_path, model_type, **changes(model_type, 0.0, 0.0)))
    with torch.no_grad():
        expected = torch.cat(token_vectors(encoder, packed(TEXTS)))
        torch.testing.assert_close(torch.cat(token_vectors(encoder.train(), packed(TEXTS))), expected)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_it_stands_where_transformers_has_it(tmp_path: Path, model_type: str) -> None:
    # Dropout of everything is not random: what is left shows the places that it did not reach.
    folder = tiny_encoder(tmp_path, model_type, **changes(model_type, 1.0, 0.0))
    with torch.no_grad():
        ours = token_vectors(load_ours(folder).train(), packed(TEXTS))
        theirs = load_theirs(folder).train()
        for actual, text in zip(ours, TEXTS, strict=True):
            torch.testing.assert_close(actual, their_token_vectors(theirs, text), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("chance", [0.1, 0.5, 0.997])
@pytest.mark.parametrize("shape", [(999_999,), (3, 7, 50_001)])  # no multiples of four
def test_it_drops_as_many_as_it_is_told_and_scales_up_the_others(
    shape: tuple[int, ...], chance: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values = torch.ones(shape, dtype=dtype, requires_grad=True)
    left = dropped(values, chance)
    assert left.dtype == dtype
    is_kept = left != 0
    assert abs(float((~is_kept).double().mean()) - chance) < 0.002
    torch.testing.assert_close(
        left[is_kept].double(), torch.full_like(left[is_kept].double(), 1 / (1 - chance)), rtol=0.005, atol=0
    )
    left.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, left.detach())  # of ones: what each was multiplied with


def test_what_it_drops_is_independent_from_place_to_place() -> None:
    torch.manual_seed(0)
    is_kept = (dropped(torch.ones(400_000), 0.3) != 0).double() - 0.7
    for apart in (1, 2, 3, 4, 5, 8):  # four places share a draw
        assert abs(float((is_kept[apart:] * is_kept[:-apart]).mean())) < 0.002


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_and_everything_can_be_dropped(chance: float, expected: float) -> None:
    assert dropped(torch.ones(10), chance).tolist() == [expected] * 10
    assert Dropout(chance)(torch.ones(10)).tolist() == [expected] * 10


def test_a_seed_decides_what_is_dropped() -> None:
    def once(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropped(torch.ones(1000), 0.5)

    assert torch.equal(once(3), once(3))
    assert not torch.equal(once(3), once(4))
