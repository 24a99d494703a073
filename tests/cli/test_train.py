"""likewise train: a run from flags or a file, what it prints and keeps, and how it stops and goes on."""

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import SentenceTransformer
from likewise.training.health import Watch
from tests.cli.conftest import Finished, Run
from tests.tiny_checkpoints import tiny_encoder
from tests.training.conftest import classed_pairs, scored_pairs

LINE = r"step \d+ of 3, epoch \d\.\d\d: loss \d\.\d{4}, lr \d\.\de-05, [\d,]+ pairs/s, \d\d:\d\d left"
SCORE = r"-?\d\.\d{4}"
RUN = """
model = "base"
output = "out"

[[data]]
path = "scored.csv"
loss = "CoSENTLoss"
loss_arguments = {scale = 10}

[[data]]
path = "classes.jsonl"
name = "the classes"
columns = ["hypothesis", "premise"]
label = "label"
loss = "SoftmaxLoss"

[[evaluation]]
path = "scored.csv"
name = "dev"

[[evaluation]]
path = "triplets.tsv"

[arguments]
num_train_epochs = 1
learning_rate = 1e-3
logging_steps = 4
multi_dataset_batch_sampler = "round_robin"
"""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a model and data; so small a model computes fastest in one thread."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "base").symlink_to(base)
    pairs = scored_pairs(24)
    write(tmp_path / "scored.csv", pairs)
    write(tmp_path / "stars.csv", {**pairs, "score": [4 * float(str(score)) + 1 for score in pairs["score"]]})
    classes = classed_pairs(24)
    rows = [dict(zip(classes, values, strict=True)) for values in zip(*classes.values(), strict=True)]
    (tmp_path / "classes.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    texts = pairs["sentence1"]
    write(tmp_path / "triplets.tsv", {"anchor": texts, "positive": pairs["sentence2"], "negative": texts[::-1]}, "\t")
    (tmp_path / "run.toml").write_text(RUN, encoding="utf-8")
    yield tmp_path
    torch.set_num_threads(threads)


def write(path: Path, columns: Mapping[str, Sequence[object]], separator: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def train(
    run: Run,
    *changes: object,
    data: str = "scored.csv",
    loss: str = "CosineSimilarityLoss",
    output: str = "out",
    terminal: bool = False,
) -> Finished:
    flags = ("--model", "base", "--data", data, "--loss", loss, "-o", output, "--epochs", 1)
    return run("train", *flags, *changes, terminal=terminal)


def arguments_of(step: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"out/checkpoint-{step}/training_arguments.json").read_text())
    return found


def test_programs_get_one_line_a_score(run: Run, folder: Path) -> None:
    finished = train(run, "--evaluate", "scored.csv")
    assert finished.code == 0
    lines = [f"scored_{kind}_cosine\t{SCORE}\t{SCORE}" for kind in ("pearson", "spearman")]
    lines += ["steps\t3", r"seconds\t\d+\.\d{4}", "model\tout/final", "curves\tout/curves.png"]
    assert re.fullmatch("\n".join(lines) + "\n", finished.out)
    told = [f"step {step} of 3, evaluation: scored_spearman_cosine {SCORE}" for step in range(4)]
    logs = [LINE.replace(r"step \d+", f"step {step}") for step in range(1, 4)]
    expected = [told[0], *(line for pair in zip(logs, told[1:], strict=True) for line in pair)]
    assert re.fullmatch("\n".join(expected) + "\n", finished.err)


def test_people_read_a_table(run: Run, folder: Path) -> None:
    finished = train(run, "--evaluate", "scored.csv", terminal=True)
    expected = [
        "",
        " evaluation               before    after",
        " ────────────────────────────────────────",
        f" scored_pearson_cosine    {SCORE}   {SCORE}",
        f" scored_spearman_cosine   {SCORE}   {SCORE}",
        "",
        r"3 steps in \d+\.\d seconds; the best evaluation was after step [123]",
        "model   out/final",
        "curves  out/curves.png",
    ]
    lines = [line.rstrip() for line in finished.out.splitlines()]
    assert re.fullmatch("\n".join(expected), "\n".join(lines)), finished.out


def test_the_model_is_kept_whole(run: Run, folder: Path) -> None:
    assert train(run, "--evaluate", "scored.csv", "--learning-rate", 0.01).code == 0
    trained, before = SentenceTransformer("out/final"), SentenceTransformer("base")
    assert not np.allclose(trained.encode(["the kettle"]), before.encode(["the kettle"]), atol=1e-3)
    card = Path("out/final/README.md").read_text(encoding="utf-8")
    assert "CosineSimilarityLoss" in card
    assert "scored" in card
    assert Path("out/curves.png").read_bytes().startswith(b"\x89PNG")
    kept = arguments_of(3)
    assert kept["learning_rate"] == 0.01
    assert kept["load_best_model_at_end"]
    assert kept["metric_for_best_model"] == "scored_spearman_cosine"


@pytest.mark.filterwarnings("ignore::likewise.training.health.TrainingWarning")  # the run is to go wrong
def test_the_scores_are_those_of_the_best_model(run: Run, folder: Path) -> None:
    out = train(run, "--evaluate", "scored.csv", "--epochs", 4, "--learning-rate", 0.1).out
    log = json.loads(Path("out/checkpoint-12/trainer_state.json").read_text())["log_history"]
    scores = {entry["step"]: entry["eval_scored_spearman_cosine"] for entry in log if "eval_runtime" in entry}
    first, *later = scores.values()
    assert max(later) > later[-1], "the run must end worse than it was, for this to tell anything"
    assert f"scored_spearman_cosine\t{first:.4f}\t{max(later):.4f}\n" in out
    evaluated = run("evaluate", "out/final", "--suite", "scored.csv", "--dtype", "float32").out
    # By another engine, which rounds otherwise: vectors of a run as wild as this one are nearly the same.
    assert float(evaluated.splitlines()[0].split("\t")[2]) == pytest.approx(100 * max(later), abs=3)


def test_a_file_describes_the_run(run: Run, folder: Path) -> None:
    finished = run("train", "run.toml")
    assert finished.code == 0, finished.err
    names = [line.split("\t")[0] for line in finished.out.splitlines()]
    assert names[:3] == ["dev_pearson_cosine", "dev_spearman_cosine", "triplets_cosine_accuracy"]
    kept = arguments_of(6)
    assert (kept["learning_rate"], kept["logging_steps"], kept["save_total_limit"]) == (1e-3, 4, 2)
    assert kept["multi_dataset_batch_sampler"] == "round_robin"
    assert kept["metric_for_best_model"] == "dev_spearman_cosine"
    card = Path("out/final/README.md").read_text(encoding="utf-8")
    assert "scored: CoSENTLoss(scale=10" in card
    assert "the classes: SoftmaxLoss" in card
    assert "num_labels=3" in card


def test_flags_come_before_the_file(run: Run, folder: Path) -> None:
    assert run("train", "run.toml", "-o", "other", "--batch-size", 6, "--learning-rate", 1e-4).code == 0
    assert not Path("out").exists()
    kept = json.loads(Path("other/checkpoint-8/training_arguments.json").read_text())
    assert (kept["per_device_train_batch_size"], kept["learning_rate"]) == (6, 1e-4)
    assert kept["multi_dataset_batch_sampler"] == "round_robin"


@pytest.mark.filterwarnings("default::UserWarning")
def test_scores_from_0_to_5_are_warned_of_and_divided_on_request(run: Run, folder: Path) -> None:
    warned = train(run, data="stars.csv").err.splitlines()
    assert warned[0] == (
        "likewise: warning: CosineSimilarityLoss on 'stars' is meant for similarities from 0 to 1 (or -1 to 1), but "
        "the labels go from 1.8 to 5: divide them by 5"
    )
    flags = ("--label-scale", 5, "--label", "score", "--columns", "sentence2,sentence1")
    scaled = train(run, *flags, data="stars.csv", output="scaled")
    assert scaled.code == 0
    assert not [line for line in scaled.err.splitlines() if not re.fullmatch(LINE, line)]


MISTAKES = {
    'colour = "red"': "the file has no key 'colour'; the keys: model, output, data, evaluation, arguments",
    "output = 3": "output in the file must be a text, not 3",
    "[data]\npath = 'a.csv'": "there is nothing to train on; write a table [[data]], with the keys path and loss",
    "[[data]]\npath = 'a.csv'\nloss = 'CoSENTLoss'\ncolums = ['a']": (
        "[[data]] has no key 'colums'; did you mean 'columns'? the keys: path, columns, label, name, subset, split, "
        "loss, loss_arguments, label_scale"
    ),
    "[[data]]\npath = 'a.csv'": (
        "[[data]] lacks the key 'loss'; the keys: path, columns, label, name, subset, split, loss, loss_arguments, "
        "label_scale"
    ),
    "[[data]]\npath = 'a.csv'\nloss = 'CoSENTLoss'\ncolumns = 'a'": (
        "columns in [[data]] must be a list, each a text, not 'a'"
    ),
    "[[data]]\npath = 'a.csv'\nloss = 'CoSENTLoss'\nsplit = 'train'": (
        "a.csv is a file; subset and split are of data sets on the Hub"
    ),
    "[[data]]\npath = 'a.csv'\nloss = 'CoSENTLoss'\nlabel_scale = 0": (
        "label_scale must be above 0, not 0: labels are divided by it"
    ),
    "[[data]]\npath = 'a.csv'\nloss = 'CoSENTLoss'\n[[data]]\npath = 'b/a.tsv'\nloss = 'CoSENTLoss'": (
        "two tables are called 'a'; give each a name of its own"
    ),
    "[arguments]\nlearning_rat = 1": (
        "[arguments]: SentenceTransformerTrainingArguments has no argument 'learning_rat': did you mean learning_rate?"
    ),
    "[arguments]\nlearning_rate = '1e-5'": "learning_rate in [arguments] must be a number, not '1e-5'",
    "[arguments]\noutput_dir = 'out'": "[arguments] has output_dir; write output, at the top, instead",
    "[arguments]\nbf16 = true\nfp16 = true": (
        "bf16 and fp16 exclude each other; bf16 is the safer one where the hardware has it"
    ),
    "model = ": "Invalid value (at line 1, column 9)",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_the_file_is_one_line_that_names_it(text: str, run: Run, folder: Path) -> None:
    top = {"model": "'base'", "output": "'out'"}
    whole = "\n".join(f"{key} = {value}" for key, value in top.items() if not text.startswith(f"{key} ="))
    rest = "" if "data]" in text else "\n[[data]]\npath = 'scored.csv'\nloss = 'CoSENTLoss'\n"
    before = "" if text.startswith("[") else f"{text}\n"
    Path("run.toml").write_text(f"{before}{whole}{rest}\n{'' if before else text}\n", encoding="utf-8")
    finished = run("train", "run.toml")
    assert (finished.code, finished.out, finished.err) == (1, "", f"likewise: run.toml: {MISTAKES[text]}\n")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run.toml", "--data", "a.csv", "--label", "score"], "--data, --label and CONFIG: write it in CONFIG"),
        (["--model", "base", "--loss", "CoSENTLoss"], "without a CONFIG, give --data, --output"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str, run: Run, folder: Path) -> None:
    finished = run("train", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert told in finished.err


def test_mistakes_in_the_data_are_told_before_the_model_is_loaded(run: Run, folder: Path) -> None:
    Path("base").unlink()
    assert train(run, "--columns", "sentence1,sentence3").err == (
        "likewise: scored.csv has no column 'sentence3'; its columns: 'sentence1', 'sentence2', 'score'\n"
    )
    assert train(run, "--evaluate", "dev.csv").err == (
        "likewise: cannot read 'dev.csv': No such file or directory; name a file that exists\n"
    )
    assert train(run).err.startswith("likewise: no model called 'base'")


def test_what_cannot_be_evaluated_or_scaled(run: Run, folder: Path) -> None:
    assert train(run, "--evaluate", "triplets.tsv", "--label-scale", 5, data="triplets.tsv").err == (
        "likewise: triplets.tsv has no labels, but label_scale is given\n"
    )
    write(folder / "no-scores.csv", {"a": ["tea", "rain"], "b": ["the tea", "the rain"]})
    assert train(run, "--evaluate", "no-scores.csv").err == (
        "likewise: no-scores.csv cannot be evaluated with the columns a, b and no label; choose two columns of text "
        "and a label that is a number, or three columns (anchor, positive, negative) without a label\n"
    )


def test_pairs_with_0_and_1_are_evaluated_as_such(run: Run, folder: Path) -> None:
    pairs = scored_pairs(24)
    write(folder / "alike.csv", {**pairs, "score": [int(score == 1.0) for score in pairs["score"]]})
    out = train(run, "--evaluate", "alike.csv", data="alike.csv", loss="ContrastiveLoss").out
    assert re.search(rf"^alike_cosine_ap\t{SCORE}\t{SCORE}$", out, re.MULTILINE)


def test_another_run_is_not_mixed_up_with(run: Run, folder: Path) -> None:
    resumed = train(run, "--resume")
    assert resumed.err == "likewise: there is no checkpoint in out to go on from; leave out --resume\n"
    assert train(run).code == 0
    again = train(run)
    assert (again.code, again.err) == (
        1,
        "likewise: out holds checkpoint-3 of an earlier run: go on from it with --resume, remove it, or give another "
        "output\n",
    )


def interrupt_after(step: int, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in a step, ``times`` times."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests behind it ignores Ctrl-C
    see = Watch.see

    def interrupted(watch: Watch, now: int, loss: float) -> None:
        see(watch, now, loss)
        for _ in range(times if now == step else 0):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Watch, "see", interrupted)


def test_ctrl_c_keeps_a_checkpoint_from_which_the_run_goes_on(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(run, "--epochs", 4, "--evaluate", "scored.csv").code == 0
    whole = Path("out/final/model.safetensors").read_bytes()
    scores = Path("out/eval/similarity_evaluation_scored_results.csv").read_text()
    Path("out").rename("whole")
    with monkeypatch.context() as context:
        interrupt_after(5, 1, context)
        stopped = train(run, "--epochs", 4, "--evaluate", "scored.csv")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == (
        "likewise: stopped after step 5 of 12; out/checkpoint-5 is kept: the same command with --resume goes on from it"
    )
    assert not Path("out/final").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = train(run, "--epochs", 4, "--evaluate", "scored.csv", "--resume")
    assert resumed.code == 0
    assert "steps\t7\n" in resumed.out
    assert Path("out/final/model.safetensors").read_bytes() == whole
    assert Path("out/eval/similarity_evaluation_scored_results.csv").read_text() == scores


def test_a_second_ctrl_c_stops_at_once(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(2, 2, monkeypatch)
    stopped = train(run, "--epochs", 8)
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1] == "likewise: stopped before the first checkpoint; nothing is kept"


def test_a_loss_that_is_no_number_is_one_line(run: Run, folder: Path) -> None:
    finished = train(run, "--learning-rate", 1e30)
    assert finished.code == 1
    assert finished.out == ""
    assert re.match(r"likewise: in step \d, the (loss|gradient) became (nan|inf)", finished.err.splitlines()[-1])


def test_the_file_in_the_guide_is_right(tmp_path: Path) -> None:
    from likewise.training.configuration import read_configuration

    guide = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
    (block,) = re.findall(r"^```toml\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "run.toml").write_text(block, encoding="utf-8")
    run = read_configuration(tmp_path / "run.toml")
    assert [source.title for source in run.data] == ["questions", "stsb"]
    assert [source.is_file for source in run.data] == [True, False]
    arguments = run.training_arguments("sts-dev_spearman_cosine")
    assert (arguments.save_steps, arguments.metric_for_best_model) == (0.1, "sts-dev_spearman_cosine")


@pytest.mark.slow
def test_of_two_processes_one_prints(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "likewise.cli", "train"]
    finished = subprocess.run([*launch, "run.toml", "--batch-size", "4"], capture_output=True, text=True, check=True)
    names = [line.split("\t")[0] for line in finished.stdout.splitlines()]
    assert names[3:] == ["steps", "seconds", "model", "curves"]
    assert finished.stderr.count("step 4 of 6,") == 2  # one log, one evaluation
