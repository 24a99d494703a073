"""What each evaluator refuses, knows beforehand and leaves alone; its numbers are in tests/peer/test_evaluators.py."""

import inspect
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import evaluation, search, similarity, util
from likewise.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    LabelAccuracyEvaluator,
    MSEEvaluator,
    ParaphraseMiningEvaluator,
    RerankingEvaluator,
    SentenceEvaluator,
    TranslationEvaluator,
    TripletEvaluator,
)
from likewise.evaluation.foreign_functions import takes_arrays
from likewise.readers import InputExample
from tests.evaluation.fixed_model import FixedModel

SIGNATURES = json.loads((Path(__file__).parent / "signatures_6.2.json").read_text(encoding="utf-8"))
OUR_DEFAULTS = {"batch_size": None, "main_distance_function": None}  # batches are cut by tokens; nothing is deprecated
A, B, C = ["tea one", "rain one", "tea two"], ["tea three", "tea four", "rain two"], ["sun one", "sun two", "sun three"]
QUERIES, CORPUS = {"q": "tea where"}, {"d2": "tea one", "d1": "rain one"}
SAMPLE = {"query": "tea where", "positive": "tea one", "negative": ["rain one"]}

MADE: dict[str, Any] = {  # name → one of each, that no call shall change
    "similarity": EmbeddingSimilarityEvaluator(A, B, [1, 2, 4], name="n"),
    "binary": BinaryClassificationEvaluator(A, B, [1, 0, 0], name="n"),
    "triplet": TripletEvaluator(A, B, C, name="n"),
    "retrieval": InformationRetrievalEvaluator(QUERIES, CORPUS, {"q": {"d1"}}, name="n"),
    "reranking": RerankingEvaluator([SAMPLE], name="n"),
    "mining": ParaphraseMiningEvaluator(dict(enumerate(A)), [(0, 2)], name="n"),
    "mse": MSEEvaluator(A, B, FixedModel(seed=1), name="n"),  # type: ignore[arg-type]
    "translation": TranslationEvaluator(A, B, name="n"),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_and_defaults_are_those_of_6_2(name: str) -> None:
    found = inspect.signature(getattr(evaluation if name[0].isupper() else util, name)).parameters
    assert list(found) == list(SIGNATURES[name])
    for argument, default in SIGNATURES[name].items():
        ours = found[argument].default
        if default == "<required>":
            assert ours is inspect.Parameter.empty
        elif argument in OUR_DEFAULTS:
            assert ours is OUR_DEFAULTS[argument]
        elif default == "list":
            assert isinstance(ours, tuple)
        elif isinstance(default, str) and default:
            assert callable(ours), f"{argument}={default}"
        else:
            assert ours == default, argument


def test_paraphrase_mining_has_the_same_arguments_in_search() -> None:
    for name in ("paraphrase_mining", "paraphrase_mining_embeddings"):
        assert list(inspect.signature(getattr(search, name)).parameters) == list(SIGNATURES[name])


@pytest.mark.parametrize("name", MADE)
def test_measuring_changes_neither_the_evaluator_nor_what_it_gives(name: str) -> None:
    evaluator: SentenceEvaluator = MADE[name]
    before = deepcopy(vars(evaluator))
    model: Any = FixedModel()
    first = evaluator.measure(model)
    assert str(vars(evaluator)) == str(before)
    evaluator(FixedModel("dot"))
    assert evaluator.measure(model) == first  # another model's own similarity is not kept
    assert evaluator(model).keys() == {f"n_{key}" for key in first}
    assert evaluator.primary_metric in evaluator(model)


@pytest.mark.parametrize(
    ("evaluator", "primary"),
    [
        (EmbeddingSimilarityEvaluator(A, B, [1, 2, 4]), None),
        (EmbeddingSimilarityEvaluator(A, B, [1, 2, 4], main_similarity="dot", name="n"), "n_spearman_dot"),
        (EmbeddingSimilarityEvaluator(A, B, [1, 2, 4], similarity_fn_names=["dot", "cosine"]), "spearman_max"),
        (BinaryClassificationEvaluator(A, B, [1, 0, 0], similarity_fn_names=["manhattan"]), "manhattan_ap"),
        (TripletEvaluator(A, B, C, main_similarity_function="euclidean", name="n"), "n_euclidean_accuracy"),
        (TripletEvaluator(A, B, C, main_distance_function="manhattan"), "manhattan_accuracy"),
        (
            InformationRetrievalEvaluator(QUERIES, CORPUS, {"q": ["d1"]}, main_score_function="dot", ndcg_at_k=[3, 5]),
            "dot_ndcg@5",
        ),
        (RerankingEvaluator([SAMPLE], mrr_at_k=7, name="n"), "n_ndcg@7"),
        (MADE["mse"], "n_negative_mse"),
        (MADE["translation"], "n_mean_accuracy"),
        (MADE["mining"], "n_average_precision"),
    ],
)
def test_the_primary_metric_is_known_before_where_it_can_be(evaluator: SentenceEvaluator, primary: str | None) -> None:
    assert evaluator.primary_metric == primary
    model: Any = FixedModel()
    assert evaluator.primary_metric is None or evaluator.primary_metric in evaluator(model)


def test_each_text_is_embedded_once() -> None:
    model: Any = FixedModel()
    EmbeddingSimilarityEvaluator(["a", "b", "a"], ["b", "b", "c"], [1, 2, 3], batch_size=4, truncate_dim=8)(model)
    ((method, texts, settings),) = model.calls
    assert (method, texts) == ("encode", ["a", "b", "c"])
    assert (settings["batch_size"], settings["truncate_dim"], settings["show_progress_bar"]) == (4, 8, False)


def test_queries_and_documents_are_embedded_as_such() -> None:
    for name, methods in {
        "triplet": ["encode_query", "encode_document"],
        "retrieval": ["encode_query", "encode_document"],
        "reranking": ["encode_query", "encode_document"],
        "translation": ["encode"],
    }.items():
        model: Any = FixedModel()
        MADE[name](model)
        assert [method for method, _, _ in model.calls] == methods, name


WRONG: Any = {"nothing": None, "text": "x", "precision": "int4", "margin": "1"}  # what a type checker would refuse
REFUSED: list[tuple[Any, str]] = [
    (lambda: EmbeddingSimilarityEvaluator(A, B[:2], [1, 2, 3]), "equally long, but sentences1 has 3, sentences2 has 2"),
    (lambda: EmbeddingSimilarityEvaluator(A, B, [1, 2]), "equally long, but .* scores has 2"),
    (lambda: EmbeddingSimilarityEvaluator(A[:1], B[:1], [1]), "2 rows or more"),
    (lambda: EmbeddingSimilarityEvaluator("tea", B, [1]), "sentences1 must hold several texts, not be one: 'tea'"),
    (
        lambda: EmbeddingSimilarityEvaluator(["tea", WRONG["nothing"]], B[:2], [1, 2]),
        r"sentences1\[1\] is None, which is not text",
    ),
    (lambda: EmbeddingSimilarityEvaluator(A, B, [1, float("nan"), 2]), r"scores\[1\] is nan, not a number"),
    (lambda: EmbeddingSimilarityEvaluator(A, B, [1, WRONG["text"], 2]), r"scores\[1\] is 'x', not a number"),
    (
        lambda: EmbeddingSimilarityEvaluator(A, B, [1, 2, 3], precision=WRONG["precision"]),
        "'int4' is not known; use one of 'float32', 'int8'",
    ),
    (lambda: EmbeddingSimilarityEvaluator(A, B, [1, 2, 3], main_similarity="cos"), "use one of cosine, dot"),
    (lambda: EmbeddingSimilarityEvaluator(A, B, [1, 2, 3], similarity_fn_names="dot"), r"such as \['dot'\]"),
    (lambda: BinaryClassificationEvaluator(A, B, [0, 1, 2]), "1 .alike. or 0 .not alike., but 2 is among them"),
    (lambda: BinaryClassificationEvaluator([], [], []), "1 row or more"),
    (lambda: TripletEvaluator(A, B, C, margin={"cos": 1}), "'cos', which is no similarity"),
    (lambda: TripletEvaluator(A, B, C, margin=WRONG["margin"]), "margin must be a number"),
    (lambda: TripletEvaluator(A, B, C[:1]), "negatives has 1"),
    (lambda: TripletEvaluator.from_input_examples([InputExample(texts=["a", "b"])]), "example 0 has 2 texts, but 3"),
    (lambda: InformationRetrievalEvaluator(QUERIES, CORPUS, {"p": {"d1"}}), "no query has a relevant document: .*ids"),
    (lambda: InformationRetrievalEvaluator(QUERIES, {}, {"q": {"d1"}}), "0 documents"),
    (lambda: InformationRetrievalEvaluator(QUERIES, CORPUS, {"q": {"d1"}}, map_at_k=[]), "map_at_k must be a list of"),
    (lambda: InformationRetrievalEvaluator(QUERIES, CORPUS, {"q": {1}}, mrr_at_k=[0]), "ranks from 1"),
    (lambda: InformationRetrievalEvaluator(QUERIES, CORPUS | {1: "x"}, {"q": {"d1"}}), "all texts or all numbers"),
    (
        lambda: InformationRetrievalEvaluator(QUERIES, CORPUS, {"q": {1}}, write_predictions=True),
        r"call rankings\(model",
    ),
    (
        lambda: InformationRetrievalEvaluator(
            QUERIES, CORPUS, {"q": {"d1"}}, score_functions={"mine": max}, main_score_function="dot"
        ),
        "main_score_function 'dot' is not among score_functions, which has 'mine'",
    ),
    (lambda: RerankingEvaluator([{**SAMPLE, "negative": []}]), "none of 1 samples has"),
    (lambda: RerankingEvaluator([{"query": "tea", "positive": "x"}]), "sample 0 has no 'negative'; it has 'query'"),
    (lambda: RerankingEvaluator([{**SAMPLE, "positive": [3]}]), r"sample 0, positive\[0\] is 3, which is not text"),
    (lambda: RerankingEvaluator([SAMPLE], at_k=0), "at_k must be at least 1"),
    (lambda: ParaphraseMiningEvaluator({"a": "tea"}, []), "2 rows or more"),
    (lambda: MSEEvaluator(A, B), "needs teacher_model="),
    (lambda: MSEEvaluator(A, B[:1], FixedModel()), "equally long"),  # type: ignore[arg-type]
    (lambda: TranslationEvaluator(A, []), "equally long"),
    (lambda: LabelAccuracyEvaluator([InputExample(texts=["a", "b"], label=1)]), "needs softmax_model="),
    (lambda: LabelAccuracyEvaluator([InputExample(texts=["a", "b"], label=0.5)]), "whole numbers, but 0.5"),
    (lambda: LabelAccuracyEvaluator([]), "1 row or more"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_does_not_fit_is_refused_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_model_that_gives_nan_is_told() -> None:
    class Broken(FixedModel):
        def _vector(self, text: str) -> Any:
            vector = super()._vector(text)
            vector[3] = np.inf if text == "rain one" else vector[3]
            return vector

    model: Any = Broken()
    with pytest.raises(ValueError, match="the model gives NaN or infinity for 1 of 6 texts, one of them 'rain one'"):
        MADE["similarity"](model)


def test_a_teacher_of_another_width_is_told() -> None:
    narrow: Any = FixedModel()
    narrow.encode = lambda texts, **settings: np.zeros((len(texts), 3))
    with pytest.raises(ValueError, match="have 16 numbers, and the model's 3; truncate_dim= makes them equally long"):
        MADE["mse"](narrow)


def test_examples_give_their_columns() -> None:
    examples = [InputExample(texts=[a, b, c], label=place) for place, (a, b, c) in enumerate(zip(A, B, C, strict=True))]
    model: Any = FixedModel()
    found = EmbeddingSimilarityEvaluator.from_input_examples(examples, name="x")
    assert found(model) == EmbeddingSimilarityEvaluator(A, B, [0, 1, 2], name="x")(model)
    triplets = TripletEvaluator.from_input_examples(examples)
    assert (triplets.anchors, triplets.positives, triplets.negatives) == (A, B, C)
    alike = [InputExample(texts=[a, b], label=1) for a, b in zip(A, B, strict=True)]
    assert BinaryClassificationEvaluator.from_input_examples(alike).labels.tolist() == [1, 1, 1]


def test_a_function_of_your_own_gets_tensors() -> None:
    def mine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert isinstance(a, torch.Tensor)
        return a @ b.T

    model: Any = FixedModel("dot")
    arguments: dict[str, Any] = {"queries": QUERIES, "corpus": CORPUS, "relevant_docs": {"q": {"d1"}}}
    found = InformationRetrievalEvaluator(**arguments, score_functions={"dot": mine})(model)
    assert found == InformationRetrievalEvaluator(**arguments)(model)
    assert RerankingEvaluator([SAMPLE], similarity_fct=mine)(model) == RerankingEvaluator(
        [SAMPLE], similarity_fct=util.dot_score
    )(model)


def test_equal_scores_are_ranked_by_the_documents_ids_whatever_the_chunks() -> None:
    corpus = {f"d{place}": "tea one" for place in (5, 3, 1, 4, 2)}
    model: Any = FixedModel()
    for size in (1, 2, 5):
        evaluator = InformationRetrievalEvaluator(QUERIES, corpus, {"q": {"d1"}}, corpus_chunk_size=size)
        _, rows = evaluator.rankings(model)["cosine"]
        assert [evaluator.corpus_ids[row] for row in rows[0]] == ["d1", "d2", "d3", "d4", "d5"]


def test_the_function_that_was_best_at_first_stays_the_primary_one() -> None:
    def ranks(sign: float) -> Any:
        return lambda a, b: sign * (a @ b.T)

    functions = {"up": ranks(1), "down": ranks(-1)}
    arguments: dict[str, Any] = {"queries": QUERIES, "corpus": CORPUS, "score_functions": functions, "ndcg_at_k": [1]}
    model: Any = FixedModel()
    (scores, rows) = InformationRetrievalEvaluator(**arguments, relevant_docs={"q": {"d1"}}).rankings(model)["up"]
    assert scores[0, 0] > scores[0, 1]
    best = ["d1", "d2"][rows[0, 0]]
    evaluator = InformationRetrievalEvaluator(**arguments, relevant_docs={"q": {best}})
    assert evaluator.primary_metric is None
    evaluator(model)
    assert evaluator.primary_metric == "up_ndcg@1"
    turned: Any = FixedModel()
    turned.encode_query = lambda texts, **settings: -model.encode_query(texts, **settings)
    assert evaluator(turned)["down_ndcg@1"] == 1
    assert evaluator.primary_metric == "up_ndcg@1"


def test_the_functions_of_util_are_computed_by_products() -> None:
    assert takes_arrays(util.cos_sim) is similarity.cos_sim
    assert takes_arrays(similarity.dot_score) is similarity.dot_score


def test_a_target_with_the_same_text_counts_as_the_translation() -> None:
    model: Any = FixedModel()
    found = TranslationEvaluator(["tea one", "rain one", "tea one"], ["tea one", "rain one", "tea one"])(model)
    assert found == {"src2trg_accuracy": 1, "trg2src_accuracy": 1, "mean_accuracy": 1}


def test_wrong_translations_are_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = FixedModel()
    TranslationEvaluator(["tea one"], ["rain one"], print_wrong_matches=True)(model)
    assert capsys.readouterr().out == ""
    TranslationEvaluator(["tea one", "rain one"], ["rain one", "tea one"], print_wrong_matches=True)(model)
    out = capsys.readouterr().out
    assert out.startswith(
        "Source 0 is nearest to another target than its own.\n  source: tea one\n  target: rain one\n"
    )
    assert "  1.0000  tea one\n" in out


def test_links_of_several_pairs_count_with_the_closure() -> None:
    texts = dict(zip("abcde", ["tea"] * 5, strict=True))
    pairs = [("a", "b"), ("b", "c"), ("d", "e"), ("e", "gone"), ("a", "a")]
    assert len(ParaphraseMiningEvaluator(texts, pairs).duplicates) == 3
    assert len(ParaphraseMiningEvaluator(texts, pairs, add_transitive_closure=True).duplicates) == 4
    given = {"a": {"b": True, "c": False}, "b": {"a": True}}
    assert ParaphraseMiningEvaluator(texts, duplicates_dict=given).duplicates == {frozenset((0, 1))}
    assert given == {"a": {"b": True, "c": False}, "b": {"a": True}}
