"""Dropout: where Transformers has it, in training only."""

from pathlib import Path
from typing import Any

import pytest
import torch

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
