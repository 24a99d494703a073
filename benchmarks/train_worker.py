"""One contestant of train.py, in a process of its own: makes its model and loss once, then trains a while when told.

    python train_worker.py LIBRARY PRECISION MODEL_FOLDER PAIRS.json BATCH_SIZE

It says in a line of JSON what it is, and answers each line "train" with the seconds that the steps took, from the
beginning of the first to the end of the last, and with their mean loss.
"""

import json
import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

ANSWERS, sys.stdout = sys.stdout, sys.stderr  # Transformers prints the figures of a training


def main(library: str, precision: str, folder: str, pairs_file: str, batch_size: str) -> None:
    import torch
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    pairs = Dataset.from_dict(json.loads(Path(pairs_file).read_text(encoding="utf-8")))
    if library == "likewise":
        names = ("likewise", "likewise.losses", "likewise.training.callbacks")
    else:
        names = ("sentence_transformers", "sentence_transformers.sentence_transformer.losses", "transformers")
    package, losses, callbacks = (import_module(name) for name in names)
    model = package.SentenceTransformer(folder, device="cpu")
    loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), 3)

    class Clock(callbacks.TrainerCallback):  # type: ignore[misc, name-defined]
        """From the first step's beginning to the last one's end: what comes before is done once a run."""

        started = ended = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self.started = self.started or perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self.ended = perf_counter()

    say(
        versions={name: version(name) for name in (library, "torch", "accelerate")},
        threads=torch.get_num_threads(),
    )
    for _ in sys.stdin:
        with TemporaryDirectory() as scratch:
            clock = Clock()
            arguments = package.SentenceTransformerTrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=int(batch_size),
                num_train_epochs=1,
                bf16=precision == "bfloat16",
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                report_to="none",
            )
            trainer = package.SentenceTransformerTrainer(
                model=model, args=arguments, train_dataset=pairs, loss=loss, callbacks=[clock]
            )
            mean = trainer.train().training_loss
        say(seconds=clock.ended - clock.started, loss=mean)


def say(**facts: object) -> None:
    print(json.dumps(facts), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
