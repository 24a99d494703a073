"""What words add to meaning: NDCG@10 on SciFact of vectors, BM25 and both, in memory and in an index on disk.

    nice -n 5 python benchmarks/hybrid_quality.py

It takes the rankings, the vectors and the scores of the cross-encoder that rerank_quality.py keeps in .models, or makes
them. Re-ranked are as many candidates as ``Index.search`` does it with; those of BM25 alone are left out of the table
where the cross-encoder has not scored them. The vectors in the index are the same, so that only the engines of the
words differ.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from interleaved import describe_machine
from numpy.typing import NDArray
from rerank_quality import (
    DEPTH,
    METRICS,
    RESULTS,
    SCRATCH,
    Rankings,
    Task,
    bi_encoder,
    first_stage,
    metrics,
    reranked,
    score,
    tasks,
)

from likewise.files import whole_file
from likewise.passages import Passage
from likewise.search import Index, reciprocal_rank_fusion
from likewise.search.index.index import CANDIDATES


@dataclass
class KnownVectors:
    """In place of the model: the vectors of texts that have been embedded."""

    vectors: dict[str, NDArray[np.float32]]
    name: str = "known"
    fingerprint: str = "known"
    similarity_fn_name: str = "cosine"

    def encode_document(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        some = next(iter(self.vectors.values()))
        return np.stack([self.vectors.get(text, some) for text in inputs])

    def encode_query(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(bi_encoder().encode_query(list(inputs)))


def fused(*rankings: Rankings) -> Rankings:
    return {
        query: [passage for passage, _ in reciprocal_rank_fusion([ranking[query] for ranking in rankings])][:DEPTH]
        for query in rankings[0]
    }


def on_disk(task: Task, folder: Path) -> dict[str, Rankings]:
    """What an index finds: by its words alone, and by both."""
    corpus = task.collection.corpus
    vectors = np.load(SCRATCH / f"{task.name}_vectors.npy")
    model = KnownVectors(dict(zip(corpus.values(), vectors, strict=True)))
    with Index.create(folder, model) as index:
        index.add(Passage(text, name, 1, "") for name, text in corpus.items())
    import lancedb

    (name,) = lancedb.connect(folder).list_tables().tables
    table = lancedb.connect(folder).open_table(name)
    from lancedb.query import MatchQuery

    words: Rankings = {}
    both: Rankings = {}
    with Index.open(folder, model) as index:
        for query, text in task.collection.queries.items():
            matching = table.search(MatchQuery(text, "passage_text"), query_type="fts").limit(DEPTH)
            words[query] = matching.select(["source", "_score"]).to_arrow()["source"].to_pylist()
            both[query] = [hit.source for hit in index.search(text, DEPTH, hybrid=True)]
    return {"BM25, LanceDB": words, "hybrid, LanceDB": both}


def main() -> None:
    print(f"{describe_machine()}\n\n| | {' | '.join(METRICS)} |\n|---|---:|---:|---:|")
    task = replace(tasks()[0], candidates=CANDIDATES)
    dense, words = first_stage(task, "bi-encoder"), first_stage(task, "BM25")
    systems = {"dense": dense, "BM25, in memory": words, "hybrid, in memory": fused(dense, words)}
    with tempfile.TemporaryDirectory() as folder:
        systems |= on_disk(task, Path(folder) / "scifact.index")
    for name, rankings in list(systems.items()):
        if name.startswith(("dense", "hybrid")):
            score(task, rankings)
        judged = reranked(task, rankings)
        if judged is not None:
            systems[f"{name}, re-ranked"] = judged
    for name, rankings in systems.items():
        figures = metrics(task.collection, rankings)
        with whole_file(RESULTS / f"hybrid_{task.name}_{name.replace(', ', '_').replace(' ', '-')}.json") as part:
            part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(f"| {name} | {' | '.join(f'{figures[metric]:.2f}' for metric in METRICS)} |", flush=True)


if __name__ == "__main__":
    main()
