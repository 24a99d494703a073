"""Retrieval: how well queries find the documents that answer them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.columns import checked_texts, embed_once
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.evaluation.foreign_functions import takes_arrays
from likewise.evaluation.ranking import ranking_metrics
from likewise.search.semantic import top_k
from likewise.similarity import SimilarityFunction

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Ranking = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores and rows of the corpus, (queries, k) each, best first


class InformationRetrievalEvaluator(SentenceEvaluator):
    """Accuracy, precision, recall, nDCG, MRR and MAP of the documents that queries find, by exact search.

    ``queries`` and ``corpus`` map ids to texts, ``relevant_docs`` the id of a query to those of the documents that
    answer it; queries without any are left out. Documents with equal scores are ranked by their ids. The keys are
    "cosine_accuracy@1", "cosine_precision@10", "cosine_recall@10", "cosine_ndcg@10", "cosine_mrr@10",
    "cosine_map@100", for each of ``score_functions`` (by its name there), for ``main_score_function``, or for the
    model's own similarity. A document is relevant or not: nDCG knows no grades here.

    Raises:
        ValueError: No query has a relevant document, a text is none, a list of ranks is empty, or the main function is
            not among the others.
    """

    def __init__(
        self,
        queries: Mapping[Any, str],
        corpus: Mapping[Any, str],
        relevant_docs: Mapping[Any, Collection[Any]],
        corpus_chunk_size: int = 50_000,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool | None = False,
        batch_size: int | None = None,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
        score_functions: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        main_score_function: str | SimilarityFunction | None = None,
        query_prompt: str | None = None,
        query_prompt_name: str | None = None,
        corpus_prompt: str | None = None,
        corpus_prompt_name: str | None = None,
        write_predictions: bool = False,
    ):
        if write_predictions:
            raise ValueError("write_predictions=True is not supported: call rankings(model), and write what you need")
        self.ranks = {
            "accuracy_at_k": _ranks("accuracy_at_k", accuracy_at_k),
            "precision_recall_at_k": _ranks("precision_recall_at_k", precision_recall_at_k),
            "ndcg_at_k": _ranks("ndcg_at_k", ndcg_at_k),
            "mrr_at_k": _ranks("mrr_at_k", mrr_at_k),
            "map_at_k": _ranks("map_at_k", map_at_k),
        }
        self.queries_ids = [query for query in queries if len(relevant_docs.get(query, ()))]
        self.corpus_ids = _sorted_ids(corpus)
        if not self.queries_ids or not self.corpus_ids:
            found = f"{len(queries)} queries, {len(corpus)} documents and relevant_docs of {len(relevant_docs)} queries"
            raise ValueError(f"no query has a relevant document: there are {found}; do their ids match?")
        (self.queries,) = checked_texts(queries=[queries[query] for query in self.queries_ids])
        (self.corpus,) = checked_texts(corpus=[corpus[document] for document in self.corpus_ids])
        self.relevant_docs = {query: set(relevant_docs[query]) for query in self.queries_ids}
        self.corpus_chunk_size = corpus_chunk_size
        self.score_functions = dict(score_functions or {})
        self.main_score_function = None if main_score_function is None else SimilarityFunction(main_score_function)
        main = self.main_score_function
        if main is not None and self.score_functions and main.value not in self.score_functions:
            known = ", ".join(map(repr, self.score_functions))
            raise ValueError(f"main_score_function {main.value!r} is not among score_functions, which has {known}")
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"Information-Retrieval_evaluation{'_' * bool(name)}{name}_results.csv"
        self.encoding: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": show_progress_bar,
            "truncate_dim": truncate_dim,
        }
        self.query_prompts = {"prompt": query_prompt, "prompt_name": query_prompt_name}
        self.corpus_prompts = {"prompt": corpus_prompt, "prompt_name": corpus_prompt_name}
        named = [main.value] if main is not None else list(self.score_functions)
        if len(named) == 1:
            self.primary_metric = self.key(self._primary(named[0]))

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The scores of each score function."""
        metrics: dict[str, float] = {}
        for name, (_, rows) in self.rankings(model).items():
            gains = self._gains(rows)
            ideals = [np.ones(len(self.relevant_docs[query])) for query in self.queries_ids]
            metrics |= {f"{name}_{key}": value for key, value in ranking_metrics(gains, ideals, **self.ranks).items()}
        return metrics

    def rankings(self, model: SentenceTransformer) -> dict[str, Ranking]:
        """For each score function what each of ``queries_ids`` finds, best first: scores, and rows of ``corpus_ids``.

        The corpus is embedded in chunks of ``corpus_chunk_size`` texts, so that memory holds one.
        """
        own = (self.main_score_function or SimilarityFunction(model.similarity_fn_name)).value
        functions = self.score_functions or {own: SimilarityFunction.to_similarity_fn(own)}
        k = max(rank for ranks in self.ranks.values() for rank in ranks)
        (queries,) = embed_once(model.encode_query, [self.queries], **self.encoding, **self.query_prompts)
        found: dict[str, Ranking] = {}
        for start, chunk in self._chunks():
            (documents,) = embed_once(model.encode_document, [chunk], **self.encoding, **self.corpus_prompts)
            for name, function in functions.items():
                scores, rows = top_k(queries, documents, k, takes_arrays(function))
                found[name] = _joined(found.get(name), (scores, rows + start), k)
        return found

    def choose_primary(self, metrics: Mapping[str, float]) -> None:
        """NDCG at the largest rank: of the main function, or of the one that was best when first measured."""
        if self.main_score_function is None and (self.primary_metric is None or not self.score_functions):
            ending = self._primary("")
            self.primary_metric = self.key(
                max((key for key in metrics if key.endswith(ending)), key=metrics.__getitem__)
            )

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Called "cosine-Accuracy@1", "cosine-Precision@1", "cosine-NDCG@10" and so on."""
        names = sorted(key.removesuffix(self._primary("")) for key in metrics if key.endswith(self._primary("")))
        ranks = self.ranks
        kinds = [
            *(("Accuracy", k) for k in ranks["accuracy_at_k"]),
            *((kind, k) for k in ranks["precision_recall_at_k"] for kind in ("Precision", "Recall")),
            *(("MRR", k) for k in ranks["mrr_at_k"]),
            *(("NDCG", k) for k in ranks["ndcg_at_k"]),
            *(("MAP", k) for k in ranks["map_at_k"]),
        ]
        return {f"{name}-{kind}@{k}": metrics[f"{name}_{kind.lower()}@{k}"] for name in names for kind, k in kinds}

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim`` and the prompts, where they are set."""
        settings = {"truncate_dim": self.encoding["truncate_dim"]}
        settings |= {f"query_{key}": value for key, value in self.query_prompts.items()}
        settings |= {f"corpus_{key}": value for key, value in self.corpus_prompts.items()}
        return {key: value for key, value in settings.items() if value is not None}

    def _primary(self, function: str) -> str:
        return f"{function}_ndcg@{max(self.ranks['ndcg_at_k'])}"

    def _chunks(self) -> Iterator[tuple[int, list[str]]]:
        for start in range(0, len(self.corpus), self.corpus_chunk_size):
            yield start, self.corpus[start : start + self.corpus_chunk_size]

    def _gains(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """1 where a query found what is relevant to it, (queries, ranks)."""
        found = zip(self.queries_ids, rows.tolist(), strict=True)
        return np.array(
            [[float(self.corpus_ids[row] in self.relevant_docs[query]) for row in line] for query, line in found]
        )


def _joined(before: Ranking | None, new: Ranking, k: int) -> Ranking:
    """The ``k`` best of two rankings of the same queries, whose rows rise from one to the other."""
    if before is None:
        return new
    scores = np.concatenate([before[0], new[0]], axis=1)
    rows = np.concatenate([before[1], new[1]], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _ranks(name: str, ranks: Sequence[int]) -> list[int]:
    if not ranks or min(ranks) < 1:
        raise ValueError(f"{name} must be a list of ranks from 1, such as [10], not {list(ranks)}")
    return list(ranks)


def _sorted_ids(corpus: Mapping[Any, str]) -> list[Any]:
    try:
        return sorted(corpus)
    except TypeError as error:
        raise ValueError(f"the ids of the corpus must be all texts or all numbers: {error}") from error
