"""One run of reproduction.py, in a process of its own: trains one model, evaluates it, writes its scores.

    python reproduction_worker.py RUN.json RESULT.json

It speaks to likewise and to sentence-transformers in the same words.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch


def spearman(left: np.ndarray, right: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(left, right).statistic)


def main(run_file: str, result_file: str) -> None:
    torch.set_num_threads(1)  # two runs at once use two cores better than one run does
    run: dict[str, Any] = json.loads(Path(run_file).read_text(encoding="utf-8"))
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    package: Any
    losses: Any
    models: Any
    if run["library"] == "likewise":
        package, losses, models = map(import_module, ("likewise", "likewise.losses", "likewise.models"))
    else:
        within = "sentence_transformers.sentence_transformer"
        names = ("sentence_transformers", f"{within}.losses", f"{within}.modules")
        package, losses, models = map(import_module, names)
    torch.manual_seed(run["seed"])
    transformer = models.Transformer(run["model"], max_seq_length=128)
    pooling = models.Pooling(transformer.get_embedding_dimension(), run["pooling"])
    model = package.SentenceTransformer(modules=[transformer, pooling], device="cpu")
    data = json.loads(Path(run["data"]).read_text(encoding="utf-8"))
    loss: Any
    if run["task"] == "nli":
        parts = run["concatenation"]
        loss = losses.SoftmaxLoss(
            model,
            model.get_embedding_dimension(),
            3,
            concatenation_sent_rep="u,v" in parts,
            concatenation_sent_difference="|u-v|" in parts,
            concatenation_sent_multiplication="u*v" in parts,
        )
    else:
        loss = losses.CosineSimilarityLoss(model)
    start = perf_counter()
    with TemporaryDirectory() as scratch:
        arguments = package.SentenceTransformerTrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=16,
            num_train_epochs=run["epochs"],
            learning_rate=run["learning_rate"],
            warmup_steps=0.1,
            bf16=True,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            report_to="none",
            seed=run["seed"],
        )
        trainer = package.SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(data["train"]), loss=loss
        )
        output = trainer.train()
    told = {name: value for name, value in run.items() if name not in ("model", "data")}
    result: dict[str, Any] = {"run": told, "loss": output.training_loss, "seconds": perf_counter() - start}
    for name in ("dev", "test"):
        part = data[name]
        left, right = (
            torch.nn.functional.normalize(model.encode(part[side], convert_to_tensor=True).float(), dim=1)
            for side in ("sentence1", "sentence2")
        )
        result[name] = 100 * spearman((left * right).sum(1).numpy(), np.array(part["score"]))
    Path(result_file).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
