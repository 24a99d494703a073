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
        Literal["float32", "float16", "bfloat16", "int8"] | None,
        typer.Option(
            help="Store the weights in this precision; otherwise each stays as it is. int8: so too, but the model is "
            "computed in int8 where it is loaded from OUT."
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="With int8: a file of texts like those that will be encoded, some hundreds of them."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column of it that holds the texts.")] = None,
    packed: Annotated[
        bool,
        typer.Option(help="Also keep the weights as this machine's kernels read them; processes share them in memory."),
    ] = False,
) -> None:
    """Save MODEL in another layout or precision.

    Any checkpoint that can be loaded can be converted: every version's layout, plain encoders, model2vec's folders,
    pytorch_model.bin. Weights are written as safetensors. The vectors stay the same, but for the rounding of a smaller
    precision.

    Example: likewise convert old-model new-model

    Example: likewise convert all-MiniLM-L6-v2 small-model --dtype bfloat16

    Example: likewise convert all-MiniLM-L6-v2 fast-model --dtype int8 --calibrate texts.csv --column text
    """
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.files import read_texts

    if output.exists() and Path(model).exists() and output.samefile(model):
        raise ValueError(f"{output} is the model itself; give another folder, so that the original stays")
    texts = list(read_texts(calibrate, column)) if calibrate else []
    if calibrate and not texts:
        raise ValueError(f"{calibrate} holds no texts to calibrate with")
    SentenceTransformer(model).save_pretrained(output, layout=layout, dtype=dtype, calibration=texts, packed=packed)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    stored = "their precision, computed in int8" if dtype == "int8" else dtype or "their precision"
    typer.echo(f"{model} in {output}: layout {layout}, weights in {stored}, {size / 1e6:,.1f} MB")
