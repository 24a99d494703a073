"""Arguments and options that several commands have, with the same words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="Plain text (one text a line), .csv, .tsv, .jsonl or .parquet; - reads lines from standard input.",
    ),
]
Column = Annotated[
    str | None, typer.Option(metavar="NAME", help="The column that holds the texts, where there are several.")
]
ModelName = Annotated[str, typer.Option(metavar="MODEL", help="A folder, or a name on the Hub.")]

DEFAULT_MODEL = "all-MiniLM-L6-v2"


@contextmanager
def wrong_usage(option: str) -> Iterator[None]:
    """Tell a ValueError in this block as a mistake in the use of ``option``, before hours of work."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
