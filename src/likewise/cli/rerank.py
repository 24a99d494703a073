"""``likewise rerank``: the texts of a file, those that answer a question best first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import Column
from likewise.cli.output import on_terminal, one_line, print_records

Hit = tuple[float, int, str]  # score, which text of the file it is, text


def rerank(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for: a question or some words.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Plain text (one text a line), .csv, .tsv, .jsonl or .parquet; - reads lines from standard input.",
        ),
    ],
    top_k: Annotated[
        int | None, typer.Option("--top-k", "-k", metavar="N", min=1, help="Print only the N best texts.")
    ] = None,
    column: Column = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A cross-encoder: a folder, or a name on the Hub.")
    ] = "cross-encoder/ms-marco-MiniLM-L6-v2",
) -> None:
    """Order the texts of FILE by how well they answer QUERY.

    The cross-encoder reads QUERY together with each text, which is more exact than comparing vectors, and slower: use
    it for some hundred texts that were found in another way. Blank texts are left out.

    Example: likewise rerank "how are the labels made?" found.txt --top-k 5

    Example: grep -i label notes.txt | likewise rerank "how are they made?" -

    To a pipe or a file: one text a line, without a header: score, number and text, separated by tabs. The number says
    which text of FILE it is, from 1; in plain text it is the line.
    """
    from likewise.files import read_texts

    texts = {number: text for number, text in enumerate(read_texts(file, column), start=1) if text.strip()}
    if not texts:
        raise ValueError(f"there is no text in {file}")
    hits = _ranked(query, texts, top_k, model)
    if on_terminal():
        _print_table(hits)
    else:
        print_records(hits)


def _ranked(query: str, texts: dict[int, str], top_k: int | None, model_name: str) -> list[Hit]:
    from likewise.cli.reranker import MANY, reranker

    numbers = list(texts)
    ranking = reranker(model_name).rank(query, list(texts.values()), top_k, show_progress_bar=len(texts) >= MANY)
    return [(hit["score"], number := numbers[hit["corpus_id"]], texts[number]) for hit in ranking]


def _print_table(hits: Sequence[Hit]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("score", justify="right", no_wrap=True, style="bold")
    table.add_column("number", justify="right", no_wrap=True, style="cyan")
    table.add_column("text", ratio=1, overflow="fold")
    for score, number, text in hits:
        table.add_row(f"{score:.4f}", str(number), Text(one_line(text)))
    Console().print(table)
