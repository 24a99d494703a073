"""The cross-encoder's evaluators give what those of sentence-transformers give for the same scores, and the same files.

Also what each refuses, asks the model for, and leaves alone.
"""

import inspect
import json
import os
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.cross_encoder import evaluation
from likewise.cross_encoder.evaluation import (
    CEF1Evaluator,
    CrossEncoderClassificationEvaluator,
    CrossEncoderCorrelationEvaluator,
    CrossEncoderRerankingEvaluator,
)
from likewise.cross_encoder.evaluation.classification import f1_of_classes
from likewise.evaluation import SentenceEvaluator
from likewise.readers import InputExample
from tests.cross_encoder.evaluation.evaluator_cases import CASES
from tests.cross_encoder.evaluation.fixed_scores import FixedScores
from tests.peer.evaluator_cases import told
from tests.peer.test_evaluators import largest_difference

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "evaluator_scores.json").read_text(encoding="utf-8"))["outcomes"]
SIGNATURES: dict[str, dict[str, Any]] = {  # of 6.2.0; batches are cut by tokens here, so batch_size has no default
    "CrossEncoderClassificationEvaluator": {
        "sentence_pairs": ...,
        "labels": ...,
        "name": "",
        "prompt_name": None,
        "batch_size": None,
        "show_progress_bar": None,
        "write_csv": True,
    },
    "CrossEncoderCorrelationEvaluator": {
        "sentence_pairs": ...,
        "scores": ...,
        "name": "",
        "prompt_name": None,
        "batch_size": None,
        "show_progress_bar": None,
        "write_csv": True,
    },
    "CrossEncoderRerankingEvaluator": {
        "samples": ...,
        "at_k": 10,
        "always_rerank_positives": True,
        "name": "",
        "prompt_name": None,
        "batch_size": None,
        "show_progress_bar": False,
        "write_csv": True,
        "mrr_at_k": None,
    },
}
PAIRS = [("tea one", "tea two"), ("rain one", "sun one"), ("tea two", "sun two")]
SAMPLE = {"query": "tea where", "positive": "tea one", "negative": ["rain one", "sun one"]}
FOUND = {"query": "tea where", "positive": ["tea one", "tea two"], "documents": ["rain one", "tea two", "sun one"]}


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    return largest_difference(ours, theirs | {"greater_is_better": True})  # two of theirs forget to say so


def test_every_case_was_recorded() -> None:
    assert list(CASES) == list(RECORDED)


@pytest.mark.parametrize("name", CASES)
def test_scores_and_files_are_those_recorded(name: str) -> None:
    make, settings = CASES[name]
    assert difference(told(make(evaluation), FixedScores(**settings)), RECORDED[name]) <= 1e-7


@pytest.mark.peer
def test_scores_and_files_are_theirs(tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    out = tmp_path / "theirs.json"
    module = "tests.cross_encoder.evaluation.evaluator_cases"
    subprocess.run([python, "-m", module, str(out)], cwd=HERE.parents[2], check=True)
    theirs = json.loads(out.read_text(encoding="utf-8"))["outcomes"]
    assert list(theirs) == list(CASES)
    for name, (make, settings) in CASES.items():
        found = difference(told(make(evaluation), FixedScores(**settings)), theirs[name])
        print(f"{name}: {found:.1e}")
        assert found <= 1e-7, name


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_and_defaults_are_those_of_6_2(name: str) -> None:
    found = inspect.signature(getattr(evaluation, name)).parameters
    given = {key: ... if each.default is inspect.Parameter.empty else each.default for key, each in found.items()}
    assert given == SIGNATURES[name]
    assert list(given) == list(SIGNATURES[name])


@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_f1_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    from sklearn.metrics import f1_score

    predicted, labels = np.array(rows).T
    for kind in ("macro", "micro", "weighted"):
        expected = f1_score(labels, predicted, average=kind, zero_division=0)
        assert f1_of_classes(predicted, labels)[f"f1_{kind}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("evaluator", "labels"),
    [
        (CrossEncoderClassificationEvaluator(PAIRS, [1, 0, 0], name="n"), 1),
        (CrossEncoderClassificationEvaluator(PAIRS, [2, 0, 0], name="n"), 3),
        (CrossEncoderCorrelationEvaluator(PAIRS, [1, 0.5, 0], name="n"), 1),
        (CrossEncoderRerankingEvaluator([SAMPLE, FOUND], name="n"), 1),
    ],
)
def test_measuring_changes_neither_the_evaluator_nor_what_it_gives(evaluator: SentenceEvaluator, labels: int) -> None:
    before = deepcopy(vars(evaluator))
    model: Any = FixedScores(labels)
    first = evaluator.measure(model)
    assert str(vars(evaluator)) == str(before)
    assert evaluator(model).keys() == {f"n_{key}" for key in first}
    assert evaluator.primary_metric in evaluator(model)


def test_the_primary_metric_follows_the_model() -> None:
    evaluator = CrossEncoderClassificationEvaluator(PAIRS, [1, 0, 0])
    assert evaluator.primary_metric is None
    many: Any = FixedScores(2)
    one: Any = FixedScores(1)
    for model, primary in ((many, "f1_macro"), (one, "average_precision"), (many, "f1_macro")):
        evaluator(model)
        assert evaluator.primary_metric == primary


def test_predict_is_called_once_with_all_pairs_and_the_settings() -> None:
    model: Any = FixedScores()
    settings = {"batch_size": 3, "show_progress_bar": False}
    CrossEncoderRerankingEvaluator([SAMPLE, FOUND], batch_size=3)(model)
    CrossEncoderCorrelationEvaluator(PAIRS, [1, 2, 3], prompt_name="query")(model)
    (reranked, first), (correlated, second) = model.calls
    right = [("tea where", text) for text in ("tea one", "rain one", "sun one", "tea one", "tea two")]
    assert reranked == [*right, ("tea where", "rain one"), ("tea where", "sun one")]
    assert first == settings
    assert correlated == PAIRS
    assert second == {"prompt_name": "query", "batch_size": None, "show_progress_bar": None}


def test_a_model_that_tells_nothing_apart_wins_nothing() -> None:
    model: Any = FixedScores()
    model.predict = lambda pairs, **settings: np.ones(len(pairs), dtype=np.float32)
    assert CrossEncoderRerankingEvaluator([SAMPLE])(model) == {
        "map": pytest.approx(1 / 3),
        "mrr@10": pytest.approx(1 / 3),  # the positive, given first, is taken for the last
        "ndcg@10": pytest.approx(np.mean(1 / np.log2([2, 3, 4]))),
    }


def test_nothing_is_asked_of_the_model_where_no_query_has_a_right_candidate() -> None:
    model: Any = FixedScores()
    samples = [{"query": "tea", "positive": ["green"], "documents": documents} for documents in ([], ["black"])]
    found = CrossEncoderRerankingEvaluator(samples, always_rerank_positives=False)(model)
    assert set(found.values()) == {0.0}
    assert model.calls == []


def test_older_names_and_examples() -> None:
    examples = [InputExample(texts=list(pair), label=place % 2) for place, pair in enumerate(PAIRS)]
    model: Any = FixedScores()
    found = CEF1Evaluator.from_input_examples(examples, name="x")(model)
    assert found == CrossEncoderClassificationEvaluator(PAIRS, [0, 1, 0], name="x")(model)
    correlation = CrossEncoderCorrelationEvaluator.from_input_examples(examples)
    assert correlation.scores.tolist() == [0, 1, 0]
    assert correlation.sentence_pairs == PAIRS


def test_settings_for_the_model_card() -> None:
    assert CrossEncoderRerankingEvaluator([SAMPLE], at_k=3).get_config_dict() == {"at_k": 3}
    found = CrossEncoderRerankingEvaluator([FOUND], always_rerank_positives=False).get_config_dict()
    assert found == {"at_k": 10, "always_rerank_positives": False}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossEncoderCorrelationEvaluator([], []), "sentence_pairs holds no pair"),
        (lambda: CrossEncoderCorrelationEvaluator(["ab"], [1]), r"sentence_pairs\[0\] is 'ab', but must be two texts"),
        (lambda: CrossEncoderCorrelationEvaluator([("a", None)], [1]), r"is \('a', None\), but must"),  # type: ignore[list-item]
        (lambda: CrossEncoderCorrelationEvaluator(PAIRS, [1, 2]), "sentence_pairs has 3, scores has 2"),
        (lambda: CrossEncoderCorrelationEvaluator(PAIRS, [1, 2, float("nan")]), r"scores\[2\] is nan"),
        (lambda: CrossEncoderClassificationEvaluator(PAIRS, [1, 0]), "sentence_pairs has 3, labels has 2"),
        (lambda: CrossEncoderClassificationEvaluator(PAIRS, [0, 1, 0.5]), "whole numbers from 0, but 0.5 is"),  # type: ignore[list-item]
        (lambda: CrossEncoderClassificationEvaluator(PAIRS, [0, 1, -1]), "whole numbers from 0, but -1 is"),
        (lambda: CrossEncoderRerankingEvaluator([]), "samples holds no sample"),
        (lambda: CrossEncoderRerankingEvaluator([SAMPLE], at_k=0), "at_k must be at least 1, not 0"),
        (
            lambda: CrossEncoderRerankingEvaluator([SAMPLE, {"query": "a", "negative": []}]),
            "sample 1 has no 'positive'; it has 'query', 'negative'",
        ),
        (
            lambda: CrossEncoderRerankingEvaluator([SAMPLE | FOUND]),
            "sample 0 must have either 'negative' or 'documents'",
        ),
        (
            lambda: CrossEncoderRerankingEvaluator([{"query": "a", "positive": "b"}]),
            "sample 0 must have either 'negative' or 'documents'",
        ),
        (lambda: CrossEncoderRerankingEvaluator([SAMPLE | {"query": 3}]), "sample 0, query.* is 3, which is not text"),
    ],
)
def test_wrong_input_is_told_when_the_evaluator_is_made(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_models_that_do_not_fit_are_told() -> None:
    one: Any = FixedScores(1)
    three: Any = FixedScores(3)
    with pytest.raises(ValueError, match="the model gives 3 numbers a pair; this needs one with a single label"):
        CrossEncoderCorrelationEvaluator(PAIRS, [1, 2, 3])(three)
    evaluator = CrossEncoderClassificationEvaluator(PAIRS, [0, 3, 1])
    with pytest.raises(ValueError, match="this model tells classes 0 to 1, but the label 3 is given"):
        evaluator(one)
    with pytest.raises(ValueError, match="this model tells classes 0 to 2, but the label 3 is given"):
        evaluator(three)
    three.predict = lambda pairs, **settings: np.array([[1, 2, 3], [1, np.nan, 1], [1, 2, 3]])
    with pytest.raises(ValueError, match=r"NaN or infinity for 1 of 3 pairs, one of them \('rain one', 'sun one'\)"):
        evaluator(three)
