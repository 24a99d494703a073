"""A run that was stopped goes on to the same weights, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from likewise import SentenceTransformer, SentenceTransformerTrainer
from likewise.losses import CosineSimilarityLoss, SoftmaxLoss
from likewise.training import checkpoints
from tests.training.conftest import classed_pairs, scored_pairs
from tests.training.test_trainer import arguments, weights

NewModel = Callable[[], SentenceTransformer]


def run(
    model: SentenceTransformer, folder: Path, resume: bool = False, stop: int | None = None, **changes: Any
) -> tuple[dict[str, torch.Tensor], SentenceTransformerTrainer]:
    """Train on two data sets with dropout, a head and a schedule; ``stop`` breaks off after so many steps."""
    torch.manual_seed(5)
    head = SoftmaxLoss(model, 32, 3)
    losses = {"nli": head, "sts": CosineSimilarityLoss(model)}
    settings = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 1, "logging_steps": 2}
    args = arguments(folder, **(settings | {"learning_rate": 1e-3, "gradient_accumulation_steps": 2} | changes))
    data = {"nli": classed_pairs(18), "sts": scored_pairs(14)}

    class Stop:
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            control.should_training_stop |= state.global_step == stop

    trainer = SentenceTransformerTrainer(model, args, data, loss=losses, callbacks=[Stop])
    trainer.train(resume_from_checkpoint=resume or None)
    own = {f"head.{name}": p.detach().clone() for name, p in head.classifier.named_parameters()}
    return weights(model) | own, trainer


@pytest.mark.parametrize("stop", [1, 4, 5, 11])
def test_stopped_at_any_step_it_goes_on_as_if_never_stopped(stop: int, new_model: NewModel, tmp_path: Path) -> None:
    expected, whole = run(new_model(), tmp_path / "whole")
    assert whole.state.global_step == 15
    run(new_model(), tmp_path / "parts", stop=stop)
    random.seed()
    torch.manual_seed(random.randrange(10**6))  # the state of the generators comes from the checkpoint
    actual, resumed = run(new_model(), tmp_path / "parts", resume=True)
    for name, weight in expected.items():
        assert torch.equal(actual[name], weight), name

    def losses(trainer: SentenceTransformerTrainer) -> list[float]:
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    assert losses(resumed) == losses(whole)


def test_another_run_is_not_resumed(new_model: NewModel, tmp_path: Path) -> None:
    run(new_model(), tmp_path, stop=2)
    with pytest.raises(ValueError, match="is of another run: per_device_train_batch_size was 4, now it is 2"):
        run(new_model(), tmp_path, resume=True, per_device_train_batch_size=2)
    with pytest.raises(ValueError, match="seed was 42, now it is 7"):
        run(new_model(), tmp_path, resume=True, seed=7)


def test_nothing_to_resume_from(new_model: NewModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        run(new_model(), tmp_path, resume=True)
    run(new_model(), tmp_path, stop=1, save_only_model=True)
    with pytest.raises((FileNotFoundError, ValueError), match="cannot be resumed from"):
        run(new_model(), tmp_path, resume=True)


def test_a_damaged_checkpoint_is_told(new_model: NewModel, tmp_path: Path) -> None:
    run(new_model(), tmp_path, stop=1)
    file = tmp_path / "checkpoint-1" / checkpoints.TENSORS
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"training_state.pt is damaged .*; resume from another checkpoint"):
        run(new_model(), tmp_path, resume=True)


SCRIPT = """
import sys
from pathlib import Path
from likewise import SentenceTransformer, models
from tests.training.test_resume import run
import torch
torch.set_num_threads(1)
model = SentenceTransformer(
    modules=[models.Transformer(sys.argv[1]), models.Pooling(32)], device="cpu", dtype="float32"
)
found, _ = run(model, Path(sys.argv[2]), resume=sys.argv[3] == "resume")
torch.save(found, sys.argv[4])
"""


def test_killed_at_random_moments(tiny_folder: Path, tmp_path: Path) -> None:
    """SIGKILL, again and again, until the run is through: the weights are those of a run that nobody disturbed."""

    def start(folder: str, how: str, result: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", SCRIPT, str(tiny_folder), str(tmp_path / folder), how, str(tmp_path / result)]
        return subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ | {"OMP_NUM_THREADS": "1"})

    assert start("whole", "new", "whole.pt").wait() == 0
    draw = random.Random(time.time_ns())
    killed = 0
    while True:
        found = checkpoints.checkpoints_in(str(tmp_path / "parts"))
        process = start("parts", "resume" if found else "new", "parts.pt")
        newest = found[-1].name if found else ""
        while killed < 3 and process.poll() is None:  # wait until it has got somewhere, then a little longer
            now = checkpoints.checkpoints_in(str(tmp_path / "parts"))
            if now and now[-1].name != newest:
                time.sleep(draw.uniform(0, 0.1))
                process.send_signal(signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.005)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
    expected, actual = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "parts.pt"))
    assert killed
    for name, weight in expected.items():
        assert torch.equal(actual[name], weight), name
    assert not list((tmp_path / "parts").glob(".checkpoint-*.part"))
