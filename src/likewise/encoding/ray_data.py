"""A folder of Parquet files → a folder of their vectors, computed by the workers of a Ray cluster.

Each file is cut into ranges of rows, its partitions, and each partition becomes one file, whose name tells which. A
worker holds one model and makes one partition at a time, which appears whole. So another worker makes again what a
killed one had begun, and the same job, started again, makes only what is not there yet.
"""

import logging
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.encoding.job_record import check_same_job, content_of
from likewise.encoding.parquet_folder import ParquetFolder
from likewise.extras import extra
from likewise.files import only_text_column
from likewise.progress import one_bar
from likewise.vector_files import vector_table

Encode = Callable[[list[str]], NDArray[np.generic]]

ROWS_PER_PARTITION = 32_768  # 50 MB of 384 dimensions, which a worker holds twice while it writes
RECORD = "_likewise_job.json"  # readers of a folder of Parquet files pass over what begins so
MOST_BLOCKS = 1000  # that Ray is to keep account of; a block is of one or more partitions
FOOTERS_AT_ONCE = 16  # read together: in object storage each takes a while


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of the rows of a file, and what is made of it."""

    file: str  # within the input folder
    column: str
    number: int  # among those of the file
    start: int
    rows: int

    @property
    def name(self) -> str:
        """Where its vectors are, within the output folder."""
        return f"{self.file.removesuffix('.parquet')}-{self.number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to compute."""

    address: str | None = None  # of a Ray cluster; None: that of RAY_ADDRESS, or one on this machine for this job
    workers: int | None = None  # each with a model; None: one for each GPU that is asked for, or for each machine
    uses_gpu: bool = False  # whether each worker takes a GPU


class Worker:
    """Makes partitions; in a process of its own, with its own model."""

    def __init__(self, load: Callable[[], Encode], source: ParquetFolder, output: ParquetFolder):
        self.encode = load()
        self.source, self.output = source, output

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
        """Make the partitions of ``batch``, a column for each field; the rows of each, and what went wrong, if any."""
        rows, errors = [], []
        fields = (batch[name].tolist() for name in ("file", "column", "number", "start", "rows"))
        for partition in map(Partition, *fields):
            error = ""
            try:
                if not is_whole(self.output, partition):  # a worker that was killed may have made it
                    self._make(partition)
            except (OSError, ValueError, TypeError) as trouble:
                error = f"{self.source.path}/{partition.file}: {trouble}"
            rows.append(partition.rows)
            errors.append(error)
        return {"rows": rows, "error": errors}

    def _make(self, partition: Partition) -> None:
        import pyarrow
        from pyarrow import parquet

        texts = read_texts_of(self.source, partition)
        lines = range(partition.start + 1, partition.start + len(texts) + 1)
        table = vector_table(self.encode(texts), {"source": [partition.file] * len(texts), "line": list(lines)})
        content = pyarrow.BufferOutputStream()
        parquet.write_table(table, content)
        self.output.write(partition.name, content.getvalue())


def encode_folder(
    source: str,
    output: str,
    column: str | None,
    job: Mapping[str, Any],
    load: Callable[[int], Callable[[], Encode]],
    cluster: Cluster,
) -> tuple[int, int]:
    """Make of each Parquet file in ``source`` files of vectors in ``output``: how many (vectors, files) are there now.

    The files have the columns source, the file within ``source``, line, the number of its row, and vector. ``job`` is
    all that decides the vectors beside the input. ``load`` is told how many threads a worker may use and gives a
    function, which Ray sends to each worker, that loads the model and gives its encode function.

    Raises:
        FileNotFoundError: There is no Parquet file.
        ValueError: ``output`` holds a part of another job, or something in the input is not text.
        ImportError: Ray is not installed.
    """
    with extra("ray", "likewise encode --ray"):
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    given, made = ParquetFolder.at(source), ParquetFolder.at(output)
    check_apart(given, made)
    partitions, digest = plan(given, column)
    _begin(made, {"rows_per_partition": ROWS_PER_PARTITION, **job, "input": digest})
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as threads:
        whole = list(threads.map(lambda partition: is_whole(made, partition), partitions))
    missing = [partition for partition, is_there in zip(partitions, whole, strict=True) if not is_there]
    total = sum(partition.rows for partition in partitions)
    with one_bar(total, total) as bar:
        done = total - sum(partition.rows for partition in missing)
        bar.skip(done, done)
        if missing:
            for rows in _on_ray(missing, given, made, load, cluster):
                bar.advance(rows, rows)
    return total, len(partitions)


def check_apart(source: ParquetFolder, output: ParquetFolder) -> None:
    """Raise ValueError where ``output`` lies in ``source``: the next time its files would be read as texts."""
    if f"{output.address}/".startswith(f"{source.address.rstrip('/')}/"):
        raise ValueError(f"{output.path} lies in {source.path}, where its files would be read too; name another folder")


def plan(source: ParquetFolder, column: str | None) -> tuple[list[Partition], dict[str, Any]]:
    """The partitions of all files, and what tells this input from another: names, sizes, times, rows."""
    files = source.files()
    if not files:
        raise FileNotFoundError(f"there is no Parquet file in {source.path}; name a folder that holds some")
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as threads:
        footers = dict(zip(files, threads.map(source.footer, files), strict=True))
    partitions = []
    digest = blake2b(digest_size=16)
    for name, footer in footers.items():
        if footer is None:
            raise ValueError(f"{source.path}/{name} is no whole Parquet file; make it anew")
        columns = footer.schema.to_arrow_schema().names
        chosen = only_text_column(columns, name) if column is None else column
        if chosen not in columns:
            raise ValueError(f"{name}: there is no column {chosen!r}; the columns: {', '.join(map(repr, columns))}")
        digest.update(f"{name} {files[name].size} {files[name].mtime_ns} {footer.num_rows} {chosen}\n".encode())
        for number, start in enumerate(range(0, footer.num_rows, ROWS_PER_PARTITION)):
            rows = min(ROWS_PER_PARTITION, footer.num_rows - start)
            partitions.append(Partition(name, chosen, number, start, rows))
    if not partitions:
        raise ValueError(f"there is no text in the Parquet files of {source.path}")
    total = sum(partition.rows for partition in partitions)
    return partitions, {"folder": source.path, "files": len(files), "rows": total, "digest": digest.hexdigest()}


def is_whole(output: ParquetFolder, partition: Partition) -> bool:
    """Whether the vectors of ``partition`` are there."""
    footer = output.footer(partition.name)
    return footer is not None and footer.num_rows == partition.rows


def read_texts_of(source: ParquetFolder, partition: Partition) -> list[str]:
    """The texts of ``partition``; row groups before it are not read.

    Raises:
        ValueError: A value is no text.
    """
    from pyarrow import parquet

    system, path = source.opened()
    texts: list[str] = []
    with system.open_input_file(posixpath.join(path, partition.file)) as opened:
        file = parquet.ParquetFile(opened)
        for start, group in _row_groups(file, partition):
            for batch in file.iter_batches(row_groups=[group], columns=[partition.column]):
                first = max(partition.start - start, 0)
                last = max(min(partition.start + partition.rows - start, len(batch)), 0)
                texts += batch.column(0).slice(first, max(last - first, 0)).to_pylist()
                start += len(batch)
    for row, text in enumerate(texts, partition.start + 1):
        if not isinstance(text, str):
            raise ValueError(
                f"row {row}: the column {partition.column!r} holds {text!r}, which is not text; leave the row out"
            )
    return texts


def _row_groups(file: Any, partition: Partition) -> Iterator[tuple[int, int]]:
    """Where each row group begins that holds rows of ``partition``, and its number."""
    start = 0
    for group in range(file.metadata.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        if start < partition.start + partition.rows and stop > partition.start:
            yield start, group
        start = stop


def _begin(output: ParquetFolder, job: Mapping[str, Any]) -> None:
    content = output.read(RECORD)
    if content is None:
        if output.files():
            raise ValueError(f"{output.path} holds other Parquet files; give a new folder")
        output.write(RECORD, content_of(job))
    else:
        check_same_job(content, job, f"{output.path}/{RECORD}", output.path)


def _on_ray(
    partitions: Sequence[Partition],
    source: ParquetFolder,
    output: ParquetFolder,
    load: Callable[[int], Callable[[], Encode]],
    cluster: Cluster,
) -> Iterable[int]:
    """Make ``partitions``: the rows of each that is done, in any order."""
    import ray
    import ray.data

    started = not ray.is_initialized()
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # we tell how far it is
    if started:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report to anybody, unless somebody wants it
        is_there = cluster.address or os.environ.get("RAY_ADDRESS")
        own = {} if is_there else {"include_dashboard": False}
        ray.init(cluster.address if is_there else "local", **own, log_to_driver=False, logging_level=logging.WARNING)
    try:
        workers, cores = _shares(ray, cluster)
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = ray.data.from_items(
            [asdict(partition) for partition in partitions], override_num_blocks=min(len(partitions), MOST_BLOCKS)
        )
        done = rows.map_batches(
            Worker,
            fn_constructor_args=(load(cores), source, output),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=cores,
            num_gpus=1 if cluster.uses_gpu else 0,
        )
        for row in done.iter_rows():
            if row["error"]:
                raise ValueError(row["error"])
            yield row["rows"]
    finally:
        if started:
            ray.shutdown()


def _shares(ray: Any, cluster: Cluster) -> tuple[int, int]:
    """How many workers there are, and the cores of each."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    gpus = int(sum(resources.get("GPU", 0) for resources in machines))
    workers = cluster.workers or (max(gpus, 1) if cluster.uses_gpu else len(machines))
    on_each = -(-workers // len(machines))
    return workers, max(int(min(resources["CPU"] for resources in machines)) // on_each, 1)
