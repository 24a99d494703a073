"""Evaluate a model of likewise by mteb, on tasks made here, without the Hub.

Run at the root of the checkout, with the Python of an environment that holds mteb and likewise:
    python -m tests.peer.mteb_tasks MODEL OUT.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import mteb
from datasets import Dataset, DatasetDict
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

from likewise import SentenceTransformer
from likewise.evaluation.mteb import MTEBEncoder
from tests.peer.evaluator_cases import DIFFERENT, FIRST, QUERIES, RELEVANT, SCORES, SECOND


def metadata(name: str, kind: str, score: str) -> Any:
    return TaskMetadata(
        name=name,
        dataset={"path": "likewise/none", "revision": "1"},
        description="Made by a test.",
        type=kind,
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=score,
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
        reference=None,
    )


class Pairs(AbsTaskSTS):  # type: ignore[misc]
    metadata = metadata("LikewisePairs", "STS", "cosine_spearman")
    min_score, max_score = 0, 5

    def load_data(self, *arguments: Any, **settings: Any) -> None:
        rows = {"sentence1": FIRST, "sentence2": SECOND, "score": [float(score) for score in SCORES]}
        self.dataset = DatasetDict({"test": Dataset.from_dict(rows)})
        self.data_loaded = True


class Search(AbsTaskRetrieval):  # type: ignore[misc]
    metadata = metadata("LikewiseSearch", "Retrieval", "ndcg_at_10")

    def load_data(self, *arguments: Any, **settings: Any) -> None:
        corpus = Dataset.from_list([{"id": key, "title": "", "text": text} for key, text in DIFFERENT.items()])
        queries = Dataset.from_list([{"id": key, "text": QUERIES[key]} for key in RELEVANT])
        relevant = {query: dict.fromkeys(sorted(found & DIFFERENT.keys()), 1) for query, found in RELEVANT.items()}
        split = {"corpus": corpus, "queries": queries, "relevant_docs": relevant, "top_ranked": None}
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


def main() -> None:
    model = SentenceTransformer(sys.argv[1], dtype="float32", device="cpu")
    found = mteb.evaluate(MTEBEncoder(model), [Pairs(), Search()], cache=None, show_progress_bar=False)
    scores = {result.task_name: result.scores["test"][0] for result in found.task_results}
    kept = {
        "spearman": scores["LikewisePairs"]["cosine_spearman"],
        "ndcg@10": scores["LikewiseSearch"]["ndcg_at_10"],
        "map@100": scores["LikewiseSearch"]["map_at_100"],
        "model": found.model_name,
    }
    Path(sys.argv[2]).write_text(json.dumps(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
