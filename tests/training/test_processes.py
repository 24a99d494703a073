"""Two processes on one machine train as one process with batches twice as large."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.conftest import scored_pairs

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from likewise import SentenceTransformer, SentenceTransformerTrainer, losses, models
from tests.training.test_trainer import arguments, evaluator, weights, without_dropout

torch.set_num_threads(1)
folder, output, result, kind, batch_size = sys.argv[1:]
model = SentenceTransformer(modules=[models.Transformer(folder), models.Pooling(32)], device="cpu", dtype="float32")
without_dropout(model)
pairs = json.loads(Path(output).with_suffix(".json").read_text())
if kind == "MultipleNegativesRankingLoss":
    del pairs["score"]
    loss = losses.MultipleNegativesRankingLoss(model, gather_across_devices=True)
else:
    loss = losses.CosineSimilarityLoss(model)
args = arguments(
    output, per_device_train_batch_size=int(batch_size), learning_rate=0.01, adam_epsilon=1e-3, logging_steps=1,
    save_strategy="epoch", eval_strategy="epoch",
)
trainer = SentenceTransformerTrainer(model, args, pairs, pairs, loss, evaluator())
trainer.train()
if trainer.accelerator.is_main_process:
    torch.save({"weights": weights(model), "log": json.dumps(trainer.state.log_history)}, result)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train(
    folder: Path, tmp_path: Path, name: str, kind: str, processes: int, batch_size: int
) -> dict[str, torch.Tensor]:
    """The weights that so many processes come to."""
    result = tmp_path / f"{name}.pt"
    port = str(free_port())
    running = []
    for rank in range(processes):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        if processes > 1:
            places = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            environment |= places | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        arguments = [str(folder), str(tmp_path / "output"), str(result), kind, str(batch_size)]
        command = [sys.executable, "-c", SCRIPT, *arguments]
        running.append(subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment))
    assert [process.wait(120) for process in running] == [0] * processes
    found: dict[str, torch.Tensor] = torch.load(result, weights_only=True)["weights"]
    return found


@pytest.mark.parametrize("kind", ["CosineSimilarityLoss", "MultipleNegativesRankingLoss"])
def test_two_processes_are_one_with_twice_the_batch(kind: str, tiny_folder: Path, tmp_path: Path) -> None:
    import json

    (tmp_path / "output.json").write_text(json.dumps(scored_pairs(24)), encoding="utf-8")
    one = train(tiny_folder, tmp_path, "one", kind, 1, 8)
    two = train(tiny_folder, tmp_path, "two", kind, 2, 4)
    moved = max(float((two[name] - one[name]).abs().max()) for name in one)
    assert moved < 1e-5
