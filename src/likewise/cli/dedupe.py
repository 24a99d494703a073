"""``likewise dedupe``: texts without those that say the same as an earlier one."""

import os
import sys
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.corpus import encoder, place, read_corpus
from likewise.cli.options import DEFAULT_MODEL, Column, Files, ModelName, wrong_usage
from likewise.cli.output import on_terminal, one_line, print_records

if TYPE_CHECKING:
    from likewise.encoding.text_files import PlacedText
    from likewise.search.duplicates import Duplicates


def dedupe(
    files: Files,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Write the rows that are kept, in the format of FILE."),
    ] = None,
    column: Column = None,
    threshold: Annotated[
        float, typer.Option(metavar="N", help="Texts are duplicates from this cosine on: 0.9 drops more, 0.98 less.")
    ] = 0.95,
    exact: Annotated[
        bool, typer.Option("--exact", help="Only drop texts that are equal; needs no model and takes seconds.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write what is dropped and why: .csv, .tsv, .jsonl or .parquet."),
    ] = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Keep one of the texts that say the same.

    Equal texts are found first, whatever their white space. Of the others every one is compared with every other in
    meaning. Texts that are at least as alike as --threshold form a group, and so do those that are linked by others
    between them. The first text of each group is kept, with its whole row, as it stands in FILE.

    Without --output nothing is written: the groups are printed.

    Example: likewise dedupe reviews.csv --column review -o kept.csv

    Example: likewise dedupe notes.txt --threshold 0.9

    To a pipe or a file: with --output the numbers of rows read, kept, equal and near; without it, one text of a group
    a line: the group's number, the cosine with the text that it is alike, file:line and text, separated by tabs.
    """
    from likewise.column_files import check_column_suffix
    from likewise.encoding.text_files import STANDARD_INPUT, standard_input_kept
    from likewise.row_copies import check_same_kind
    from likewise.search.duplicates import find_duplicates

    if not 0 < threshold <= 1:
        raise typer.BadParameter(f"{threshold:g} is not above 0 and at most 1", param_hint="--threshold")
    with wrong_usage("--output"):
        if output is not None:
            check_same_kind(files, output)
    with wrong_usage("--report"):
        if report is not None:
            check_column_suffix(report)
            if os.path.realpath(report) in {os.path.realpath(file) for file in (*files, output or os.devnull)}:
                raise ValueError(f"{report} is read or written already; give the report a name of its own")
    files = list(dict.fromkeys(files))  # each only once
    with standard_input_kept(Path(gettempdir())) if STANDARD_INPUT in files else nullcontext():
        if STANDARD_INPUT in files:
            sys.stdin.buffer.seek(0)
        corpus = read_corpus(files, column)
        found = find_duplicates([text.text for text in corpus], None if exact else encoder(model), threshold)
        if output is not None:
            _write_kept(files, corpus, found, output)
    if report is not None:
        _write_report(report, corpus, found)
    if output is None:
        _print_groups(corpus, found)
    else:
        _print_summary(found, output)


def _write_kept(files: list[str], corpus: "list[PlacedText]", found: "Duplicates", output: Path) -> None:
    import numpy as np

    from likewise.row_copies import RowsOfFile, copy_rows

    lines: dict[str, list[int]] = {file: [] for file in files}
    kept: dict[str, list[bool]] = {file: [] for file in files}
    for text, is_kept in zip(corpus, found.kept.tolist(), strict=True):
        lines[text.source].append(text.line)
        kept[text.source].append(is_kept)
    copy_rows([RowsOfFile(file, lines[file], np.array(kept[file], bool)) for file in files], output)


def _write_report(path: Path, corpus: "list[PlacedText]", found: "Duplicates") -> None:
    """One row for each that is dropped, with the text that it is alike and the one that is kept for both."""
    import numpy as np

    from likewise.column_files import write_columns

    dropped = np.flatnonzero(~found.kept)
    columns: dict[str, list[Any]] = {}
    for prefix, rows in (("", dropped), ("alike_", found.alike[dropped]), ("kept_", found.first[dropped])):
        chosen = [corpus[row] for row in rows]
        columns[f"{prefix}source"] = [text.source for text in chosen]
        columns[f"{prefix}line"] = [text.line for text in chosen]
        columns[f"{prefix}text"] = [text.text for text in chosen]
        if not prefix:
            columns["reason"] = ["equal" if found.equal[row] else "near" for row in rows]
            columns["score"] = [round(float(found.scores[row]), 4) for row in rows]
    write_columns(path, columns)


def _print_groups(corpus: "list[PlacedText]", found: "Duplicates") -> None:
    """The groups of more than one text, the largest first, each with the text that stands for it first."""
    groups: dict[int, list[int]] = {}
    for row, first in enumerate(found.first.tolist()):
        groups.setdefault(first, []).append(row)
    several = sorted((rows for rows in groups.values() if len(rows) > 1), key=len, reverse=True)
    records = [
        (number, float(found.scores[row]), place(corpus[row]), corpus[row].text)
        for number, rows in enumerate(several)
        for row in rows
    ]
    if not on_terminal():
        print_records(records)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for _, members in groupby(records, key=lambda record: record[0]):
        for at, (_, score, where, text) in enumerate(members):
            line = Text.assemble("kept  " if at == 0 else f"{score:.4f}"[:6], "  ", (one_line(where), "cyan"), "  ")
            console.print(line.append(one_line(text), "bold" if at == 0 else ""), soft_wrap=True)
        console.print()
    dropped = int((~found.kept).sum())
    console.print(f"{len(corpus):,} texts, {len(several):,} groups; -o PATH writes them without {dropped:,} of them")


def _print_summary(found: "Duplicates", output: Path) -> None:
    kept, equal = int(found.kept.sum()), int(found.equal.sum())
    numbers = {"read": len(found.first), "kept": kept, "equal": equal, "near": len(found.first) - kept - equal}
    if not on_terminal():
        print_records(numbers.items())
        return
    dropped = f"{equal:,} were equal to another, {numbers['near']:,} were nearly so"
    print(f"{kept:,} of {numbers['read']:,} rows in {one_line(str(output))}; {dropped}")
