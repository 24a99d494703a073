"""The head of a cross-encoder, in the precision in which it scores."""

import pytest
import torch

from likewise.checkpoint.classification import HeadSettings
from likewise.network.classification_head import ClassificationHead


@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16], ids=str)
def test_scores_are_not_rounded_where_products_are_in_bfloat16(given: torch.dtype) -> None:
    torch.manual_seed(0)
    settings = HeadSettings(
        hidden=32, labels=1, activation="torch.nn.modules.activation.Tanh", first_dropout=0, dropout=0
    )
    head = ClassificationHead(settings).eval()
    vectors = torch.randn(200, 32).to(given)
    with torch.inference_mode():
        expected = head(vectors.float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = head(vectors)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=0)
