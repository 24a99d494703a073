"""``likewise cluster``: texts in groups by meaning, each told by its central texts and its typical words."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.corpus import encoder, read_written
from likewise.cli.options import DEFAULT_MODEL, Column, Files, ModelName, wrong_usage
from likewise.cli.output import on_terminal, one_line, print_records

if TYPE_CHECKING:
    from likewise.search.clusters import Cluster


def cluster(
    files: Files,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Each text with its cluster: .csv, .tsv, .jsonl, .parquet."
        ),
    ] = None,
    column: Column = None,
    algorithm: Annotated[
        str, typer.Option(metavar="NAME", help="kmeans, agglomerative (up to 20,000 texts) or hdbscan.")
    ] = "kmeans",
    clusters: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many; otherwise the root of half the texts, at most 50."),
    ] = None,
    min_size: Annotated[
        int, typer.Option(metavar="N", min=2, help="The smallest cluster that hdbscan makes, in texts.")
    ] = 5,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Put texts that are about the same into clusters.

    Cluster 0 is the largest. Of each, the words that are typical of it are printed, and the texts that are closest to
    its middle. hdbscan finds the number of clusters itself, and leaves out texts that belong to none: their cluster is
    -1. Blank texts are left out.

    PATH has the columns cluster, text, source and line.

    Example: likewise cluster reviews.csv --column review -o clusters.csv

    Example: likewise cluster notes.txt --clusters 12

    To a pipe or a file: one cluster a line: its number, its size, its words, and its three most central texts,
    separated by tabs.
    """
    from likewise.column_files import check_column_suffix, write_columns
    from likewise.extras import extra
    from likewise.search.clusters import check_algorithm, cluster_labels, describe_clusters

    with wrong_usage("--algorithm, --clusters"):
        check_algorithm(algorithm, clusters)
    with wrong_usage("--output"):
        if output is not None:
            check_column_suffix(output)
    with extra("cluster", "Clustering"):  # before minutes of work
        import sklearn  # noqa: F401
    corpus = read_written(files, column)
    texts = [text.text for text in corpus]
    vectors = encoder(model)(texts)
    labels = cluster_labels(vectors, algorithm, clusters, min_size)
    found = describe_clusters(vectors, labels, texts)
    if output is not None:
        places: dict[str, list[Any]] = {
            "source": [text.source for text in corpus],
            "line": [text.line for text in corpus],
        }
        write_columns(output, {"cluster": labels.tolist(), "text": texts, **places})
    if on_terminal():
        _print_for_people(found, texts, int((labels < 0).sum()), output)
    else:
        print_records(
            (one.number, one.size, ", ".join(one.words), *(texts[row] for row in one.central)) for one in found
        )


def _print_for_people(found: "Sequence[Cluster]", texts: Sequence[str], left_out: int, output: Path | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for one in found:
        title = Text.assemble((f"{one.number}", "bold"), f"  {one.size:,} texts  ", (", ".join(one.words), "cyan"))
        console.print(title)
        for row in one.central:
            console.print(Text(f"    {one_line(texts[row])}"), overflow="ellipsis", no_wrap=True)
        console.print()
    apart = f", and {left_out:,} in none" if left_out else ""
    where = f"; each with its cluster in {one_line(str(output))}" if output else ""
    console.print(f"{len(texts) - left_out:,} texts in {len(found):,} clusters{apart}{where}", soft_wrap=True)
