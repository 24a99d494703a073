"""``likewise map``: a corpus as a picture, on one HTML page."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from likewise.cli.corpus import encoder, place, read_written
from likewise.cli.options import DEFAULT_MODEL, Column, ModelName
from likewise.cli.output import on_terminal, one_line, print_records


def draw_map(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="An index, or files: plain text (one text a line), .csv, .tsv, .jsonl or .parquet; - reads lines from "
            "standard input.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The .html file to write.")],
    column: Column = None,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="How texts come into the plane: umap, pca, or auto.")
    ] = "auto",
    clusters: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many colours; otherwise the root of half the texts, at most 24."),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The title; otherwise the names of the files.")
    ] = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Draw texts as points, close to those that are alike.

    PATH is one page that any browser opens, without a network: it shows the clusters of likewise cluster in colours, a
    text where the pointer is, and the texts that hold the words in its search box. Blank texts are left out.

    UMAP keeps texts together that are alike; where the package umap-learn is missing, or for fewer than 16 texts, auto
    is PCA, a plain projection that shows less.

    Example: likewise map reviews.csv --column review -o map.html

    Example: likewise map my.index -o map.html

    To a pipe or a file: the number of texts, the method and the page, one a line, with a tab.
    """
    from math import sqrt

    from likewise.extras import extra
    from likewise.files import whole_file
    from likewise.search.clusters import cluster_labels, describe_clusters
    from likewise.search.map import METHODS, page_of, plane_of, umap_is_there

    if output.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"{output} would not open in a browser; give a name in .html", param_hint="--output")
    if method not in METHODS:
        raise typer.BadParameter(f"use one of {', '.join(METHODS)}", param_hint="--method")
    with extra("map", "Drawing a map"):  # before minutes of work
        import sklearn  # noqa: F401
    if method == "umap" and not umap_is_there():
        with extra("map", "UMAP"):
            import umap  # noqa: F401
    texts, places, vectors = _encoded(files, column, model)
    if method == "auto" and not umap_is_there():
        told = "PCA is used, for umap-learn is not installed; with pip install 'likewise[map]' the map shows more"
        print(f"likewise: {told}", file=sys.stderr)
    points, used = plane_of(vectors, method)
    labels = cluster_labels(vectors, clusters=clusters or min(max(round(sqrt(len(texts) / 2)), 1), 24))
    names = {one.number: one.name for one in describe_clusters(vectors, labels, texts)}
    if title is None:
        title = ", ".join(Path(file).name for file in files)
    page = page_of(points, used, texts, places, labels, names, title)
    with whole_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    if on_terminal():
        print(f"{len(texts):,} texts, brought into the plane by {used}, in {one_line(str(output))}")
    else:
        print_records([("texts", len(texts)), ("method", used), ("page", output)])


def _encoded(files: list[str], column: str | None, model: str) -> tuple[list[str], list[str], Any]:
    """The texts that are not blank, where each comes from, and their vectors (texts, dim), which an index has."""
    if len(files) == 1 and Path(files[0]).is_dir():
        from likewise.search.index import Index

        with Index.open(files[0]) as index:
            rows, vectors = index.contents()
        if not rows:
            raise ValueError(f"there is no passage in {files[0]}; add some with likewise index add")
        return [row.text for row in rows], [f"{row.source}:{row.page or row.line}" for row in rows], vectors
    corpus = read_written(files, column)
    texts = [text.text for text in corpus]
    return texts, [place(text) for text in corpus], encoder(model)(texts)
