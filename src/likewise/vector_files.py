"""Vectors in files: a .npy, Parquet or Arrow file of them, and many such files joined into one."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from likewise.extras import extra
from likewise.files import FilePath, whole_file

VECTORS_PER_ROW_GROUP = 16_384  # 25 MB of 384 dimensions: what a reader of the Parquet file must hold at once
SUFFIXES = (".npy", ".parquet", ".arrow")
KEPT_DTYPES = (np.int8, np.uint8)  # in Parquet and Arrow; all others become float32


def check_vector_suffix(path: FilePath) -> None:
    """Refuse a file name that write_vectors cannot write, before hours of work.

    Raises ValueError for another suffix than .npy, .parquet or .arrow; ImportError where it needs a missing package.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"cannot write vectors to {str(path)!r}; give a name that ends in .npy, .parquet or .arrow")
    if suffix != ".npy":
        with extra("data", "Writing Parquet" if suffix == ".parquet" else "Writing Arrow"):
            import pyarrow  # noqa: F401


def write_vectors(
    path: FilePath, vectors: NDArray[np.generic], columns: Mapping[str, Sequence[object]] | None = None
) -> None:
    """Write ``vectors`` (n, dim) to a .npy, Parquet or Arrow IPC file that appears whole or not at all.

    A .npy file holds the array alone, as it is. The others hold the ``columns``, each of n values, and the column
    "vector": lists of dim numbers, int8 and uint8 as they are and all else as float32.

    Raises ValueError for another suffix, for vectors of another shape and for columns that do not fit.
    """
    check_vector_suffix(path)
    if vectors.ndim != 2 and vectors.shape != (0,):  # (0,) is what encoding no texts gives
        raise ValueError(f"vectors must have the shape (n, dim), not {vectors.shape}")
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        with whole_file(path) as temporary, temporary.open("wb") as file:  # np.save would add .npy to a name in .NPY
            np.save(file, vectors, allow_pickle=False)
        return
    table = vector_table(vectors, columns or {})
    with whole_file(path) as temporary:
        if suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, temporary, row_group_size=VECTORS_PER_ROW_GROUP)
        else:
            import pyarrow

            with pyarrow.OSFile(str(temporary), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=VECTORS_PER_ROW_GROUP)


def read_vectors(path: Path) -> tuple[NDArray[Any], dict[str, list[object]]]:
    """What write_vectors wrote: the vectors (n, dim) and the columns beside them; all of it is in memory then."""
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False), {}
    import pyarrow
    from pyarrow import parquet

    is_parquet = path.suffix.lower() == ".parquet"
    table = parquet.read_table(path) if is_parquet else pyarrow.ipc.open_file(pyarrow.OSFile(str(path))).read_all()
    numbers = table["vector"].combine_chunks().flatten().to_numpy()
    columns = {name: table[name].to_pylist() for name in table.column_names if name != "vector"}
    return numbers.reshape(len(table), -1), columns


def vector_table(vectors: NDArray[np.generic], columns: Mapping[str, Sequence[object]]) -> Any:
    """A pyarrow Table of the ``columns`` and, last, the column "vector".

    Raises ValueError for columns that do not fit.
    """
    import pyarrow

    table = {}
    for name, values in columns.items():
        if name == "vector":
            raise ValueError("the column 'vector' is that of the vectors; give yours another name")
        if len(values) != len(vectors):
            raise ValueError(f"the column {name!r} has {len(values)} values for {len(vectors)} vectors")
        try:
            table[name] = pyarrow.array(values)
        except (ValueError, TypeError) as error:
            raise ValueError(f"the column {name!r} cannot be written to Parquet: {error}") from error
    dtype = vectors.dtype if vectors.dtype in KEPT_DTYPES else np.float32
    numbers = pyarrow.array(np.ascontiguousarray(vectors, dtype=dtype).reshape(-1))
    table["vector"] = pyarrow.FixedSizeListArray.from_arrays(numbers, vectors.shape[-1] or 1)  # Arrow has no lists of 0
    return pyarrow.table(table)


def join_vectors(parts: Sequence[Path], path: Path) -> None:
    """Write what the files ``parts`` hold, one after the other, to ``path``; one part is in memory at a time.

    All have the suffix of ``path``, and vectors of one dtype and dimension. What is written is on the disk, not only
    in the system's memory, before the name ``path`` is: the parts may be removed then.

    Raises ValueError where the parts do not fit together.
    """
    with whole_file(path) as temporary:
        JOIN[path.suffix.lower()](parts, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


def _join_npy(parts: Sequence[Path], path: Path) -> None:
    shapes = {}
    for part in parts:
        array = np.load(part, mmap_mode="r", allow_pickle=False)
        shapes[part] = (array.shape, array.dtype)
    (_, dimension), dtype = shapes[parts[0]]
    for part, found in shapes.items():
        if found[0][1:] != (dimension,) or found[1] != dtype:
            raise ValueError(f"{part} holds vectors of another kind than {parts[0]}; make the parts anew")
    total = sum(shape[0] for shape, _ in shapes.values())
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (total, dimension)}
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for part in parts:
            with part.open("rb") as vectors:
                npy.read_magic(vectors)
                npy.read_array_header_1_0(vectors)
                shutil.copyfileobj(vectors, file, 1 << 20)


def _join_parquet(parts: Sequence[Path], path: Path) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(path, parquet.read_schema(parts[0])) as writer:
        for part in parts:
            writer.write_table(parquet.read_table(part), row_group_size=VECTORS_PER_ROW_GROUP)


def _join_arrow(parts: Sequence[Path], path: Path) -> None:
    import pyarrow

    def opened(part: Path) -> Any:
        return pyarrow.ipc.open_file(pyarrow.OSFile(str(part), "rb"))

    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, opened(parts[0]).schema) as writer:
        for part in parts:
            reader = opened(part)
            for number in range(reader.num_record_batches):
                writer.write_batch(reader.get_batch(number))


JOIN: dict[str, Callable[[Sequence[Path], Path], None]] = {
    ".npy": _join_npy,
    ".parquet": _join_parquet,
    ".arrow": _join_arrow,
}
