"""``likewise export``: a model → the graph that is deployed."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the Hub.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder to write, or a file that ends in .onnx.")],
    format: Annotated[Literal["onnx"], typer.Option(help="The kind of graph.")] = "onnx",  # noqa: A002
    dtype: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Store the weights in this precision: int8 is a quarter as large, and faster."),
    ] = "float32",
) -> None:
    """Write MODEL as a graph that other programs run.

    Token ids go in, one vector per text comes out: pooling and normalisation are inside. onnxruntime runs it, and so
    do others. A folder also gets the tokenizer. Before anything is written, onnxruntime has run the graph and its
    vectors have been compared with the model's.

    Example: likewise export all-MiniLM-L6-v2 minilm-onnx --format onnx

    Example: likewise export all-MiniLM-L6-v2 minilm-int8.onnx --dtype int8
    """
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.export import export_onnx

    report = export_onnx(SentenceTransformer(model, dtype="float32"), output, dtype)
    typer.echo(
        f"{report.size / 1e6:,.1f} MB in {report.path}; to the model's own vectors: "
        f"largest difference {report.difference:.1e}, lowest cosine {report.cosine:.5f}"
    )
