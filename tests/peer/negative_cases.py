"""What both libraries' mine_hard_negatives is asked, of a small made-up corpus. Needs neither library.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.negative_cases RESULT.json.xz
"""

import json
import lzma
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.evaluation.fixed_model import FixedModel

TOPICS = ("tea", "rain", "trains", "bread", "music", "harbour")
PAIRS = {
    "question": [f"{topic} question {number}" for topic in TOPICS for number in range(5)],
    "answer": [f"{topic} answer {number}" for topic in TOPICS for number in range(5)],
}
SEVERAL = {  # queries with one, two and three positives, in no order, and two rows twice
    "question": PAIRS["question"] + PAIRS["question"][::2] + PAIRS["question"][:4] + PAIRS["question"][5:7],
    "answer": PAIRS["answer"] + PAIRS["answer"][1::2] + PAIRS["answer"][20:24] + PAIRS["answer"][5:7],
}
BOTH = {  # every text but the first and the last is a query and a passage
    "first": [*PAIRS["answer"][:-1], "tea answer 3"],
    "second": [*PAIRS["answer"][1:], "rain answer 2"],
}
WIDE = {"label": [1] * 30, "answer": PAIRS["answer"], "question": PAIRS["question"]}
CORPUS = [f"{topic} note {number}" for topic in TOPICS for number in range(9)] + PAIRS["answer"][:3] + ["tea note 1"]
RULES: dict[str, dict[str, Any]] = {
    "top": {},
    "five": {"num_negatives": 5, "output_format": "n-tuple"},
    "range": {"range_min": 3, "range_max": 11},
    "wide range": {"range_min": 2, "range_max": 60, "num_negatives": 7, "output_format": "labeled-list"},
    "beyond the corpus": {"range_min": 20, "range_max": 500, "num_negatives": 30, "output_format": "labeled-list"},
    "max_score": {"max_score": 0.45},
    "min_score": {"min_score": 0.3, "output_format": "labeled-list"},
    "absolute margin": {"absolute_margin": 0.05},
    "margin of none": {"margin": 0, "output_format": "labeled-pair"},
    "negative margin": {"absolute_margin": -0.2, "num_negatives": 4},
    "relative margin": {"relative_margin": 0.1, "output_format": "n-tuple"},
    "all rules": {
        "relative_margin": 0.02,
        "absolute_margin": 0.02,
        "max_score": 0.6,
        "min_score": 0.05,
        "range_min": 1,
        "range_max": 25,
    },
    "positives too": {"include_positives": True, "num_negatives": 6},
    "positives too, limited": {"include_positives": True, "num_negatives": 6, "max_score": 0.7, "range_min": 1},
}
FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")


class FixedCrossEncoder:
    """The score of a pair is drawn from its texts, higher where they begin with the same word."""

    def predict(self, pairs: Any, **settings: Any) -> Any:
        scores = np.array([self._score(*pair) for pair in pairs], np.float32)
        if not settings.get("convert_to_tensor"):
            return scores
        import torch

        return torch.from_numpy(scores)

    def _score(self, query: str, passage: str) -> float:
        drawn = np.random.default_rng(zlib.crc32(f"{query}|{passage}".encode())).normal()
        return 2 * float(query.split(" ")[0] == passage.split(" ")[0]) + 0.7 * float(drawn)


class MiningModel(FixedModel):
    """What sentence-transformers asks of a model beside its vectors."""

    def similarity(self, one: Any, other: Any) -> Any:
        import torch

        return super().similarity(torch.as_tensor(one), torch.as_tensor(other))

    def similarity_pairwise(self, one: Any, other: Any) -> Any:
        import torch

        pairs = zip(torch.as_tensor(one), torch.as_tensor(other), strict=True)
        return torch.stack([self.similarity(left[None], right[None])[0, 0] for left, right in pairs])


def cases() -> dict[str, dict[str, Any]]:
    """By name, the arguments but the model; "dataset" holds columns, and "similarity" is the model's."""
    found: dict[str, dict[str, Any]] = {}
    for data, columns in {"pairs": PAIRS, "several": SEVERAL, "both": BOTH}.items():
        for rule, arguments in RULES.items():
            found[f"{data}, {rule}"] = {"dataset": columns, **arguments}
        for form in FORMATS:
            settings = {"output_format": form, "max_score": 0.4, "num_negatives": 2}
            found[f"{data}, {form}"] = {"dataset": columns, **settings}
            found[f"{data}, {form} with scores"] = {"dataset": columns, "output_scores": True, **settings}
    for rule in ("top", "max_score", "min_score", "relative margin", "absolute margin", "all rules", "positives too"):
        both = {"dataset": SEVERAL, "corpus": CORPUS, **RULES[rule]}
        found[f"corpus, {rule}"] = both
        if rule not in ("top", "positives too"):
            limit = {"max_score": 2.0} if "max_score" in both else {}
            found[f"cross-encoder, {rule}"] = {**both, **limit, "cross_encoder": True, "output_scores": True}
    found["cross-encoder, positives too"] = {
        **found["corpus, positives too"],
        "cross_encoder": True,
        "max_score": 3.0,
        "output_scores": True,
    }
    for similarity in ("dot", "euclidean", "manhattan"):
        found[f"{similarity}"] = {"dataset": SEVERAL, "similarity": similarity, "relative_margin": 0.05}
    found["named columns"] = {
        "dataset": WIDE,
        "anchor_column_name": "question",
        "positive_column_name": "answer",
    }
    repeated = {name: column + column[:1] * 9 for name, column in PAIRS.items()}  # rows count, not different positives
    found["a repeated row"] = {
        "dataset": repeated,
        "corpus": CORPUS,
        "range_max": 8,
        "max_score": 0.5,
        "output_format": "labeled-list",
    }
    found["prompts"] = {"dataset": PAIRS, "query_prompt": "ask: ", "corpus_prompt": "told: "}
    found["older spellings"] = {"dataset": PAIRS, "as_triplets": False}
    found["older scores"] = {"dataset": PAIRS, "output_format": "n-tuple-scores"}
    return found


CASES = cases()


def outcome(mine: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The columns of what is mined, and what types of value they hold."""
    from datasets import Dataset

    arguments = dict(arguments)
    dataset = Dataset.from_dict(arguments.pop("dataset"))
    model = MiningModel(arguments.pop("similarity", "cosine"))
    if arguments.get("cross_encoder"):
        arguments["cross_encoder"] = FixedCrossEncoder()
    result = mine(dataset, model, verbose=False, **arguments)
    return {"columns": result.to_dict(), "features": {name: str(kind) for name, kind in result.features.items()}}


def main() -> None:
    from sentence_transformers.util import mine_hard_negatives

    found = {name: outcome(mine_hard_negatives, arguments) for name, arguments in CASES.items()}
    Path(sys.argv[1]).write_bytes(lzma.compress(json.dumps(found).encode(), preset=9))


if __name__ == "__main__":
    main()
