"""What all commands share: help, exit codes, errors, pipes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import likewise
from likewise.cli import app
from tests.cli.conftest import Run

COMMANDS = (
    *("encode", "similarity", "search", "rerank", "dedupe", "cluster", "map"),
    *("info", "convert", "export", "evaluate", "train", "augment"),
)
HEAVY = ("torch", "transformers", "numpy", "tokenizers", "huggingface_hub", "pyarrow", "onnx", "onnxruntime")
LIKEWISE = [sys.executable, "-c", "from likewise.cli import main; main()"]


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
from likewise.cli import main
for arguments in ([], {", ".join(f"[{command!r}]" for command in COMMANDS)}):
    try:
        main([*arguments, "--help"])
    except SystemExit as stop:
        assert stop.code == 0
assert "typer" in sys.modules
print([name for name in {HEAVY} if name in sys.modules])
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_holds_an_example_that_is_right(command: str | None, run: Run) -> None:
    finished = run(*([command] if command else []), "--help")
    examples = re.findall(r"^  Example: likewise (\w+) (.+)$", finished.out, re.MULTILINE)
    assert finished.code == 0
    assert examples
    group = typer.main.get_command(app)
    for name, arguments in examples:
        assert command in (None, name)
        group.commands[name].make_context(name, shlex.split(arguments))  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_80_columns(command: str | None, run: Run) -> None:
    finished = run(*([command] if command else []), "--help")
    assert max(map(len, finished.out.splitlines())) <= 80


def test_every_command_has_a_summary_that_is_not_cut(run: Run) -> None:
    out = run("--help").out
    assert all(f"\n  {command} " in out for command in COMMANDS)
    assert "..." not in out.partition("Commands:")[2]


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"likewise {likewise.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--colour"],
        ["enkode"],
        ["encode", "notes.txt"],
        ["encode", "notes.txt", "-o"],
        ["encode", "notes.txt", "-o", "v.npy", "--truncate-dim", "0"],
        ["encode", "notes.txt", "-o", "v.npy", "--token-budget", "many"],
        ["similarity", "one text"],
        ["search", "a question"],
        ["search", "a question", "docs", "--top-k", "0"],
        ["search", "a question", "docs", "--candidates", "9"],
        ["search", "a question", "docs", "--top-k", "9", "--rerank", "model", "--candidates", "8"],
        ["rerank", "a question"],
        ["rerank", "a question", "notes.txt", "--top-k", "0"],
        ["dedupe", "notes.txt", "--threshold", "1.5"],
        ["dedupe", "notes.txt", "-o", "kept.csv"],
        ["dedupe", "notes.txt", "--report", "dropped.txt"],
        ["cluster", "notes.txt", "-o", "clusters.txt"],
        ["cluster", "notes.txt", "--algorithm", "optics"],
        ["cluster", "notes.txt", "--algorithm", "hdbscan", "--clusters", "3"],
        ["map", "notes.txt"],
        ["augment", "pairs.csv"],
        ["augment", "pairs.csv", "-o", "out", "--epochs", "0"],
        ["augment", "pairs.csv", "-o", "out", "--sampling", "random"],
        ["info", "one", "two"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], run: Run) -> None:
    finished = run(*arguments)
    assert finished.code == 2
    assert finished.out == ""
    assert "Error: " in finished.err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "notes.txt"), "notes.txt: Permission denied"),
        (OSError("the disk is gone"), "the disk is gone"),
        (ValueError("no such column\n  it has: text\n"), "no such column; it has: text"),
        (ImportError("needs pyarrow"), "needs pyarrow"),
    ],
)
def test_a_problem_with_the_input_is_one_line_and_ends_with_1(
    error: Exception, line: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("likewise.files.read_texts", fail)
    assert run("similarity", "-") == (1, "", f"likewise: {line}\n")


def test_interrupting_ends_with_130_and_says_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("likewise.files.read_texts", interrupt)
    assert run("similarity", "-") == (130, "", "")


def test_a_mistake_of_ours_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.files.read_texts", None)
    with pytest.raises(TypeError):
        run("similarity", "-")


def test_a_model_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    finished = run("info", tmp_path / "model")
    assert finished.code == 1
    assert finished.out == ""
    assert finished.err.startswith("likewise: no model called ")
    assert finished.err.count("\n") == 1


def test_a_closed_pipe_ends_quietly(minilm_folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [*LIKEWISE, "info", str(minilm_folder)]
    try:
        finished = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=buffered)
    finally:
        os.close(writing)
    assert finished.stderr == b""
