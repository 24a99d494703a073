"""Suites: data sets that whole papers report, evaluated as they do."""

from likewise.evaluation.suites.beir import beir
from likewise.evaluation.suites.pairs import pairs
from likewise.evaluation.suites.score import Score
from likewise.evaluation.suites.senteval import senteval
from likewise.evaluation.suites.sts import sts

__all__ = ["Score", "beir", "pairs", "senteval", "sts"]
