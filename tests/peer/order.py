"""In which order sentence-transformers 6.2.0 trains on the rows of data sets: the batches of two epochs, as JSON.

Run at the root of the checkout, with the Python of an environment that holds it:
    python -m tests.peer.order MODEL_FOLDER RESULT.json
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

EPOCHS = 2
BATCH_SIZE = 4
SEEDS = (0, 12)
SINGLE = ("batch_sampler", "no_duplicates", "no_duplicates_hashed")
SEVERAL = ("proportional", "round_robin")
ROWS = 30
PAIRS = {  # many texts are there twice, in one column or in both; the label is the row
    "left": [f"a {row * 7 % 11}" for row in range(ROWS)],
    "right": [f"a {row * 5 % 23}" for row in range(ROWS)],
    "label": list(range(ROWS)),
}
SIZES = {"first": 30, "second": 13}  # rows of several data sets


def batches_trained(folder: str, data: dict[str, Any], **settings: Any) -> list[list[int]]:
    """The labels of each step of a true run."""
    import torch
    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    seen: list[list[int]] = []

    class Watching(torch.nn.Module):
        def __init__(self, model: Any):
            super().__init__()
            self.model = model

        def forward(self, features: Any, labels: torch.Tensor) -> torch.Tensor:
            seen.append(labels.tolist())
            return 0 * next(self.model.parameters()).sum()

    transformer = Transformer(folder)
    model = SentenceTransformer(modules=[transformer, Pooling(transformer.get_embedding_dimension())], device="cpu")
    sets = {name: Dataset.from_dict(columns) for name, columns in data.items()}
    rows = DatasetDict(sets) if len(sets) > 1 else next(iter(sets.values()))
    told = {"save_strategy": "no", "report_to": "none", "disable_tqdm": True, "use_cpu": True}
    with TemporaryDirectory() as scratch:
        args = Arguments(scratch, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH_SIZE, **told, **settings)
        SentenceTransformerTrainer(model=model, args=args, train_dataset=rows, loss=Watching(model)).train()
    return seen


def orders(folder: str) -> dict[str, list[list[int]]]:
    """By "SAMPLER SEED" the rows of each step; by "STRATEGY SEED" too, those of the second data set from 100 on."""
    found = {}
    sets = {
        name: {
            "left": [f"{name} {row}" for row in range(rows)],
            "right": [f"{name} not {row}" for row in range(rows)],
            "label": [100 * place + row for row in range(rows)],
        }
        for place, (name, rows) in enumerate(SIZES.items())
    }
    for seed in SEEDS:
        for sampler in SINGLE:
            found[f"{sampler} {seed}"] = batches_trained(folder, {"": PAIRS}, batch_sampler=sampler, seed=seed)
        for strategy in SEVERAL:
            found[f"{strategy} {seed}"] = batches_trained(folder, sets, multi_dataset_batch_sampler=strategy, seed=seed)
    return found


if __name__ == "__main__":
    folder, result_file = sys.argv[1:]
    Path(result_file).write_text(json.dumps(orders(folder)), encoding="utf-8")
