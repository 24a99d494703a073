"""The command line: one command a file. Nothing heavy is imported before a command runs."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from likewise import __version__
from likewise.cli.augment import augment
from likewise.cli.cluster import cluster
from likewise.cli.convert import convert
from likewise.cli.dedupe import dedupe
from likewise.cli.encode import encode
from likewise.cli.evaluate import evaluate
from likewise.cli.export import export
from likewise.cli.index import index
from likewise.cli.info import info
from likewise.cli.map import draw_map
from likewise.cli.output import one_line
from likewise.cli.rerank import rerank
from likewise.cli.search import search
from likewise.cli.similarity import similarity
from likewise.cli.train import train

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (encode, similarity, search, rerank, dedupe, cluster, info, convert, export, evaluate, train, augment):
    app.command(no_args_is_help=True)(command)
app.add_typer(index, name="index")
app.command("map", no_args_is_help=True)(draw_map)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"likewise {__version__}")
        raise typer.Exit


@app.callback()
def likewise(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Sentence embeddings: encode texts, compare them, and search in your files.

    Example: likewise search "how are the labels made?" docs/ README.md
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process: 0, 1 for a problem with the input, 2 for wrong usage, 130 for Ctrl-C.

    A user's mistake becomes one line on standard error.
    """
    try:
        app(arguments, prog_name="likewise")
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"likewise: {_reason(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return one_line(f"{error.filename}: {error.strerror}")
    return one_line("; ".join(line.strip() for line in str(error).splitlines()))
