"""What every loss is asked for, here and in sentence-transformers. Needs neither; a loss adds an entry to LOSSES.

A case is a loss with some arguments on a batch of given embeddings, so no model is in it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Package(Protocol):
    """likewise or sentence-transformers."""

    @property
    def losses(self) -> Any:
        """The module of the losses."""

    @property
    def util(self) -> Any:
        """The module of the similarities."""


Array = NDArray[Any]
Arguments = Callable[[Package], dict[str, Any]]  # the arguments of a loss, other than the model
Labels = Callable[[np.random.RandomState, int], Array]  # the number of rows → their labels
WIDTH = 6  # of every embedding
WITHOUT_LENGTH = ("a zero vector",)  # it has no direction, so neither has a cosine's gradient


@dataclass(frozen=True)
class Batch:
    """Embedded columns, (rows, WIDTH) each, and the labels of the rows."""

    columns: Sequence[NDArray[np.float32]]
    labels: Array | None = None


@dataclass(frozen=True)
class LossCases:
    """One loss: each of its ``variants`` is computed on each of its ``batches``."""

    batches: Mapping[str, Batch]
    variants: Mapping[str, Arguments] = field(default_factory=lambda: {"default": lambda package: {}})


def batches(columns: int, labels: Labels | None = None, without: Sequence[str] = ()) -> dict[str, Batch]:
    """Batches of 1 to 12 rows, and those at the edge of what is defined, but for those named in ``without``."""

    def drawn(seed: int, rows: int) -> Batch:
        # RandomState draws the same numbers in every version of numpy; a Generator need not.
        random = np.random.RandomState(seed)
        vectors = [random.standard_normal((rows, WIDTH)).astype(np.float32) for _ in range(columns)]
        return Batch(vectors, labels(random, rows) if labels else None)

    def with_columns(batch: Batch, change: Callable[[list[NDArray[np.float32]]], None]) -> Batch:
        changed = [column.copy() for column in batch.columns]
        change(changed)
        return Batch(changed, batch.labels)

    def repeat_rows(vectors: list[NDArray[np.float32]]) -> None:
        for column in vectors:
            column[4:] = column[:4]

    def repeat_columns(vectors: list[NDArray[np.float32]]) -> None:
        vectors[-1][:3] = vectors[0][:3]

    def empty_a_vector(vectors: list[NDArray[np.float32]]) -> None:
        vectors[-1][1] = 0

    found = {f"{rows} rows, seed {seed}": drawn(seed, rows) for seed, rows in enumerate((8, 8, 8, 5, 12))}
    found |= {
        "one row": drawn(5, 1),
        "two rows": drawn(6, 2),
        "short vectors": drawn(7, 8),
        "long vectors": drawn(8, 8),
    }
    for column in found["short vectors"].columns:
        column *= np.float32(0.05)
    for column in found["long vectors"].columns:
        column *= np.float32(5)
    found["equal rows"] = with_columns(drawn(9, 8), repeat_rows)
    found["a zero vector"] = with_columns(drawn(10, 8), empty_a_vector)
    if columns > 1:
        found["equal columns"] = with_columns(drawn(11, 8), repeat_columns)
    if labels:
        one, other = drawn(12, 8), drawn(13, 8)
        assert one.labels is not None
        assert other.labels is not None
        found["equal labels"] = Batch(one.columns, np.repeat(one.labels[:1], 8, axis=0))
        found["labels in a column"] = Batch(other.columns, other.labels.reshape(8, -1))
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


def numbers(count: int) -> Labels:
    """(rows, count), of any size; (rows,) for one number."""

    def drawn(random: np.random.RandomState, rows: int) -> Array:
        found = random.standard_normal((rows, count)).astype(np.float32)
        return found[:, 0] if count == 1 else found

    return drawn


LOSSES: dict[str, LossCases] = {
    "CosineSimilarityLoss": LossCases(
        batches(2, similarities, without=WITHOUT_LENGTH),
        {
            "default": lambda package: {},
            "absolute error": lambda package: {"loss_fct": _torch().L1Loss()},
            "transformed": lambda package: {"cos_score_transformation": _torch().Sigmoid()},
        },
    ),
}


def cases(loss: str) -> Iterator[tuple[str, Batch, Arguments]]:
    """Of one loss: a case's name, its batch and its arguments."""
    for variant, arguments in LOSSES[loss].variants.items():
        for name, batch in LOSSES[loss].batches.items():
            yield f"{variant}: {name}", batch, arguments


def _torch() -> Any:
    from torch import nn

    return nn
