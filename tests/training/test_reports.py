"""What a run tells on standard error: one line that changes on a terminal, lines elsewhere."""

import io
import pty
import re
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from likewise import SentenceTransformer, SentenceTransformerTrainer, losses
from likewise import SentenceTransformerTrainingArguments as Arguments
from likewise.training.callbacks import TrainerControl, TrainerState
from likewise.training.reports import ProgressCallback, rows_called
from tests.training.conftest import scored_pairs
from tests.training.test_trainer import evaluator

NewModel = Callable[[], SentenceTransformer]


class Terminal(io.StringIO):
    """Standard error as a person sees it, on 80 columns."""

    def __init__(self) -> None:
        super().__init__()
        _, self.number = pty.openpty()
        termios.tcsetwinsize(self.number, (24, 80))

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return True


def told(model: SentenceTransformer, folder: Path, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a run of ten steps, evaluated at the start and after each five, writes to ``stderr``."""
    args = Arguments(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        max_steps=10,
        logging_steps=5,
        eval_strategy="steps",
        eval_on_start=True,
        save_strategy="no",
        metric_for_best_model="dev_spearman_cosine",
        use_cpu=True,
    )
    pairs = scored_pairs(20)
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", stderr)
        SentenceTransformerTrainer(
            model, args, pairs, loss=losses.CosineSimilarityLoss(model), evaluator=evaluator()
        ).train()
    return stderr.getvalue()


def test_elsewhere_each_log_and_each_evaluation_is_a_line(
    model: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told(model, tmp_path, io.StringIO(), monkeypatch)
    score = r"dev_spearman_cosine -?\d\.\d{4}"
    expected = [f"step 0 of 10, evaluation: {score}"]
    for step, epoch in ((5, "1.00"), (10, "2.00")):
        log = r"loss \d\.\d{4}, lr \d\.\de-0\d, [\d,]+ pairs/s, \d\d:\d\d left"
        expected += [f"step {step} of 10, epoch {epoch}: {log}", f"step {step} of 10, evaluation: {score}"]
    assert re.fullmatch("\n".join(expected) + "\n", text), text


def test_on_a_terminal_one_line_holds_it_all(
    model: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told(model, tmp_path, Terminal(), monkeypatch)
    lines = [part.rstrip() for part in re.split(r"[\r\n]", text)]
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if re.fullmatch(r"\s*0%\|.+, evaluating", line)], "before the first step"
    whole = r"\s*50%\|.+\| 5/10 \d\d:\d\d<\d\d:\d\d, loss \d\.\d{4}, [\d,]+ pairs/s, eval -?\d\.\d{4}, lr \d\.\de-05"
    assert [line for line in lines if re.fullmatch(whole, line)], text
    above = [line for line in lines if line.startswith("step")]
    assert [line.partition(",")[0] for line in above] == ["step 0 of 10", "step 5 of 10", "step 10 of 10"]
    assert text.endswith("\n")


def test_a_run_that_goes_on_begins_where_it_was(
    new_model: NewModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"output_dir": str(tmp_path), "per_device_train_batch_size": 4, "max_steps": 4, "use_cpu": True}
    for resumes, stderr in ((False, io.StringIO()), (True, Terminal())):
        model = new_model()
        args = Arguments(**settings, save_steps=3, logging_steps=1)  # type: ignore[arg-type]
        monkeypatch.setattr(sys, "stderr", stderr)
        trainer = SentenceTransformerTrainer(model, args, scored_pairs(8), loss=losses.CosineSimilarityLoss(model))
        folder = str(tmp_path / "checkpoint-3")
        trainer.train(resume_from_checkpoint=folder if resumes else None)
    first = stderr.getvalue().split("\r")[1]
    assert re.match(r" 75%\|.+\| 3/4 ", first)


def test_the_speed_is_that_of_the_steps_and_the_time_left_that_of_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("likewise.training.reports.time.perf_counter", lambda: now)
    callback = ProgressCallback(8, "pairs")
    args, state, control = Arguments(use_cpu=True), TrainerState(max_steps=10), TrainerControl()
    callback.on_train_begin(args, state, control)
    for _ in range(4):
        now += 20  # an evaluation
        callback.on_step_begin(args, state, control)
        now += 2
        state.global_step += 1
        callback.on_step_end(args, state, control)
    callback.on_log(args, state, control, {"loss": 0.25, "learning_rate": 2e-5})
    # 8 rows in 2 seconds; 4 steps in 3 * 22 + 2 seconds, and 6 are left
    assert capsys.readouterr().err == "step 4 of 10, epoch 0.00: loss 0.2500, lr 2.0e-05, 4 pairs/s, 01:42 left\n"


def test_rows_are_called_what_they_are() -> None:
    columns: list[set[int]] = [{1}, {2}, {3}, {5}, {2, 3}, set()]
    assert [rows_called(found) for found in columns] == ["texts", "pairs", "triplets", "rows", "rows", "rows"]
