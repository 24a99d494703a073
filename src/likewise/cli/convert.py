"""``likewise convert``: a model in another layout or another precision."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def convert(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the Hub.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write; it appears whole or not at all.")],
    layout: Annotated[
        Literal["legacy", "6"],
        typer.Option(help="legacy: read by sentence-transformers 3.4 to 6.x and by servers; 6: by 5.4 and later only."),
    ] = "legacy",
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option(help="Store the weights in this precision; otherwise each stays as it is."),
    ] = None,
) -> None:
    """Save MODEL in another layout or precision.

    Any checkpoint that can be loaded can be converted: every version's layout, plain encoders, model2vec's folders,
    pytorch_model.bin. Weights are written as safetensors. The vectors stay the same, but for the rounding of a smaller
    precision.

    Example: likewise convert old-model new-model

    Example: likewise convert all-MiniLM-L6-v2 small-model --dtype bfloat16
    """
    from likewise import SentenceTransformer  # here: --help must not wait for torch

    if output.exists() and Path(model).exists() and output.samefile(model):
        raise ValueError(f"{output} is the model itself; give another folder, so that the original stays")
    SentenceTransformer(model).save_pretrained(output, layout=layout, dtype=dtype)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    stored = dtype or "their precision"
    typer.echo(f"{model} in {output}: layout {layout}, weights in {stored}, {size / 1e6:,.1f} MB")
