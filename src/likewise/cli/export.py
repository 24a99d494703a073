"""``likewise export``: a model → the graph that is deployed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What a model can be exported to."""

    ONNX = "onnx"


class StoredIn(StrEnum):
    """What the weights of a graph can be stored in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the Hub.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder to write, or a file that ends in .onnx.")],
    format: Annotated[Format, typer.Option("--format", help="The kind of graph.")] = Format.ONNX,  # noqa: A002
    dtype: Annotated[
        StoredIn, typer.Option("--dtype", help="What weights are stored in: int8 is a quarter as large, and faster.")
    ] = StoredIn.FLOAT32,
) -> None:
    """Write MODEL as a graph that other programs run, such as onnxruntime.

    Token ids go in, one vector per text comes out: pooling and normalisation are inside. A folder also gets the
    tokenizer. Before anything is written, onnxruntime runs the graph and its vectors are compared with the model's.

    Example: likewise export all-MiniLM-L6-v2 minilm-onnx --format onnx

    Example: likewise export all-MiniLM-L6-v2 minilm-int8.onnx --dtype int8
    """
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.export import export_onnx

    report = export_onnx(SentenceTransformer(model, dtype="float32"), output, dtype.value)
    typer.echo(
        f"{report.size / 1e6:,.1f} MB in {report.path}; to the model's own vectors: "
        f"largest difference {report.difference:.1e}, lowest cosine {report.cosine:.5f}"
    )
