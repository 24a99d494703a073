"""What an index needs of a model, of a re-ranker, and of what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from likewise.search.index.rows import IndexRow
from likewise.search.index.store import TABLES, Record
from likewise.similarity import normalize_embeddings


class EmbeddingModel(Protocol):
    """What an index needs of a model; SentenceTransformer has it."""

    name: str
    similarity_fn_name: str

    @property
    def fingerprint(self) -> str:
        """What tells it from other models."""

    def encode_query(self, inputs: Any) -> Any:
        """Texts → vectors (texts, dim), for what is asked."""

    def encode_document(self, inputs: Any) -> Any:
        """Texts → vectors (texts, dim), for what is found."""


class Scorer(Protocol):
    """A re-ranker with ``predict``; CrossEncoder has it."""

    def predict(self, pairs: Any) -> Any:
        """Pairs of question and text → a score for each."""


Rerank = Callable[[str, list[str]], Iterable[float]]


def check_model(path: Path, record: Record, model: EmbeddingModel) -> None:
    """Raise ValueError where the index ``path`` was made with another model."""
    if model.fingerprint != record.fingerprint:
        raise ValueError(
            f"the index {path} was made with the model {record.model} (fingerprint {record.fingerprint}), not with "
            f"{model.name} ({model.fingerprint}), whose vectors mean something else; use {record.model}, or embed "
            f"the index again with: likewise index update {path} --model {model.name}"
        )


def lasting_name(model: EmbeddingModel) -> str:
    """The model's name, from wherever it is asked for: of a folder, the whole path."""
    return str(Path(model.name).resolve()) if Path(model.name).is_dir() else model.name


def table_name(model: EmbeddingModel, dimension: int) -> str:
    """What the table of the model's vectors is called."""
    kept = "".join(character for character in model.fingerprint if character.isalnum())[:32]
    return f"{TABLES}{kept}_{dimension}"


def dimension_of(model: EmbeddingModel) -> int:
    """How many numbers a vector of the model has."""
    return int(np.asarray(model.encode_query(["a text"])).shape[1])


def embedded(path: Path, record: Record, rows: Sequence[IndexRow], model: EmbeddingModel) -> NDArray[np.float32]:
    """The vectors of rows, as the table has them: (rows, dim)."""
    if not rows:
        return np.zeros((0, record.dimension), np.float32)
    vectors = model.encode_document([row.passage_text for row in rows])
    return checked_vectors(path, record, vectors, [f"{row.source}, line {row.line}" for row in rows])


def checked_vectors(path: Path, record: Record, vectors: Any, places: Sequence[str]) -> NDArray[np.float32]:
    """``vectors`` (texts, dim) as the table has them: of length 1 where the cosine counts.

    Raises ValueError where they do not fit, or hold what is no number.
    """
    found = np.asarray(vectors, dtype=np.float32)
    if found.shape != (len(places), record.dimension):
        raise ValueError(
            f"the model gives vectors of shape {found.shape}, where the index {path} has "
            f"{record.dimension} dimensions; embed it again with: likewise index update {path} --model"
        )
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise ValueError(f"the model gives a vector that is not finite for {places[bad[0]]}; use another dtype")
    return normalize_embeddings(found) if record.similarity == "cosine" else found


def reranked(query: str, found: list[tuple[IndexRow, float]], rerank: Rerank | Scorer) -> list[tuple[IndexRow, float]]:
    """What was found, in the order of the re-ranker's scores."""
    texts = [row.passage_text for row, _ in found]
    if not texts:
        return []
    predict = getattr(rerank, "predict", None)
    scores = rerank(query, texts) if predict is None else predict([(query, text) for text in texts])  # type: ignore[operator]
    judged = [(row, float(score)) for (row, _), score in zip(found, scores, strict=True)]
    return sorted(judged, key=lambda hit: -hit[1])
