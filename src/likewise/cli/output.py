"""What the commands print: for people on a terminal, tab-separated records to a pipe."""

import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.encoding.report import Tally

INDENT = 8  # columns: below the score, texts stand apart
PACKAGE = str(Path(__file__).parents[1])


def on_terminal() -> bool:
    """Whether a person reads what is printed, rather than a program or a file."""
    return sys.stdout.isatty()


def one_line(text: str) -> str:
    """``text`` with each run of white space and control characters made one space.

    So a record stays one line, a tab always separates fields, and no text can send commands to the terminal.
    """
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def print_records(records: Iterable[Sequence[object]]) -> None:
    """Print one line a record, its fields separated by tabs; numbers that are not whole have 4 decimals."""
    for fields in records:
        print("\t".join(f"{field:.4f}" if isinstance(field, float) else one_line(str(field)) for field in fields))
    sys.stdout.flush()  # here, so that a closed pipe is noticed while it can still be handled


def print_hits(hits: Iterable[tuple[float, str, str, str]]) -> None:
    """Print what was found, for people: score and place, and below them headings and text."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for score, where, heading, found in hits:
        place = Text.assemble((f"{score:.4f}", "bold"), "  ", (one_line(where), "cyan"))
        console.print(place, soft_wrap=True)  # a long path runs on in the next row, whole, so that it can be copied
        for text in (Text(one_line(heading), style="italic"), Text(one_line(found))):
            for line in text.wrap(console, console.width - INDENT) if text else ():
                line.rstrip()
                console.print(Text(" " * INDENT) + line)
        console.print()


def print_cut(tally: "Tally", what: str = "texts") -> None:
    """Say on standard error how much of the texts, which are called ``what``, the model could not read, if any."""
    if tally.cut:
        print(str(tally).replace("texts", what, 1), file=sys.stderr)


def is_first_process() -> bool:
    """Whether this process is the one of several in a training run that speaks for all."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """Print our own warnings as the command prints errors, from the first process alone."""
    from tqdm import tqdm

    with warnings.catch_warnings():
        show = warnings.showwarning

        def told(message: Warning | str, category: type[Warning], filename: str, *others: Any, **more: Any) -> None:
            if not filename.startswith(PACKAGE):
                show(message, category, filename, *others, **more)
            elif is_first_process():
                tqdm.write(f"likewise: warning: {one_line(str(message))}", file=sys.stderr)

        warnings.showwarning = told
        yield
