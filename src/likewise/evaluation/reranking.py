"""Re-ranking: how high the right documents of a query stand among its own candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.columns import checked_texts, embed_once
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.evaluation.foreign_functions import takes_arrays
from likewise.evaluation.ranking import average_precision, reciprocal_rank, tied_ndcg
from likewise.similarity import as_floats, cos_sim, is_tensor

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class RerankingEvaluator(SentenceEvaluator):
    """MAP, MRR and nDCG of candidates ranked by their similarity to a query.

    ``samples`` are mappings with "query", "positive" and "negative": a text, and one text or several each. Samples
    without a positive, or without a negative, are left out. The keys are "map" (over all candidates), "mrr@10" and
    "ndcg@10", for ``at_k`` of 10; ``mrr_at_k`` is its older name. Queries are embedded as such, candidates as
    documents. Without ``use_batched_encoding`` one sample is embedded at a time: less memory, slower.

    Raises:
        ValueError: No sample has both, or a text is none.
    """

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        at_k: int = 10,
        name: str = "",
        write_csv: bool = True,
        similarity_fct: Callable[[Any, Any], Any] = cos_sim,
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        use_batched_encoding: bool = True,
        truncate_dim: int | None = None,
        mrr_at_k: int | None = None,
    ):
        given = list(samples.values()) if isinstance(samples, Mapping) else list(samples)
        complete = (_checked(place, sample) for place, sample in enumerate(given))
        self.samples = [sample for sample in complete if sample["positive"] and sample["negative"]]
        if not self.samples:
            raise ValueError(f"none of {len(given)} samples has a query, a positive and a negative")
        self.at_k = at_k if mrr_at_k is None else mrr_at_k
        if self.at_k < 1:
            raise ValueError(f"at_k must be at least 1, not {self.at_k}")
        self.similarity_fct = similarity_fct
        self.use_batched_encoding = use_batched_encoding
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"RerankingEvaluator{'_' * bool(name)}{name}_results_@{self.at_k}.csv"
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        self.primary_metric = self.key(f"ndcg@{self.at_k}")

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """Means over all samples."""
        found = []
        for labels, scores in self._scored(model):
            rank = reciprocal_rank(labels, scores, self.at_k)
            found.append((average_precision(labels, scores), rank, tied_ndcg(labels, scores, self.at_k)))
        precision, rank, gain = np.mean(found, axis=0).tolist()
        return {"map": precision, f"mrr@{self.at_k}": rank, f"ndcg@{self.at_k}": gain}

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "MAP", "MRR@10", "NDCG@10"."""
        return {key.upper(): metrics[key] for key in ("map", f"mrr@{self.at_k}", f"ndcg@{self.at_k}")}

    def get_config_dict(self) -> dict[str, Any]:
        """``at_k``, and ``truncate_dim`` where it is set."""
        width = self.encoding["truncate_dim"]
        return {"at_k": self.at_k} | ({} if width is None else {"truncate_dim": width})

    def _scored(self, model: SentenceTransformer) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Of each sample the labels of its candidates, 1 or 0, and their scores, (candidates,) each."""
        function = takes_arrays(self.similarity_fct)
        for group in [self.samples] if self.use_batched_encoding else [[sample] for sample in self.samples]:
            candidates = [[*sample["positive"], *sample["negative"]] for sample in group]
            (queries,) = embed_once(model.encode_query, [[sample["query"] for sample in group]], **self.encoding)
            documents = embed_once(model.encode_document, candidates, **self.encoding)
            for sample, query, vectors in zip(group, queries, documents, strict=True):
                table = as_floats(function(query, vectors))
                scores = (table.detach().cpu().numpy() if is_tensor(table) else table).reshape(-1)
                positives = len(sample["positive"])
                yield (np.arange(len(vectors)) < positives).astype(np.int64), scores


def _checked(place: int, sample: Mapping[str, Any]) -> dict[str, Any]:
    """The sample with lists of positives and negatives."""
    if missing := [key for key in ("query", "positive", "negative") if key not in sample]:
        raise ValueError(f"sample {place} has no {missing[0]!r}; it has {', '.join(map(repr, sample)) or 'nothing'}")
    several = {key: [sample[key]] if isinstance(sample[key], str) else sample[key] for key in ("positive", "negative")}
    for key, texts in {"query": [sample["query"]], **several}.items():
        several[key] = checked_texts(0, **{f"sample {place}, {key}": texts})[0]
    return {**sample, **several, "query": sample["query"]}
