"""Augmented SBERT: a cross-encoder scores new pairs, and the bi-encoder learns from those too.

Thakur et al. 2021, https://arxiv.org/abs/2010.08240, section 3: people's scores (gold) train a cross-encoder, which
labels pairs that nobody has scored (silver). The steps are functions here, to be called one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likewise.search.lexical import LexicalIndex
from likewise.search.semantic import top_k as nearest_rows
from likewise.training.data import training_data

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder
    from likewise.sentence_transformer import SentenceTransformer

Pair: TypeAlias = tuple[str, str]
Neighbours: TypeAlias = Sequence[Sequence[int]]  # for each text the row numbers of others, nearest first


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of texts, and how alike they are, (pairs,): from 0, nothing in common, to 1, the same.

    Raises:
        ValueError: There is not one score for each pair, or one is not from 0 to 1.
    """

    pairs: Sequence[Pair]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.pairs),):
            raise ValueError(f"there are {len(self.pairs)} pairs, but scores of the shape {self.scores.shape}")
        wrong = np.flatnonzero(~((self.scores >= 0) & (self.scores <= 1)))
        if len(wrong):
            raise ValueError(f"scores must be from 0 to 1, but that of pair {wrong[0]} is {self.scores[wrong[0]]:g}")

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def texts(self) -> list[str]:
        """Each different text once, in the order of the pairs."""
        return list(dict.fromkeys(chain.from_iterable(self.pairs)))

    def columns(self) -> dict[str, list[Any]]:
        """What a trainer takes: sentence1, sentence2, score."""
        first, second = ([pair[side] for pair in self.pairs] for side in (0, 1))
        return {"sentence1": first, "sentence2": second, "score": self.scores.tolist()}

    def swapped(self) -> ScoredPairs:
        """The pairs, and behind them each once more with its texts swapped."""
        return ScoredPairs([*self.pairs, *((second, first) for first, second in self.pairs)], np.tile(self.scores, 2))

    def and_also(self, others: ScoredPairs) -> ScoredPairs:
        """These pairs and, behind them, ``others``."""
        return ScoredPairs([*self.pairs, *others.pairs], np.concatenate([self.scores, others.scores]))


@dataclass(frozen=True)
class Learning:
    """How a model is trained: the paper's settings, where nothing else is said."""

    epochs: float = 1.0
    learning_rate: float = 2e-5  # reached after a tenth of the steps
    batch_size: int = 16
    bf16: bool = False
    seed: int = 42
    shows_progress: bool = False

    def arguments(self, folder: str) -> dict[str, Any]:
        """The same as arguments of a trainer that keeps nothing in ``folder``."""
        return {
            "output_dir": folder,
            "num_train_epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "warmup_ratio": 0.1,
            "per_device_train_batch_size": self.batch_size,
            "bf16": self.bf16,
            "seed": self.seed,
            "save_strategy": "no",
            "logging_steps": 0.1,
            "disable_tqdm": not self.shows_progress,
        }


def gold_pairs(
    source: object, columns: Sequence[str] | None = None, label: str | None = None, label_scale: float = 1.0
) -> ScoredPairs:
    """The pairs that people have scored: two columns of text and a score in anything that ``training_data`` reads.

    Scores are divided by ``label_scale``: 5, where people gave 0 to 5.

    Raises:
        OSError: The file cannot be read.
        ValueError: There are not two columns of text and a score, or it is not from 0 to 1 after the division.
    """
    data = training_data(source, columns=columns, label=label, name="the gold pairs")
    if len(data.columns) != 2 or data.labels is None or data.labels.ndim != 1 or data.classes:
        label_told = "no label" if data.label_name is None else f"the label {data.label_name!r}"
        raise ValueError(
            f"gold pairs are two columns of text and a score, but there are {', '.join(map(repr, data.columns))} and "
            f"{label_told}; say which columns and which label"
        )
    if label_scale <= 0:
        raise ValueError(f"label_scale must be above 0, not {label_scale:g}: scores are divided by it")
    scores = (data.labels / label_scale).astype(np.float32)
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError(
            f"the scores go from {scores.min():g} to {scores.max():g}, and must be from 0 to 1; for scores from 0 to 5 "
            "the label scale is 5"
        )
    return ScoredPairs(list(zip(*data.columns.values(), strict=True)), scores)


def train_cross_encoder(model: CrossEncoder, gold: ScoredPairs, learning: Learning) -> None:
    """Train ``model`` on each gold pair and on the same swapped; its scores are from 0 to 1 then.

    Raises:
        ValueError: The model gives more than one score for a pair.
        ImportError: The extra "train" is not installed.
    """
    from torch import nn

    from likewise.cross_encoder.losses import BinaryCrossEntropyLoss
    from likewise.cross_encoder.trainer import CrossEncoderTrainer, CrossEncoderTrainingArguments

    model.activation_fn = nn.Sigmoid()  # which the loss takes for granted; a model made for ranking has none
    with TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(**learning.arguments(folder))
        CrossEncoderTrainer(model, arguments, gold.swapped().columns(), loss=BinaryCrossEntropyLoss).train()


def train_bi_encoder(model: SentenceTransformer, pairs: ScoredPairs, learning: Learning) -> None:
    """Train ``model`` so that the cosine of two texts is their score.

    Raises:
        ImportError: The extra "train" is not installed.
    """
    from likewise.losses import CosineSimilarityLoss
    from likewise.training.arguments import SentenceTransformerTrainingArguments
    from likewise.training.trainer import SentenceTransformerTrainer

    with TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(**learning.arguments(folder))
        SentenceTransformerTrainer(model, arguments, pairs.columns(), loss=CosineSimilarityLoss).train()


def lexical_neighbours(texts: Sequence[str], top_k: int) -> Neighbours:
    """For each text up to ``top_k`` others that are nearest to it by BM25.

    Raises:
        ImportError: The extra "search" is not installed.
    """
    found = LexicalIndex(texts).search(texts, top_k + 1)
    return [_others(row, [int(hit["corpus_id"]) for hit in hits], top_k) for row, hits in enumerate(found)]


def semantic_neighbours(
    texts: Sequence[str], top_k: int, model: SentenceTransformer, shows_progress: bool = False
) -> Neighbours:
    """For each text the ``top_k`` others whose vectors have the highest cosine with its own."""
    vectors = model.encode(texts, show_progress_bar=shows_progress)
    _, found = nearest_rows(vectors, vectors, top_k + 1)
    return [_others(row, nearest, top_k) for row, nearest in enumerate(found.tolist())]


def _others(row: int, found: Sequence[int], top_k: int) -> list[int]:
    return [other for other in found if other != row][:top_k]


def new_pairs(gold: ScoredPairs, neighbours: Iterable[Neighbours]) -> list[Pair]:
    """Each text of ``gold.texts`` with its neighbours: no pair that is gold already, none twice, in either order."""
    texts = gold.texts
    known = {frozenset(pair) for pair in gold.pairs}
    found = []
    for of_texts in neighbours:
        for row, others in enumerate(of_texts):
            for other in others:
                pair = (texts[row], texts[other])
                if frozenset(pair) not in known:
                    known.add(frozenset(pair))
                    found.append(pair)
    return found


def labelled(model: CrossEncoder, pairs: Sequence[Pair], shows_progress: bool = False) -> ScoredPairs:
    """The pairs with the scores of a cross-encoder that ``train_cross_encoder`` has trained.

    Raises:
        ValueError: A score is not from 0 to 1: the model was not trained so.
    """
    return ScoredPairs(pairs, model.predict(pairs, show_progress_bar=shows_progress))
