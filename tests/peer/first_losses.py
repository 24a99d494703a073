"""The losses of the first steps of a training, by likewise or by sentence-transformers: the same words for both.

Run at the root of the checkout, with the Python of an environment that holds the library:
    python -m tests.peer.first_losses LIBRARY MODEL_FOLDER DATA.json RESULT.json
"""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

STEPS = 50
BATCH_SIZE = 8
OBJECTIVES = {  # name → the data that it is trained on
    "SoftmaxLoss": "classed",
    "CosineSimilarityLoss": "scored",
    "TripletLoss": "triplets",
    "MultipleNegativesRankingLoss": "triplets",
}


def first_losses(library: str, folder: str, data: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, list[float]]:
    """By objective the losses of the first steps, in float32, without dropout (the folder's config.json)."""
    import torch
    from datasets import Dataset

    package: Any
    losses: Any
    models: Any
    if library == "likewise":
        package, losses, models = map(import_module, ("likewise", "likewise.losses", "likewise.models"))
    else:
        within = "sentence_transformers.sentence_transformer"
        names = ("sentence_transformers", f"{within}.losses", f"{within}.modules")
        package, losses, models = map(import_module, names)
    found = {}
    for name, kind in OBJECTIVES.items():
        transformer = models.Transformer(folder)
        pooling = models.Pooling(transformer.get_embedding_dimension())
        model = package.SentenceTransformer(modules=[transformer, pooling], device="cpu")
        torch.manual_seed(3)
        classes = (model.get_embedding_dimension(), 3) if name == "SoftmaxLoss" else ()
        loss = getattr(losses, name)(model, *classes)
        callbacks: list[Any] = []
        if library != "likewise":
            from transformers import TrainerCallback

            class Clears(TrainerCallback):  # type: ignore[misc]
                """6.2.0 clears the gradients of the model after each step, and never those of a loss's own weights."""

                def on_step_end(self, *given: Any, loss: Any = loss, **others: Any) -> None:
                    loss.zero_grad()

            callbacks = [Clears]
        with TemporaryDirectory() as scratch:
            arguments = package.SentenceTransformerTrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=BATCH_SIZE,
                num_train_epochs=1,
                warmup_steps=0.1,
                learning_rate=2e-5,
                weight_decay=0.01,
                max_grad_norm=0.0,  # 6.2.0 leaves a loss's own weights out of the norm and does not clip them
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                seed=12,
            )
            rows = Dataset.from_dict(dict(data[kind]))
            trainer = package.SentenceTransformerTrainer(
                model=model, args=arguments, train_dataset=rows, loss=loss, callbacks=callbacks
            )
            trainer.train()
        found[name] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return found


if __name__ == "__main__":
    library, folder, data_file, result_file = sys.argv[1:]
    data = json.loads(Path(data_file).read_text(encoding="utf-8"))
    Path(result_file).write_text(json.dumps(first_losses(library, folder, data)), encoding="utf-8")
