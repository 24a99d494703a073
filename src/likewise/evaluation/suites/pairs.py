"""A file of pairs with scores, of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from likewise.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from likewise.evaluation.suites.score import Score
from likewise.files import FilePath, read_rows

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

COLUMNS = ("sentence1", "sentence2", "score")


def pairs(
    model: SentenceTransformer, file: FilePath, columns: Sequence[str] = COLUMNS, show_progress: bool = False
) -> list[Score]:
    """Spearman's and Pearson's correlation, times 100, of the model's similarities with the scores of a file.

    ``file`` is CSV, TSV, JSONL or Parquet; ``columns`` are its two texts and its score.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, or a value is not right.
    """
    rows = [row.values for row in read_rows(file, columns)]
    first, second, scores = ([row[name] for row in rows] for name in columns)
    evaluator = EmbeddingSimilarityEvaluator(first, second, scores, show_progress_bar=show_progress)  # type: ignore[arg-type]
    found = evaluator.measure(model)
    name = str(file)
    return [
        Score(name, key, 100 * found[key], len(rows))
        for key in sorted(found, reverse=True)  # Spearman's first
    ]
