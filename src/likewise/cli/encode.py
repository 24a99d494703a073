"""``likewise encode``: texts in files → vectors in a file."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import typer


def encode(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Plain text (one text a line), .csv, .tsv, .jsonl or .parquet; - reads lines from standard input.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The file to write: .npy, or .parquet.")
    ],
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column that holds the texts, where there are several.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A folder, or a name on the Hub.")] = "all-MiniLM-L6-v2",
    prompt_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's prompt to put before each text: see likewise info MODEL."),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Make every vector 1 long.")] = False,
    truncate_dim: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep only the first N dimensions.")
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="TYPE", help="Write numbers of float32, int8 or uint8, or bits: binary or ubinary.")
    ] = "float32",
    cache: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Keep the vectors in this SQLite file too, and compute none that it has."),
    ] = None,
    token_budget: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Take at most N tokens at once: less needs less memory."),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="Compute in float32, bfloat16, float16, int8, or what suits the device.")
    ] = "auto",
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compute on cpu, cuda, cuda:1 or mps; otherwise on the best.")
    ] = None,
) -> None:
    """Write one vector for each text of FILE, in order.

    Several files are read one after the other. A .npy file holds a matrix, one row a text; a .parquet file
    has the columns source, line and vector. Nothing is written until everything is encoded.

    Example: likewise encode notes.txt -o vectors.npy

    Example: likewise encode reviews.csv --column review -o vectors.parquet
    """
    from likewise.files import check_vector_suffix, write_vectors

    try:
        check_vector_suffix(output)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--output") from error
    texts, places = _read(files, column, with_places=output.suffix.lower() == ".parquet")
    _check_writable(output)

    from likewise import EmbeddingCache, SentenceTransformer  # here: neither --help nor a mistake must wait for torch

    vectors = SentenceTransformer(model, device=device, dtype=dtype).encode(
        texts,
        prompt_name=prompt_name,
        show_progress_bar=True,
        normalize_embeddings=normalize,
        truncate_dim=truncate_dim,
        precision=precision,  # type: ignore[arg-type]
        token_budget=token_budget,
        cache=EmbeddingCache(cache) if cache else None,
    )
    write_vectors(output, vectors, places)
    typer.echo(f"{len(vectors):,} vectors of {vectors.shape[1]} dimensions in {output}")


def _read(files: list[Path], column: str | None, with_places: bool) -> tuple[list[str], dict[str, list[object]]]:
    """The texts of all files and, where they are wanted, the columns source and line beside them."""
    from likewise.files import read_rows, read_texts

    texts: list[str] = []
    places: dict[str, list[object]] = {"source": [], "line": []} if with_places else {}
    for file in files:
        found = list(read_texts(file, column))
        texts += found
        if with_places:
            from_standard_input = str(file) == "-"  # it cannot be read a second time; every line of it is a text
            lines = range(1, len(found) + 1) if from_standard_input else (row.line for row in read_rows(file, []))
            places["source"] += [str(file)] * len(found)
            places["line"] += lines
    if not texts:
        raise ValueError(f"there is no text in {', '.join(map(str, files))}")
    return texts, places


def _check_writable(output: Path) -> None:
    """Raise OSError where ``output`` cannot be written, so that nobody learns it after hours of work."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise OSError(f"cannot write to the folder {output.parent}: {error.strerror}") from error
