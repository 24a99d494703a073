"""A run with a LoRA adapter: only it and the heads learn, and it goes on bit for bit after a stop."""

from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig

from likewise import SentenceTransformer, models
from tests.training.test_resume import run
from tests.training.test_trainer import weights


def adapted(folder: Path) -> SentenceTransformer:
    torch.manual_seed(2)
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32), models.Dense(32, 32)]
    model = SentenceTransformer(modules=modules, device="cpu", dtype="float32")
    model.add_adapter(LoraConfig(r=4, target_modules=["query", "value"], lora_dropout=0.1))
    return model


def test_a_run_with_an_adapter_goes_on_as_if_never_stopped(tiny_folder: Path, tmp_path: Path) -> None:
    before = weights(adapted(tiny_folder))
    expected, whole = run(adapted(tiny_folder), tmp_path / "whole", num_train_epochs=1)
    moved = {name for name, weight in before.items() if not torch.equal(weight, expected[name])}
    assert moved == {name for name in before if "lora_" in name or "heads" in name}
    run(adapted(tiny_folder), tmp_path / "parts", stop=2, num_train_epochs=1)
    torch.manual_seed(99)
    model = adapted(tiny_folder)
    actual, _ = run(model, tmp_path / "parts", resume=True, num_train_epochs=1)
    for name, weight in expected.items():
        assert torch.equal(actual[name], weight), name
    texts = ["the kettle boils .", "tea"]
    saved = SentenceTransformer(
        tmp_path / "parts" / f"checkpoint-{whole.state.global_step}", device="cpu", dtype="float32"
    )
    np.testing.assert_allclose(saved.encode(texts), model.encode(texts), atol=1e-5)
