"""What the commands print: for people on a terminal, tab-separated records to a pipe."""

import re
import sys
from collections.abc import Iterable, Sequence


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
