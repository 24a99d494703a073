"""The seven tasks of semantic textual similarity that the paper reports (Reimers & Gurevych 2019, Table 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.evaluation.columns import checked_numbers, checked_texts, embed_once
from likewise.evaluation.correlation import spearman
from likewise.evaluation.suites.score import Score
from likewise.evaluation.suites.source import HubPart, Source, read
from likewise.files import FilePath
from likewise.similarity import pairwise_cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

COLUMNS = ("sentence1", "sentence2", "score")


def _source(file: str, hub_name: str) -> Source:
    return Source(file, [HubPart(hub_name, "test", {column: column for column in COLUMNS})])


TASKS = {
    "STS12": _source("sts/sts12_test", "mteb/sts12-sts"),
    "STS13": _source("sts/sts13_test", "mteb/sts13-sts"),
    "STS14": _source("sts/sts14_test", "mteb/sts14-sts"),
    "STS15": _source("sts/sts15_test", "mteb/sts15-sts"),
    "STS16": _source("sts/sts16_test", "mteb/sts16-sts"),
    "STSb": _source("sts/stsb_test", "mteb/stsbenchmark-sts"),
    "SICK-R": _source("sts/sick", "mteb/sickr-sts"),
}
SICK_TEST = "SICK-R, the test pairs, as the paper counts"
SICK_ALL = "SICK-R, all pairs, as MTEB counts"


def sts(model: SentenceTransformer, folder: FilePath | None = None, show_progress: bool = False) -> list[Score]:
    """Spearman's correlation of cosines with people's scores, times 100, on each of the seven tasks.

    One correlation over all subsets of a year together, as the paper counts (and SimCSE calls "all"), not the mean of
    the subsets' correlations. SICK-R is told twice: over its 4,927 test pairs, as in the paper, and over all 9,927, as
    MTEB counts; the Hub's copy does not say which the test pairs are, so it gives the latter alone. So there are two
    averages. Each text is embedded once, whichever tasks share it.

    ``folder`` is laid out as TASKS says, with the columns sentence1, sentence2 and score; that of SICK has one called
    split, too.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A column is missing, or a value is not right.
    """
    tasks = _tasks(folder)
    columns = [column for rows in tasks.values() for column in _texts(rows)]
    vectors = iter(embed_once(model.encode, columns, show_progress_bar=show_progress))
    scores = []
    for task, rows in tasks.items():
        cosines = pairwise_cos_sim(next(vectors), next(vectors))  # (pairs,)
        gold = checked_numbers("score", (row["score"] for row in rows))
        scores.append(Score(task, "spearman", 100 * spearman(gold, cosines), len(rows)))
    return scores + _averages(scores)


def _tasks(folder: FilePath | None) -> dict[str, list[dict[str, Any]]]:
    tasks = {}
    for name, source in TASKS.items():
        if name != "SICK-R":
            tasks[name] = read(source, folder, COLUMNS)
            continue
        rows = read(source, folder, COLUMNS if folder is None else (*COLUMNS, "split"))
        if folder is not None:
            tasks[SICK_TEST] = [row for row in rows if row["split"] == "test"]
        tasks[SICK_ALL] = rows
    return tasks


def _texts(rows: list[dict[str, Any]]) -> list[list[str]]:
    return checked_texts(2, **{name: [row[name] for row in rows] for name in COLUMNS[:2]})


def _averages(scores: list[Score]) -> list[Score]:
    """The mean of the seven tasks, with either count of SICK-R."""
    found = {score.task: score.value for score in scores}
    six = [value for task, value in found.items() if task in TASKS]
    counts = {SICK_TEST: "average with the test pairs of SICK-R", SICK_ALL: "average with all pairs of SICK-R"}
    return [
        Score(name, "spearman", float(np.mean([*six, found[sick]]))) for sick, name in counts.items() if sick in found
    ]
