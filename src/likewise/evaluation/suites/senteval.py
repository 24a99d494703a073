"""SentEval's transfer tasks: what a linear classifier learns from frozen embeddings.

Conneau & Kiela 2018; the seven tasks of Reimers & Gurevych 2019, Table 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.columns import checked_texts, embed_once
from likewise.evaluation.suites.score import Score
from likewise.evaluation.suites.source import HubPart, Source, read
from likewise.extras import extra
from likewise.files import FilePath

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Features = NDArray[np.float32]  # (rows, features)

FOLDS = 10
TOLERANCE = 1e-5  # of the gradient; at scikit-learn's own, 1e-4, weights are still far from their end
SEED = 1111  # SentEval's
STRENGTHS = [2.0**power for power in range(-2, 4)]  # C, the inverse of the regularisation
STRENGTHS_ON_TRAIN = [2.0**power for power in range(-1, 6)]  # of those tasks that have a test set and no other


@dataclass(frozen=True)
class Task:
    """A data set, and how it is split."""

    source: Source
    texts: tuple[str, ...] = ("text",)  # its columns of text
    splits: tuple[str, ...] = ()  # none: everything is cross-validated


def _hub(name: str, splits: dict[str, str], config: str | None = None, **columns: str) -> list[HubPart]:
    columns = columns or {"text": "text", "label": "label"}
    return [HubPart(name, there, columns, config, {"split": here}) for there, here in splits.items()]


TASKS = {
    "MR": Task(
        Source(
            "senteval/mr",
            _hub("cornell-movie-review-data/rotten_tomatoes", dict.fromkeys(("train", "validation", "test"), "")),
        )
    ),
    "CR": Task(Source("senteval/cr", _hub("SetFit/SentEval-CR", {"train": "", "test": ""}))),
    "SUBJ": Task(Source("senteval/subj", _hub("SetFit/subj", {"train": "", "test": ""}))),
    "MPQA": Task(Source("senteval/mpqa", _hub("jxm/mpqa", {"train": "", "test": ""}))),
    "SST2": Task(
        Source(
            "senteval/sst2",
            [
                *_hub("stanfordnlp/sst2", {"train": "train", "validation": "dev"}, text="sentence", label="label"),
                *_hub("SetFit/sst2", {"test": "test"}),
            ],
        ),
        splits=("train", "dev", "test"),
    ),
    "TREC": Task(
        Source(
            "senteval/trec",
            _hub("SetFit/TREC-QC", {"train": "train", "test": "test"}, text="text", label="label_coarse"),
        ),
        splits=("train", "test"),
    ),
    "MRPC": Task(
        Source(
            "senteval/mrpc",
            _hub(
                "nyu-mll/glue",
                {"train": "train", "validation": "train", "test": "test"},
                "mrpc",
                sentence1="sentence1",
                sentence2="sentence2",
                label="label",
            ),
        ),
        ("sentence1", "sentence2"),
        ("train", "test"),
    ),
}


def senteval(model: SentenceTransformer, folder: FilePath | None = None, show_progress: bool = False) -> list[Score]:
    """The accuracy, times 100, of logistic regression on the embeddings, on each of the seven tasks, and their mean.

    As in SentEval with its scikit-learn classifier and 10 folds: MR, CR, SUBJ and MPQA are cross-validated in 10
    stratified folds, and within each training part the strength of the regularisation (C from 2⁻² to 2³) is chosen by
    10 inner folds; SST2 chooses it on its development set; TREC and MRPC choose it (from 2⁻¹ to 2⁵) by 10 folds of
    their training set; then a classifier on the whole training set is tested. The folds are drawn with SentEval's seed.
    MRPC's features are |u − v| and u ∗ v, end to end; the others' are the embedding.

    Not as in SentEval: the solver is L-BFGS, scikit-learn's present default, which does not regularise the bias and
    fits the six classes of TREC by one softmax; the default of its time, liblinear, regularised it and fitted each
    class against the rest. Accuracies are not rounded before they are compared. Of MRPC there is no F1. The texts are
    those of the files, with no tokenising before the model's own.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A column is missing, or a value is not right.
        ImportError: The extra "evaluate" is not installed.
    """
    with extra("evaluate", "SentEval"):
        import sklearn  # noqa: F401 - before minutes of work
    rows = {name: read(task.source, folder, _columns(task)) for name, task in TASKS.items()}
    texts = [
        checked_texts(2 * FOLDS, **{f"{name}, {column}": [row[column] for row in rows[name]]})[0]
        for name, task in TASKS.items()
        for column in task.texts
    ]
    vectors = iter(embed_once(model.encode, texts, show_progress_bar=show_progress))
    scores = []
    for name, task in _watched(show_progress):
        columns = [next(vectors) for _ in task.texts]
        features = columns[0] if len(columns) == 1 else pair_features(*columns)
        labels = np.array([str(row["label"]) for row in rows[name]])
        splits = np.array([row["split"] for row in rows[name]]) if task.splits else None
        parts = [np.flatnonzero(splits == split) for split in task.splits]
        accuracy = transfer_accuracy(features, labels, parts)
        scores.append(Score(name, "accuracy", 100 * accuracy, len(parts[-1]) if parts else len(labels)))
    return [*scores, Score("average", "accuracy", float(np.mean([score.value for score in scores])))]


def pair_features(u: Features, v: Features) -> Features:
    """What a classifier sees of a pair, |u − v| and u ∗ v: (rows, dim) twice → (rows, 2 · dim)."""
    return np.concatenate([np.abs(u - v), u * v], axis=1)


def transfer_accuracy(
    features: Features, labels: NDArray[Any], parts: Sequence[NDArray[np.intp]] = (), folds: int = FOLDS
) -> float:
    """The accuracy of logistic regression on ``features``, for classes ``labels`` (rows,).

    ``parts`` are the rows of the training, the development and the test set; of the training and the test set; or
    nothing, and all rows are cross-validated.
    """
    if len(parts) == 3:
        train, development, test = parts
        strength = _strongest(features, labels, [(train, development)], STRENGTHS)
        return _accuracy(features, labels, train, test, strength)
    if len(parts) == 2:
        train, test = parts
        strength = _strongest(features, labels, _folds(labels, train, folds), STRENGTHS_ON_TRAIN)
        return _accuracy(features, labels, train, test, strength)
    found = []
    for train, test in _folds(labels, np.arange(len(labels)), folds):
        strength = _strongest(features, labels, _folds(labels, train, folds), STRENGTHS)
        found.append(_accuracy(features, labels, train, test, strength))
    return float(np.mean(found))


def _folds(labels: NDArray[Any], rows: NDArray[np.intp], folds: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The training and the test part of ``rows``, once for each fold."""
    from sklearn.model_selection import StratifiedKFold

    cut = StratifiedKFold(folds, shuffle=True, random_state=SEED).split(rows, labels[rows])
    return [(rows[train], rows[test]) for train, test in cut]


def _strongest(
    features: Features,
    labels: NDArray[Any],
    cuts: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    strengths: Sequence[float],
) -> float:
    """The C with the highest mean accuracy over ``cuts``, the smallest of several."""
    means = [np.mean([_accuracy(features, labels, *cut, strength) for cut in cuts]) for strength in strengths]
    return strengths[int(np.argmax(means))]


def _accuracy(
    features: Features, labels: NDArray[Any], train: NDArray[np.intp], test: NDArray[np.intp], strength: float
) -> float:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # scikit-learn brings it

    classifier = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=1000)
    with threadpool_limits(1):  # the products are small: a second thread only waits, long where cores are busy
        return float(classifier.fit(features[train], labels[train]).score(features[test], labels[test]))


def _columns(task: Task) -> tuple[str, ...]:
    return (*task.texts, "label", *(("split",) if task.splits else ()))


def _watched(show_progress: bool) -> Iterator[tuple[str, Task]]:
    from tqdm import tqdm

    with tqdm(TASKS.items(), desc="Classifying", disable=not show_progress) as bar:
        for name, task in bar:
            bar.set_postfix_str(name)
            yield name, task
