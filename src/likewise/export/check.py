"""The written graph in onnxruntime, on padded batches, against the model's own vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.export.graph import INPUTS, OUTPUT
from likewise.tokens import TokenBatch

Feed = dict[str, NDArray[np.int64]]  # the graph's inputs by name, each (texts, length)

SENTENCES = (
    "Tea",
    "The kettle is boiling, and water for the tea is nearly ready.",
    "Why was the train from the coast late again?",
    "A boat on the river needs a permit between May and September; children under twelve wear a life jacket.",
    "2 + 2 = 4",
    "In winter the old bridge is closed to lorries over 7.5 tonnes, so the milk comes round by the mill road instead.",
    "",
)
TEXTS = (*SENTENCES, " ".join(SENTENCES[1:4] * 6))  # about 400 tokens: beyond ModernBERT's local window
LARGEST_DIFFERENCE = 1e-4  # of float32; where values are larger than 1, in parts of the largest
LOWEST_COSINES = {"float16": 0.999, "int8": 0.9}  # of weights that are rounded


@dataclass(frozen=True)
class Agreement:
    """How near the graph's vectors are to the model's own."""

    difference: float  # the largest between two values
    cosine: float  # the lowest between two vectors


def padded(batch: TokenBatch, padding_id: int, more: int = 0, side: str = "right") -> Feed:
    """The texts of a packed batch as the inputs of the graph, padded to the longest and ``more`` columns."""
    length = int(batch.lengths.max(initial=0)) + more
    ids = np.full((len(batch), length), padding_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, size in enumerate(batch.lengths):
        columns = slice(0, size) if side == "right" else slice(length - size, length)
        ids[row, columns] = batch.ids[batch.offsets[row] : batch.offsets[row + 1]]
        mask[row, columns] = 1
    return dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def agreement(path: Path, batch: TokenBatch, padding_id: int, expected: NDArray[np.float32], dtype: str) -> Agreement:
    """Compare the graph in ``path`` with ``expected``, the model's float32 vectors of the texts of ``batch``.

    Raises:
        ValueError: It does not run, or its vectors are further away than a graph in ``dtype`` may be.
    """
    run = _runner(path)
    difference, cosine = 0.0, 1.0
    for chosen, feed in _feeds(batch, padding_id):
        vectors = run(feed)[: len(chosen)]  # what comes after are rows of padding alone
        difference = max(difference, float(np.abs(vectors - expected[chosen]).max()))
        cosine = min(cosine, _lowest_cosine(vectors, expected[chosen]))
    if dtype == "float32":
        bound = LARGEST_DIFFERENCE * max(1.0, float(np.abs(expected).max()))
        is_near, allowed, advice = difference <= bound, f"a difference of {bound:.0e}", "please report it"
    else:
        bound = LOWEST_COSINES[dtype]
        is_near, allowed, advice = cosine >= bound, f"a cosine of {bound}", "float32 stays nearer"
    if not is_near:
        raise ValueError(
            f"the graph in {dtype} gives other vectors than the model: they differ by up to {difference:.1e}, the "
            f"lowest cosine is {cosine:.4f}, and {allowed} is allowed; nothing was written, {advice}"
        )
    return Agreement(difference, cosine)


def _feeds(batch: TokenBatch, padding_id: int) -> Iterator[tuple[NDArray[np.intp], Feed]]:
    """Padded batches, with the indices of their texts: all together, one alone, and several of equal length."""
    every = np.arange(len(batch))
    longest_first = np.argsort(-batch.lengths, kind="stable")
    together = padded(batch, padding_id, more=3)
    yield every, {name: np.concatenate([array, np.zeros_like(array[:1])]) for name, array in together.items()}
    for chosen in (longest_first[:1], longest_first[-1:], longest_first[[1, 1, 1]]):
        yield chosen, padded(batch.take(chosen), padding_id)


def _runner(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings tell of its own optimisations
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no public base
        raise ValueError(f"onnxruntime {onnxruntime.__version__} does not load the graph: {error}") from error

    def run(feed: Feed) -> NDArray[np.float32]:
        try:
            (vectors,) = session.run([OUTPUT], feed)
        except Exception as error:
            raise ValueError(f"onnxruntime {onnxruntime.__version__} does not run the graph: {error}") from error
        if not np.isfinite(vectors).all():
            raise ValueError("the graph gives values that are no numbers; nothing was written, please report it")
        return np.asarray(vectors)

    return run


def _lowest_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    products = (one.astype(np.float64) * other).sum(axis=1)
    is_zero = lengths == 0  # a text without tokens: zeros on both sides are the same
    return float(np.where(is_zero, 1.0, products / np.where(is_zero, 1.0, lengths)).min())
