"""``likewise encode``: texts in files → vectors in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import DEFAULT_MODEL, Column, ModelName, wrong_usage

if TYPE_CHECKING:
    from likewise import EmbeddingCache, SentenceTransformer
    from likewise.encoding.text_files import Counted


def encode(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Plain text (one text a line), .csv, .tsv, .jsonl or .parquet; - reads lines from standard input. "
            "With --ray a folder of Parquet files.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH", help="The file to write: .npy, .parquet or .arrow. With --ray a folder."
        ),
    ],
    column: Column = None,
    model: ModelName = DEFAULT_MODEL,
    prompt_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's prompt to put before each text: see likewise info MODEL."),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Make every vector 1 long.")] = False,
    truncate_dim: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep only the first N dimensions.")
    ] = None,
    long_texts: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="What becomes of texts that the model cannot read at once: truncate, chunk (read in parts) or error.",
        ),
    ] = "truncate",
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
    ray: Annotated[
        bool, typer.Option("--ray", help="Encode a folder of Parquet files by the workers of a Ray cluster.")
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The cluster; otherwise that of RAY_ADDRESS, or one on this machine."),
    ] = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Load so many models; otherwise one for each machine, or for each GPU."),
    ] = None,
) -> None:
    """Write one vector for each text of FILE, in order.

    Several files are read one after the other. A .npy file holds a matrix, one row a text; a .parquet or
    .arrow file has the columns source, line and vector. The output appears when everything is encoded. Until then,
    parts of it lie in the folder OUTPUT.parts, and after an interruption the same command goes on from there.

    Example: likewise encode notes.txt -o vectors.npy

    Example: likewise encode reviews.csv --column review -o vectors.parquet
    """
    from likewise.encoding.embed import LONG_TEXTS
    from likewise.quantize import SCALAR, check_precision
    from likewise.vector_files import check_vector_suffix

    arguments = {
        "prompt_name": prompt_name,
        "normalize_embeddings": normalize,
        "truncate_dim": truncate_dim,
        "token_budget": token_budget,
        "long_texts": long_texts,
    }
    arguments = {name: value for name, value in arguments.items() if value is not None}
    if long_texts not in LONG_TEXTS:
        raise typer.BadParameter(f"use one of {', '.join(LONG_TEXTS)}", param_hint="--long-texts")
    if ray:
        if len(files) > 1:
            raise typer.BadParameter("give one folder with --ray", param_hint="FILE")
        if precision != "float32" or cache is not None:
            raise typer.BadParameter("leave them out with --ray", param_hint="--precision, --cache")
        if Path(model).is_dir():
            model = str(Path(model).resolve())  # a worker may run in another folder
        loading = {"model_name_or_path": model, "device": device, "dtype": dtype}
        texts, number = _encode_on_ray(files[0], output, column, loading, arguments, ray_address, ray_workers)
        typer.echo(f"{texts:,} vectors in {number:,} files in {output}")
        return
    if ray_address is not None or ray_workers is not None:
        raise typer.BadParameter("this is for --ray, which is not given", param_hint="--ray-address, --ray-workers")
    path = Path(output)
    with wrong_usage("--output"):
        check_vector_suffix(path)
    with wrong_usage("--precision"):
        check_precision(precision)
    _check_writable(path)
    with _counted(files, column, path.parent) as found:
        if precision in SCALAR and sum(file.texts for file in found) < 2:
            advice = "one text has no ranges to divide; leave it out, or give more texts"
            raise typer.BadParameter(advice, param_hint="--precision")
        # Here: neither --help nor a mistake must wait for torch.
        from likewise import EmbeddingCache, SentenceTransformer

        loaded = SentenceTransformer(model, device=device, dtype=dtype)
        kept = EmbeddingCache(cache) if cache else None
        texts, dimension = _encode(loaded, found, column, path, arguments, precision, kept)
    typer.echo(f"{texts:,} vectors of {dimension} dimensions in {output}")


@contextmanager
def _counted(files: list[str], column: str | None, folder: Path) -> Iterator[list[Counted]]:
    """What the files hold; in this context standard input, if it is one of them, can be read again."""
    from likewise.encoding.text_files import STANDARD_INPUT, counted, standard_input_kept

    with standard_input_kept(folder) if STANDARD_INPUT in files else nullcontext():
        found = [counted(file, column) for file in files]
        if not any(file.texts for file in found):
            raise ValueError(f"there is no text in {', '.join(files)}")
        yield found


def _encode(
    model: SentenceTransformer,
    files: list[Counted],
    column: str | None,
    output: Path,
    arguments: dict[str, Any],
    precision: Any,
    cache: EmbeddingCache | None,
) -> tuple[int, int]:
    from likewise.encoding.job_record import computed_by, job_of
    from likewise.encoding.parts import encode_in_parts, parts_folder
    from likewise.encoding.report import Tally
    from likewise.encoding.text_files import placed_texts
    from likewise.progress import one_bar

    model.encode([], **arguments)  # what is wrong with them is told before anything is written
    job = job_of(model, arguments) | computed_by(model)
    job |= {"column": column} | {f"input {number}": asdict(file) for number, file in enumerate(files, start=1)}
    tally = Tally()
    encode = tally.of(partial(model.encode, show_progress_bar=True, cache=cache, **arguments))
    with one_bar(sum(file.texts for file in files), sum(file.characters for file in files)) as bar:
        try:
            done = encode_in_parts(
                output,
                job,
                placed_texts(files, column),
                encode,
                lambda placed: bar.skip(len(placed), sum(len(text.text) for text in placed)),
                precision,
                tally,
            )
        except KeyboardInterrupt:
            typer.echo(f"\nlikewise: the same command goes on from the parts in {parts_folder(output)}", err=True)
            raise
    if tally.cut:
        typer.echo(f"{tally}; --long-texts chunk reads all of them", err=True)
    return done


def _encode_on_ray(
    folder: str,
    output: str,
    column: str | None,
    loading: dict[str, Any],
    arguments: dict[str, Any],
    address: str | None,
    workers: int | None,
) -> tuple[int, int]:
    from likewise import SentenceTransformer
    from likewise.encoding.job_record import job_of
    from likewise.encoding.ray_data import Cluster, encode_folder

    model = SentenceTransformer(**loading)
    model.encode([], **arguments)  # what is wrong with them is told before anything is written
    job = job_of(model, arguments) | {"column": column, "device": loading["device"], "dtype": loading["dtype"]}
    cluster = Cluster(address, workers, uses_gpu=(loading["device"] or "").startswith("cuda"))

    def load(threads: int) -> Any:
        return partial(_encoder, loading | {"threads": threads}, arguments, model.fingerprint)

    return encode_folder(folder, output, column, job, load, cluster)


def _encoder(loading: dict[str, Any], arguments: dict[str, Any], fingerprint: str) -> Any:
    """The encode function of a model that a worker loads."""
    from likewise import SentenceTransformer

    model = SentenceTransformer(**loading)
    if model.fingerprint != fingerprint:
        raise ValueError(f"the model {model.name!r} is another one on this machine than where the job was started")
    return partial(model.encode, show_progress_bar=False, **arguments)


def _check_writable(output: Path) -> None:
    """Raise OSError where ``output`` cannot be written, so that nobody learns it after hours of work."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise OSError(f"cannot write to the folder {output.parent}: {error.strerror}") from error
