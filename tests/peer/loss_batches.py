"""Batches of given embeddings and labels, for losses: ordinary ones and those at the edge of what is defined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Labels = Callable[[np.random.RandomState, int], Array]  # the number of rows → their labels
WIDTH = 6  # of every embedding
WITHOUT_LENGTH = ("a zero vector",)  # it has no direction, so neither has a cosine's gradient


@dataclass(frozen=True)
class Batch:
    """Embedded columns, (rows, WIDTH) each, and the labels of the rows."""

    columns: Sequence[NDArray[np.float32]]
    labels: Array | None = None


def batches(columns: int, labels: Labels | None = None, without: Sequence[str] = ()) -> dict[str, Batch]:
    """Batches of 1 to 8 rows, ordinary ones and others, but for those named in ``without``."""

    def drawn(seed: int, rows: int = 8) -> Batch:
        # RandomState draws the same numbers in every version of numpy; a Generator need not.
        random = np.random.RandomState(seed)
        vectors = [random.standard_normal((rows, WIDTH)).astype(np.float32) for _ in range(columns)]
        return Batch(vectors, labels(random, rows) if labels else None)

    found = {f"{rows} rows, seed {seed}": drawn(seed, rows) for seed, rows in enumerate((8, 8, 5))}
    found |= {"one row": drawn(5, 1), "two rows": drawn(6, 2)}
    for name, factor in {"short vectors": 0.05, "long vectors": 5}.items():
        found[name] = drawn(7)
        for vectors in found[name].columns:
            vectors *= np.float32(factor)
    found["equal rows"] = drawn(8)
    for vectors in found["equal rows"].columns:
        vectors[4:] = vectors[:4]
    found["a zero vector"] = drawn(9)
    found["a zero vector"].columns[-1][1] = 0
    if columns > 1:
        found["equal columns"] = drawn(10)
        found["equal columns"].columns[-1][:3] = found["equal columns"].columns[0][:3]
    if labels:
        for seed in (11, 12):
            one = drawn(seed)
            assert one.labels is not None
            found[f"equal labels, seed {seed}"] = Batch(one.columns, np.repeat(one.labels[:1], 8, axis=0))
            if one.labels.ndim == 1:
                found["labels in a column"] = Batch(one.columns, one.labels[:, None])
    return {name: batch for name, batch in found.items() if name not in without}


def classes(random: np.random.RandomState, rows: int) -> Array:
    """(rows,), 0 to 2."""
    return random.randint(0, 3, rows)


def binary(random: np.random.RandomState, rows: int) -> Array:
    """(rows,), 0 or 1."""
    return random.randint(0, 2, rows)


def similarities(random: np.random.RandomState, rows: int) -> Array:
    """(rows,), 0 to 1, with ties."""
    return (random.randint(0, 6, rows) / 5).astype(np.float32)


def as_floats(labels: Labels) -> Labels:
    """The same numbers in float32."""
    return lambda random, rows: labels(random, rows).astype(np.float32)


def numbers(*shape: int) -> Labels:
    """(rows, *shape), of any size."""
    return lambda random, rows: random.standard_normal((rows, *shape)).astype(np.float32)


def narrower(found: dict[str, Batch]) -> dict[str, Batch]:
    """The same batches with one dimension less, so an odd number of them."""
    return {
        f"{name}, {WIDTH - 1} dimensions": Batch([vectors[:, :-1] for vectors in batch.columns], batch.labels)
        for name, batch in found.items()
    }


def named(prefix: str, found: dict[str, Batch]) -> dict[str, Batch]:
    """The same batches under names with a ``prefix``."""
    return {f"{prefix}, {name}": batch for name, batch in found.items()}
