"""What the evaluators of both libraries are asked for. Needs neither library.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.evaluator_cases OUT.json
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from tests.evaluation.fixed_model import FixedModel

TOPICS = ["kettle", "train", "river", "garden", "music", "paper", "winter", "bridge"]
SENTENCES = [f"{topic} number {place}" for place in range(6) for topic in TOPICS]
FIRST, SECOND = SENTENCES[:30], [*SENTENCES[8:24], *SENTENCES[1:15]]  # 16 pairs of a topic, 14 of two
SCORES = [(7 * place) % 6 for place in range(16)] + [place % 3 for place in range(14)]
LABELS = [int(place % 5 != 0) for place in range(16)] + [int(place % 4 == 0) for place in range(14)]
DUPLICATES = [(place, place + 8) for place in range(0, 40, 3)] + [(0, 16), (8, 24)]
TWICE = [*SENTENCES[:20], *SENTENCES[:6]]  # equal texts, so equal scores

QUERIES = {f"q{place}": f"{topic} where" for place, topic in enumerate(TOPICS)}
DIFFERENT = {f"d{place}": text for place, text in enumerate(SENTENCES)}
CORPUS = DIFFERENT | {"same": SENTENCES[3], "again": SENTENCES[3]}  # so that scores are equal
RELEVANT = {f"q{place}": {f"d{place}", f"d{place + 8}", f"d{(5 * place) % 48}"} for place in range(7)} | {
    "q3": {"again", "d11", "gone"}
}
SAMPLES = [
    {"query": f"{topic} where", "positive": [SENTENCES[place], SENTENCES[place + 9]], "negative": SENTENCES[10:30:3]}
    for place, topic in enumerate(TOPICS)
] + [{"query": "paper", "positive": SENTENCES[5], "negative": [SENTENCES[6], SENTENCES[5], SENTENCES[7]]}]

Make = Callable[[Any], Any]  # a namespace with the evaluators and cos_sim, dot_score → an evaluator
ALL = ["cosine", "dot", "euclidean", "manhattan"]
CASES: dict[str, tuple[Make, dict[str, Any]]] = {  # name → how it is made, and the arguments of FixedModel
    "similarity": (lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES), {}),
    "similarity, named": (lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES, name="sts-dev"), {}),
    "similarity, model's own": (
        lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES),
        {"similarity_fn_name": "manhattan"},
    ),
    "similarity, all": (
        lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES, similarity_fn_names=ALL, name="all"),
        {},
    ),
    "similarity, main": (
        lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES, main_similarity="dot", truncate_dim=5),
        {},
    ),
    "similarity, main of all": (
        lambda e: e.EmbeddingSimilarityEvaluator(
            FIRST, SECOND, SCORES, main_similarity=e.SimilarityFunction.EUCLIDEAN, similarity_fn_names=ALL, name="m"
        ),
        {},
    ),
    "similarity, precision": (
        lambda e: e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES, precision="float32", main_similarity="dot"),
        {},
    ),
    "similarity, int8": (
        lambda e: e.EmbeddingSimilarityEvaluator(
            FIRST, SECOND, SCORES, precision="int8", similarity_fn_names=ALL, truncate_dim=None
        ),
        {},
    ),
    "similarity, uint8": (
        lambda e: e.EmbeddingSimilarityEvaluator(
            FIRST, SECOND, SCORES, precision="uint8", similarity_fn_names=ALL, truncate_dim=9
        ),
        {},
    ),
    "similarity, binary": (
        lambda e: e.EmbeddingSimilarityEvaluator(
            FIRST, SECOND, SCORES, precision="binary", similarity_fn_names=ALL, truncate_dim=8
        ),
        {},
    ),
    "similarity, ubinary": (
        lambda e: e.EmbeddingSimilarityEvaluator(
            FIRST, SECOND, SCORES, precision="ubinary", similarity_fn_names=ALL, truncate_dim=None
        ),
        {},
    ),
    "binary": (lambda e: e.BinaryClassificationEvaluator(FIRST, SECOND, LABELS), {}),
    "binary, all": (
        lambda e: e.BinaryClassificationEvaluator(FIRST, SECOND, LABELS, name="b", similarity_fn_names=ALL),
        {},
    ),
    "binary, model's own": (
        lambda e: e.BinaryClassificationEvaluator(FIRST, SECOND, LABELS),
        {"similarity_fn_name": "euclidean"},
    ),
    "binary, all alike": (lambda e: e.BinaryClassificationEvaluator(FIRST, SECOND, [1] * 30), {}),
    "binary, equal scores": (
        lambda e: e.BinaryClassificationEvaluator(TWICE, TWICE[::-1], [place % 2 for place in range(26)]),
        {},
    ),
    "triplet": (lambda e: e.TripletEvaluator(FIRST, SECOND, SENTENCES[18:48], name="t"), {}),
    "triplet, all": (
        lambda e: e.TripletEvaluator(
            FIRST, SECOND, SENTENCES[18:48], margin={"cosine": 0.2, "dot": 1.5}, similarity_fn_names=ALL
        ),
        {},
    ),
    "triplet, main": (
        lambda e: e.TripletEvaluator(
            FIRST, SECOND, SENTENCES[18:48], main_similarity_function="manhattan", margin=0.5, truncate_dim=7
        ),
        {},
    ),
    "retrieval": (lambda e: e.InformationRetrievalEvaluator(QUERIES, CORPUS, RELEVANT, name="ir"), {}),
    "retrieval, small chunks": (
        lambda e: e.InformationRetrievalEvaluator(QUERIES, CORPUS, RELEVANT, corpus_chunk_size=7, ndcg_at_k=[5, 100]),
        {"similarity_fn_name": "euclidean"},
    ),
    "retrieval, functions": (
        lambda e: e.InformationRetrievalEvaluator(
            QUERIES,
            CORPUS,
            RELEVANT,
            score_functions={"dot": e.dot_score, "cosine": e.cos_sim},
            mrr_at_k=[1, 3],
            ndcg_at_k=[3],
            accuracy_at_k=[2],
            precision_recall_at_k=[4, 70],
            map_at_k=[2, 9],
        ),
        {},
    ),
    "retrieval, main": (
        lambda e: e.InformationRetrievalEvaluator(
            QUERIES,
            CORPUS,
            RELEVANT,
            score_functions={"mine": lambda a, b: a @ b.T, "dot": e.dot_score},
            main_score_function="dot",
            query_prompt="question: ",
            corpus_prompt="answer: ",
        ),
        {},
    ),
    "reranking": (lambda e: e.RerankingEvaluator(SAMPLES, name="rr"), {}),
    "reranking, at 3": (
        lambda e: e.RerankingEvaluator(
            dict(enumerate(SAMPLES)), at_k=3, similarity_fct=e.dot_score, use_batched_encoding=False
        ),
        {},
    ),
    "mining": (
        lambda e: e.ParaphraseMiningEvaluator(dict(enumerate(SENTENCES)), DUPLICATES, name="pm"),
        {},
    ),
    "mining, closure": (
        lambda e: e.ParaphraseMiningEvaluator(
            dict(enumerate(SENTENCES)), DUPLICATES, add_transitive_closure=True, max_pairs=60, top_k=5
        ),
        {},
    ),
    "mining, chunks": (
        lambda e: e.ParaphraseMiningEvaluator(
            dict(enumerate(SENTENCES)), DUPLICATES, query_chunk_size=7, corpus_chunk_size=11, top_k=3
        ),
        {},
    ),
    "mse": (lambda e: e.MSEEvaluator(FIRST, SECOND, FixedModel(seed=1), name="mse"), {}),
    "mse, truncated": (lambda e: e.MSEEvaluator(FIRST, FIRST, FixedModel(seed=1), truncate_dim=6), {}),
    "translation": (lambda e: e.TranslationEvaluator(SENTENCES[:24], SENTENCES[8:32]), {}),
    "translation, equal texts": (lambda e: e.TranslationEvaluator(TWICE, TWICE[2:] + TWICE[:2], name="tr"), {}),
    "sequential": (
        lambda e: e.SequentialEvaluator(
            [
                e.EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES, name="one"),
                e.TripletEvaluator(FIRST, SECOND, SENTENCES[18:48], name="two"),
            ],
            main_score_function=sum,
        ),
        {},
    ),
}


def outcome(make: Make, settings: dict[str, Any], library: Any) -> dict[str, Any]:
    return told(make(library), FixedModel(**settings))


def told(evaluator: Any, model: Any) -> dict[str, Any]:
    """All that an evaluator says and writes: its scores, its primary metric, its files after two calls."""
    with TemporaryDirectory() as folder:
        scores = evaluator(model, folder, 1, 20)
        again = evaluator(model, folder, 2)
        files = {}
        for path in sorted(Path(folder).iterdir()):
            with path.open(newline="", encoding="utf-8") as file:
                header, *lines = list(csv.reader(file))
            files[path.name] = [header, *([float(value) for value in line] for line in lines)]
    assert str(scores) == str(again)
    return {
        "scores": {key: float(value) for key, value in scores.items()},
        "primary_metric": evaluator.primary_metric,
        "greater_is_better": getattr(evaluator, "greater_is_better", None),
        "description": evaluator.description,
        "files": files,
    }


def outcomes(library: Any) -> dict[str, Any]:
    return {name: outcome(make, settings, library) for name, (make, settings) in CASES.items()}


def write(outcomes: dict[str, Any], path: Path) -> None:
    """Write what sentence-transformers gives, a case a line."""
    import sentence_transformers

    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in outcomes.items()]
    version = json.dumps(sentence_transformers.__version__)
    path.write_text(f'{{"version": {version}, "outcomes": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def main() -> None:
    from sentence_transformers import util
    from sentence_transformers.sentence_transformer import evaluation

    library = SimpleNamespace(**vars(evaluation), cos_sim=util.cos_sim, dot_score=util.dot_score)
    write(outcomes(library), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
