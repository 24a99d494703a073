"""The accuracy of a loss's classifier, on the embeddings that encode gives."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from likewise import SentenceTransformer, models
from likewise.evaluation import LabelAccuracyEvaluator
from likewise.losses import SoftmaxLoss
from likewise.readers import InputExample
from tests.tiny_checkpoints import tiny_encoder

WORDS = ["tea", "rain", "kettle", "train", "river", "station", "winter", "bridge"]


def test_the_share_of_pairs_whose_class_is_found(tmp_path: Path) -> None:
    parts: list[models.Module] = [models.Transformer(tiny_encoder(tmp_path / "tiny")), models.Pooling(32)]
    model = SentenceTransformer(modules=parts, dtype="float32", device="cpu")
    loss = SoftmaxLoss(model, num_labels=3, concatenation_sent_multiplication=True)
    examples = [
        InputExample(texts=[f"the {word} is late", f"a {other}"], label=(place + step) % 3)
        for place, word in enumerate(WORDS)
        for step, other in enumerate(WORDS[:4])
    ]
    u, v = (model.encode([example.texts[side] for example in examples]).astype(np.float64) for side in (0, 1))
    weight, bias = (value.detach().double().numpy() for value in loss.classifier.parameters())
    logits = np.concatenate([u, v, abs(u - v), u * v], axis=1) @ weight.T + bias
    right = np.mean(logits.argmax(axis=1) == [example.label for example in examples])
    assert 0 < right < 1

    loss.train()
    loader: Any = DataLoader(examples, batch_size=5)  # type: ignore[arg-type]
    for rows in (examples, loader):
        evaluator = LabelAccuracyEvaluator(rows, softmax_model=loss, name="nli")
        assert evaluator(model) == {"nli_accuracy": right}
        assert evaluator.primary_metric == "nli_accuracy"
    assert all(parameter.grad is None for parameter in loss.parameters())
    assert torch.is_grad_enabled()
