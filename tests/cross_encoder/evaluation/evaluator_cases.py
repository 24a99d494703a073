"""What the cross-encoder's evaluators of both libraries are asked for. Needs neither library.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.cross_encoder.evaluation.evaluator_cases OUT.json
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cross_encoder.evaluation.fixed_scores import FixedScores
from tests.peer.evaluator_cases import FIRST, LABELS, SCORES, SECOND, SENTENCES, TOPICS, told, write

PAIRS = [[first, second] for first, second in zip(FIRST, SECOND, strict=True)]
CLASSES = [(5 * place) % 4 for place in range(20)] + [1] * 10

NEGATIVES = [
    {"query": f"{topic} where", "positive": [SENTENCES[place], SENTENCES[place + 9]], "negative": SENTENCES[10:40:3]}
    for place, topic in enumerate(TOPICS)
] + [
    {"query": "paper", "positive": SENTENCES[5], "negative": [SENTENCES[6], SENTENCES[7]]},
    {"query": "winter", "positive": [], "negative": [SENTENCES[6], SENTENCES[7]]},
]
FOUND = [  # a search finds the positives, one of them, or none
    {"query": f"{topic} where", "positive": [SENTENCES[place], SENTENCES[place + 8]], "documents": documents}
    for place, topic in enumerate(TOPICS)
    for documents in (SENTENCES[:24], SENTENCES[12 - place : 24], SENTENCES[24:40])
]

Make = Callable[[Any], Any]  # the module with the evaluators → an evaluator
CASES: dict[str, tuple[Make, dict[str, Any]]] = {  # name → how it is made, and the arguments of FixedScores
    "one label": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, LABELS), {}),
    "one label, named": (
        lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, LABELS, name="quora", prompt_name="q", batch_size=7),
        {},
    ),
    "one label, equal scores": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, LABELS), {"steps": 2}),
    "one label, all alike": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, [1] * 30), {}),
    "two labels": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, LABELS, name="two"), {"num_labels": 2}),
    "four labels": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, CLASSES), {"num_labels": 4}),
    "five labels": (lambda e: e.CrossEncoderClassificationEvaluator(PAIRS, CLASSES), {"num_labels": 5}),
    "correlation": (lambda e: e.CrossEncoderCorrelationEvaluator(PAIRS, SCORES), {}),
    "correlation, equal scores": (lambda e: e.CECorrelationEvaluator(PAIRS, SCORES, name="sts_dev"), {"steps": 3}),
    "reranking": (lambda e: e.CrossEncoderRerankingEvaluator(NEGATIVES, name="rr"), {}),
    "reranking, at 3": (lambda e: e.CERerankingEvaluator(dict(enumerate(NEGATIVES)), mrr_at_k=3), {}),
    "reranking, documents": (lambda e: e.CrossEncoderRerankingEvaluator(FOUND, name="d"), {}),
    "reranking, documents alone": (
        lambda e: e.CrossEncoderRerankingEvaluator(FOUND, at_k=5, always_rerank_positives=False),
        {},
    ),
    "reranking, both kinds": (lambda e: e.CrossEncoderRerankingEvaluator([*NEGATIVES, *FOUND[:5]], at_k=20), {}),
}


def outcomes(library: Any) -> dict[str, Any]:
    return {name: told(make(library), FixedScores(**settings)) for name, (make, settings) in CASES.items()}


def main() -> None:
    from sentence_transformers.cross_encoder import evaluation

    write(outcomes(evaluation), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
