"""``likewise evaluate``: what a model reaches on the tasks that papers report, or on a file of pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.output import on_terminal, one_line, print_records

if TYPE_CHECKING:
    from likewise.evaluation.suites import Score
    from likewise.sentence_transformer import SentenceTransformer

SUITES = ("sts", "senteval", "beir")
HEADER = ("task", "metric", "value", "rows")


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the Hub.")],
    suite: Annotated[
        str,
        typer.Option(
            metavar="SUITE",
            help="sts, senteval or beir; or a .csv, .tsv, .jsonl or .parquet file of pairs with scores.",
        ),
    ] = "sts",
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Read the suite's data from here; otherwise from the Hub."),
    ] = None,
    columns: Annotated[
        tuple[str, str, str],
        typer.Option(metavar="TEXT TEXT SCORE", help="The columns of a file of pairs."),
    ] = ("sentence1", "sentence2", "score"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Write the table too: .csv, or .json.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="Compute in float32, bfloat16, float16, int8, or what suits the device.")
    ] = "auto",
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compute on cpu, cuda, cuda:1 or mps; otherwise on the best.")
    ] = None,
) -> None:
    """Evaluate MODEL and print a table; values are times 100.

    sts: the seven tasks of Table 1 of the Sentence-BERT paper, Spearman's correlation. senteval: the seven of its
    Table 5, accuracy. beir: every collection in FOLDER that has BEIR's layout. A file: how well the similarities of its
    pairs agree with their scores.

    Example: likewise evaluate all-MiniLM-L6-v2 --suite sts --data . -o sts.json

    Example: likewise evaluate ./my-model --suite pairs.csv --columns a b score

    To a pipe or a file: one line a value, without a header: task, metric, value and number of rows, separated by tabs.
    """
    _check(suite, output)

    from likewise import SentenceTransformer  # here: --help must not wait for torch

    loaded = SentenceTransformer(model, device=device, dtype=dtype)
    scores = _scores(loaded, suite, data, columns)
    if output is not None:
        _write(output, scores, {"model": model, "dtype": loaded.dtype, "suite": suite})
    if on_terminal():
        _print_table(scores)
    else:
        print_records(
            (score.task, score.metric, score.value, "" if score.rows is None else score.rows) for score in scores
        )


def _check(suite: str, output: Path | None) -> None:
    """Refuse what cannot be evaluated or written, before hours of work."""
    if suite not in SUITES and not Path(suite).is_file():
        raise typer.BadParameter(f"{suite!r} is no file, and none of {', '.join(SUITES)}", param_hint="--suite")
    if output is not None and output.suffix.lower() not in (".csv", ".json"):
        raise typer.BadParameter(f"{str(output)!r} must end in .csv or .json", param_hint="--output")


def _scores(
    model: "SentenceTransformer", suite: str, data: Path | None, columns: tuple[str, str, str]
) -> "list[Score]":
    from likewise.evaluation import suites

    if suite in SUITES:
        run = {"sts": suites.sts, "senteval": suites.senteval, "beir": suites.beir}[suite]
        return run(model, data, show_progress=True)
    return suites.pairs(model, suite, columns, show_progress=True)


def _write(output: Path, scores: "list[Score]", about: dict[str, str]) -> None:
    """The table as a file: of JSON with what was evaluated, of CSV alone."""
    import csv
    import json

    from likewise.files import whole_file

    lines = [{name: getattr(score, name) for name in HEADER} for score in scores]
    with whole_file(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if output.suffix.lower() == ".json":
            json.dump({**about, "scores": lines}, file, indent=2)
            file.write("\n")
        else:
            writer = csv.DictWriter(file, HEADER, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)


def _print_table(scores: "list[Score]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("task", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, style="bold")
    for score in scores:
        rows = "" if score.rows is None else f"{score.rows:,}"
        table.add_row(Text(one_line(score.task)), rows, score.metric, f"{score.value:.2f}")
    Console().print(table)
