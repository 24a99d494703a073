"""Re-ranking: how high the right documents of a query stand once a cross-encoder has ordered its candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.cross_encoder.evaluation.scored_pairs import predicted_scores, settings
from likewise.evaluation.columns import checked_texts
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.evaluation.ranking import average_precision, reciprocal_rank, tied_ndcg


@dataclass(frozen=True)
class Candidates:
    """What the model orders for one query."""

    query: str
    texts: list[str]
    labels: NDArray[np.int64]  # (candidates,), 1 for those that are right
    before: NDArray[np.int64] | None  # labels in the order of the documents given, then of the positives not among them


class CrossEncoderRerankingEvaluator(SentenceEvaluator):
    """MAP, MRR and nDCG of candidates ordered by the model's scores: "map", "mrr@10" and "ndcg@10", for ``at_k`` of 10.

    ``samples`` are mappings with "query", "positive" (the right documents: one text or several), and either of

    - "negative", the wrong ones, which are ordered together with the right ones;
    - "documents", what a search has found, best first. How well that order does is then measured too, as "base_map",
      "base_mrr@10" and "base_ndcg@10". Positives that the search has missed are ordered with the rest if
      ``always_rerank_positives``, which makes scores comparable between searches; else they are left out, as they
      would be in use. In the search's own order they stand last.

    A query without a right document among its candidates counts as 0. ``mrr_at_k`` is the older name of ``at_k``.
    Of equal scores the last given is taken for the higher in MRR: positives come first, and a model that gives every
    candidate the same score shall not win by that.

    Raises:
        ValueError: There is no sample, or one lacks a key or holds something else than text.
    """

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        at_k: int = 10,
        always_rerank_positives: bool = True,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        mrr_at_k: int | None = None,
    ):
        given = list(samples.values()) if isinstance(samples, Mapping) else list(samples)
        if not given:
            raise ValueError("samples holds no sample; give at least one")
        self.candidates = [_candidates(place, each, always_rerank_positives) for place, each in enumerate(given)]
        self.at_k = at_k if mrr_at_k is None else mrr_at_k
        if self.at_k < 1:
            raise ValueError(f"at_k must be at least 1, not {self.at_k}")
        self.always_rerank_positives = always_rerank_positives
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"CrossEncoderRerankingEvaluator{'_' * bool(name)}{name}_results_@{self.at_k}.csv"
        self.settings = settings(prompt_name, batch_size, show_progress_bar)
        self.primary_metric = self.key(f"ndcg@{self.at_k}")

    def measure(self, model: Any) -> dict[str, float]:
        """Means over all samples of the CrossEncoder ``model``; of the search's order over those with documents."""
        pairs = [(each.query, text) for each in self.candidates if each.labels.any() for text in each.texts]
        scores = predicted_scores(model, pairs, self.settings) if pairs else np.zeros(0)
        after, start = [], 0
        for each in self.candidates:
            stop = start + len(each.texts) * bool(each.labels.any())
            after.append(self._measured(each.labels, scores[start:stop]))
            start = stop
        before = [
            self._measured(each.before, -np.arange(len(each.before)))
            for each in self.candidates
            if each.before is not None
        ]
        keys = ("map", f"mrr@{self.at_k}", f"ndcg@{self.at_k}")
        metrics = dict(zip(keys, np.mean(after, axis=0).tolist(), strict=True))
        if before:
            metrics |= dict(zip([f"base_{key}" for key in keys], np.mean(before, axis=0).tolist(), strict=True))
        return metrics

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "MAP", "MRR@10", "NDCG@10"; what the search reached is left out, for it never changes."""
        return {key.upper(): metrics[key] for key in ("map", f"mrr@{self.at_k}", f"ndcg@{self.at_k}")}

    def get_config_dict(self) -> dict[str, Any]:
        """``at_k``, and ``always_rerank_positives`` where the samples have documents."""
        with_documents = any(each.before is not None for each in self.candidates)
        return {"at_k": self.at_k} | (
            {"always_rerank_positives": self.always_rerank_positives} if with_documents else {}
        )

    def _measured(self, labels: NDArray[np.int64], scores: NDArray[Any]) -> tuple[float, float, float]:
        """Average precision, reciprocal rank and nDCG of labels and scores, (candidates,) each."""
        if not labels.any():
            return 0.0, 0.0, 0.0
        return (
            average_precision(labels, scores),
            reciprocal_rank(labels[::-1], scores[::-1], self.at_k),
            tied_ndcg(labels, scores, self.at_k),
        )


CERerankingEvaluator = CrossEncoderRerankingEvaluator  # the incumbent's older name


def _candidates(place: int, sample: Mapping[str, Any], always_rerank_positives: bool) -> Candidates:
    """The candidates of a sample, checked."""
    there = ", ".join(map(repr, sample)) or "nothing"
    if missing := [key for key in ("query", "positive") if key not in sample]:
        raise ValueError(f"sample {place} has no {missing[0]!r}; it has {there}")
    if ("negative" in sample) == ("documents" in sample):
        raise ValueError(f"sample {place} must have either 'negative' or 'documents'; it has {there}")
    texts = {key: sample[key] for key in ("query", "positive", "negative", "documents") if key in sample}
    several = {key: [value] if key == "query" or isinstance(value, str) else value for key, value in texts.items()}
    checked = {key: checked_texts(0, **{f"sample {place}, {key}": value})[0] for key, value in several.items()}
    (query,) = checked["query"]
    positive = checked["positive"]
    if "negative" in checked:
        negative = checked["negative"]
        labels = np.repeat([1, 0], [len(positive), len(negative)])
        return Candidates(query, positive + negative, labels, before=None)
    documents, right = checked["documents"], set(positive)
    found = np.array([text in right for text in documents], dtype=np.int64)
    missed = max(0, len(positive) - int(found.sum())) if found.any() else 0  # a search that finds nothing scores 0
    before = np.append(found, np.ones(missed, np.int64))
    if not always_rerank_positives:
        return Candidates(query, documents, found, before)
    wrong = [text for text in documents if text not in right]
    labels = np.repeat([1, 0], [len(positive), len(wrong)])
    return Candidates(query, positive + wrong, labels, before)
