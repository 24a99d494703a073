"""Commands run in this process, and a model for them whose numbers can be worked out."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from likewise.cli import main
from tests.cli.word_counts import WordCounts


class Finished(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as the shell would, on a terminal of 80 columns or into a pipe."""

    def run(*arguments: object, stdin: str = "", terminal: bool = False) -> Finished:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        monkeypatch.setenv("TERM", "dumb")  # which to rich is 80 columns without colours
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = stop.value.code
        if isinstance(code, str):  # the interpreter prints such a code and exits with 1
            return Finished(1, out, f"{err}{code}\n")
        return Finished(code if isinstance(code, int) else 0, out, err)

    return run


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[WordCounts]:
    """Let the commands use WordCounts; the models that they made."""
    WordCounts.made = []
    monkeypatch.setattr("likewise.SentenceTransformer", WordCounts)
    return WordCounts.made
