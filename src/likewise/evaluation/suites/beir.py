"""Retrieval collections in the layout of BEIR (Thakur et al. 2021, https://arxiv.org/abs/2104.08663)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.evaluation.information_retrieval import InformationRetrievalEvaluator
from likewise.evaluation.ranking import ranking_metrics
from likewise.evaluation.suites.score import Score
from likewise.evaluation.suites.source import SUFFIXES, hub_rows
from likewise.files import FilePath, read_rows

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

RANKS: dict[str, list[int]] = {
    "accuracy_at_k": [],
    "precision_recall_at_k": [100],
    "ndcg_at_k": [10],
    "mrr_at_k": [10],
    "map_at_k": [100],
}
METRICS = ("ndcg@10", "mrr@10", "map@100", "recall@100")
DEEPEST = 100
ON_THE_HUB = ("scifact", "nfcorpus", "arguana", "scidocs", "fiqa")  # those of fewer than 60,000 documents
IDS = ("_id", "id", "doc_id", "query_id")  # what the column may be called
QUERY_IDS = ("query-id", "query_id", "qid")
DOCUMENT_IDS = ("corpus-id", "corpus_id", "doc_id")


@dataclass(frozen=True)
class Collection:
    """Documents, queries, and what answers them."""

    name: str
    corpus: Mapping[str, str]  # id → title and text
    queries: Mapping[str, str]
    gains: Mapping[str, Mapping[str, float]]  # id of a query → id of a document → how well it answers; 0 is not at all


def beir(model: SentenceTransformer, folder: FilePath | None = None, show_progress: bool = False) -> list[Score]:
    """nDCG@10, MRR@10, MAP@100 and recall@100, times 100, on each collection; the mean nDCG@10 of several.

    ``folder`` is a collection (corpus.jsonl, queries.jsonl, qrels/test.tsv), or holds several, one a folder; the files
    may be Parquet, and files such as scifact_corpus.parquet, scifact_queries.parquet and scifact_qrels.parquet beside
    each other, there or in the folder "retrieval", are a collection too. Without ``folder`` those of ON_THE_HUB are
    read.

    As in BEIR: a document's title stands before its text, a document with the id of its query is left out, and nDCG
    takes the grades as they are. Scores are the model's own similarity, by exact search, equal ones ordered by id.

    Raises:
        FileNotFoundError: There is no collection.
        ValueError: A column is missing, or a value is not right.
    """
    named = [_from_hub(name) for name in ON_THE_HUB] if folder is None else collections_in(folder)
    scores = []
    for collection in named:
        found = retrieval_scores(model, collection, show_progress)
        judged = sum(any(gain > 0 for gain in collection.gains[query].values()) for query in collection.queries)
        scores += [Score(collection.name, metric, 100 * found[metric], judged) for metric in METRICS]
    main = [score.value for score in scores if score.metric == METRICS[0]]
    return scores + ([Score("average", METRICS[0], float(np.mean(main)))] if len(main) > 1 else [])


def retrieval_scores(
    model: SentenceTransformer, collection: Collection, show_progress: bool = False
) -> dict[str, float]:
    """The metrics of METRICS, 0 to 1."""
    relevant = {
        query: {document for document, gain in gains.items() if gain > 0} for query, gains in collection.gains.items()
    }
    evaluator = InformationRetrievalEvaluator(
        collection.queries, collection.corpus, relevant, map_at_k=[DEEPEST + 1], show_progress_bar=show_progress
    )
    ((_, rows),) = evaluator.rankings(model).values()
    gains = np.stack(
        [
            _found(collection.gains[query], query, [evaluator.corpus_ids[row] for row in line])
            for query, line in zip(evaluator.queries_ids, rows, strict=True)
        ]
    )
    ideals = [
        np.array([gain for gain in collection.gains[query].values() if gain > 0]) for query in evaluator.queries_ids
    ]
    return ranking_metrics(gains, ideals, **RANKS)


def _found(gains: Mapping[str, float], query: str, documents: Sequence[str]) -> NDArray[np.float64]:
    """What each rank is worth, (DEEPEST,), without the query itself; negative grades count as 0."""
    kept = [max(0.0, gains.get(document, 0.0)) for document in documents if document != query][:DEEPEST]
    return np.array(kept + [0.0] * (DEEPEST - len(kept)))


def collections_in(folder: FilePath) -> list[Collection]:
    """The collections of a folder, as in ``beir``, by name.

    Raises:
        FileNotFoundError: There is none.
    """
    root = Path(folder)
    folders = [root] if _has(root, "corpus") else sorted(path for path in root.glob("*") if _has(path, "corpus"))
    found = [_from_files(path.resolve().name, path, "") for path in folders]
    for place in (root, root / "retrieval"):
        for suffix in SUFFIXES:
            for path in sorted(place.glob(f"*_corpus{suffix}")):
                name = path.stem.removesuffix("_corpus")
                if _has(place, f"{name}_queries") and _has(place, f"{name}_qrels"):
                    found.append(_from_files(name, place, f"{name}_"))
    if not found:
        raise FileNotFoundError(f"{folder} has no collection: no corpus.jsonl, with queries.jsonl and qrels/test.tsv")
    return found


def _from_files(name: str, folder: Path, prefix: str) -> Collection:
    qrels = _file(folder, f"{prefix}qrels") if prefix else _judgements(folder / "qrels")
    return _collection(
        name,
        (row.values for row in read_rows(_file(folder, f"{prefix}corpus"))),
        (row.values for row in read_rows(_file(folder, f"{prefix}queries"))),
        (row.values for row in read_rows(qrels)),
    )


def _from_hub(name: str) -> Collection:
    there = f"mteb/{name}"
    return _collection(
        name,
        hub_rows(there, "corpus", "corpus"),
        hub_rows(there, "queries", "queries"),
        hub_rows(there, "default", "test"),
    )


def _collection(
    name: str, corpus: Iterable[dict[str, Any]], queries: Iterable[dict[str, Any]], judgements: Iterable[dict[str, Any]]
) -> Collection:
    texts = {}
    for row in corpus:
        texts[str(_value(row, IDS, name))] = f"{row.get('title') or ''} {_value(row, ('text',), name)}".strip()
    gains: dict[str, dict[str, float]] = {}
    for row in judgements:
        if row.get("split", "test") == "test":
            query, document = str(_value(row, QUERY_IDS, name)), str(_value(row, DOCUMENT_IDS, name))
            gains.setdefault(query, {})[document] = float(_value(row, ("score",), name))
    asked = {str(_value(row, IDS, name)): str(_value(row, ("text",), name)) for row in queries}
    return Collection(name, texts, {query: asked[query] for query in asked if query in gains}, gains)


def _value(row: Mapping[str, Any], names: Sequence[str], where: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"{where}: a row has none of the columns {', '.join(names)}; it has {', '.join(row)}")


def _has(folder: Path, name: str) -> bool:
    return any((folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES)


def _file(folder: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    raise FileNotFoundError(f"{folder} has no {name}.jsonl, nor one that ends in {', '.join(SUFFIXES)}")


def _judgements(folder: Path) -> Path:
    """The judgements of the test set; of the only set where there is no such."""
    if _has(folder, "test"):
        return _file(folder, "test")
    files = [path for path in sorted(folder.glob("*")) if path.suffix in SUFFIXES]
    if len(files) != 1:
        raise FileNotFoundError(f"{folder} has no test.tsv, and {len(files)} other files; leave one of them")
    return files[0]
