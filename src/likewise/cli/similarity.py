"""``likewise similarity``: how alike texts are, every one with every other."""

from itertools import combinations
from typing import Annotated

import typer

from likewise.cli.options import DEFAULT_MODEL, ModelName
from likewise.cli.output import on_terminal, one_line, print_records

Pair = tuple[float, str, str]  # score, the two texts


def similarity(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT", help="Two texts or more; - stands for the lines of standard input."),
    ],
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Compare every text with every other, the most similar first.

    The score is the model's own similarity. For most models that is the cosine: 1 for the same text, about 0 for
    texts that have nothing in common.

    Example: likewise similarity "The kettle is boiling." "The tea is ready."

    To a pipe or a file: one pair a line, without a header: score, text and text, separated by tabs.
    """
    from likewise.files import read_texts

    if len(texts) == 1 and texts != ["-"]:
        raise typer.BadParameter("one text alone has nothing to be compared with", param_hint="TEXT")
    every = [line for text in texts for line in (read_texts("-") if text == "-" else [text])]
    if len(every) < 2:
        raise ValueError(f"there are too few texts to compare: {len(every)}, with those of standard input")
    pairs = _scored_pairs(every, model)
    if on_terminal():
        _print_table(pairs)
    else:
        print_records(pairs)


def _scored_pairs(texts: list[str], model_name: str) -> list[Pair]:
    """Every two of ``texts`` with their score, the highest first; equal scores in the order of the texts."""
    from likewise import SentenceTransformer  # here: --help must not wait for torch

    model = SentenceTransformer(model_name)
    vectors = model.encode(texts)
    scores = model.similarity(vectors, vectors)  # (texts, texts)
    pairs = [(float(scores[i, j]), texts[i], texts[j]) for i, j in combinations(range(len(texts)), 2)]
    return sorted(pairs, key=lambda pair: -pair[0])


def _print_table(pairs: list[Pair]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("score", justify="right", no_wrap=True, style="bold")
    table.add_column("text", ratio=1, overflow="fold")
    table.add_column("text", ratio=1, overflow="fold")
    for score, first, second in pairs:
        table.add_row(f"{score:.4f}", Text(one_line(first)), Text(one_line(second)))
    Console().print(table)
