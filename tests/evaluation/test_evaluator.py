"""What all evaluators share: keys, the primary metric, the files, and several as one."""

import json
from pathlib import Path
from typing import Any

import pytest

from likewise.evaluation import (
    BaseEvaluator,
    EmbeddingSimilarityEvaluator,
    SentenceEvaluator,
    SequentialEvaluator,
    TripletEvaluator,
)
from likewise.evaluation.evaluator import write_scores
from tests.evaluation.fixed_model import FixedModel

FIRST, SECOND = ["tea one", "rain one", "tea two"], ["tea three", "tea four", "rain two"]


def similarity(**arguments: Any) -> EmbeddingSimilarityEvaluator:
    return EmbeddingSimilarityEvaluator(FIRST, SECOND, [3, 1, 2], **arguments)


class Constant(SentenceEvaluator):
    """As somebody may write one for sentence-transformers."""

    def __init__(self, name: str = "mine") -> None:
        super().__init__()
        self.name = name
        self.primary_metric = "value"
        self.greater_is_better = False

    def __call__(self, model: Any, output_path: Any = None, epoch: float = -1, steps: int = -1) -> dict[str, float]:
        metrics = self.prefix_name_to_metrics({"value": 3}, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics


def test_one_of_your_own_works_as_it_did() -> None:
    evaluator = Constant()
    assert evaluator(FixedModel()) == {"mine_value": 3.0}
    assert evaluator.primary_metric == "mine_value"
    assert evaluator(FixedModel()) == {"mine_value": 3.0}
    assert evaluator.primary_metric == "mine_value"  # the name is put before it once
    assert evaluator.description == "Constant"
    assert not evaluator.greater_is_better
    assert evaluator.get_config_dict() == {}
    assert BaseEvaluator is SentenceEvaluator


def test_one_that_measures_nothing_says_so() -> None:
    class Nothing(SentenceEvaluator):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing says neither measure\(model\) nor __call__"):
        Nothing()(FixedModel())


def test_nothing_is_written_unless_somebody_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    similarity(name="dev")(FixedModel())
    assert list(tmp_path.iterdir()) == []


def test_lines_are_added_to_the_file(tmp_path: Path) -> None:
    evaluator = similarity(name="sts-dev", similarity_fn_names=["cosine"])
    for epoch, value in ((0.5, 0.25), (1, 0.5)):
        scores = {"sts-dev_spearman_cosine": value, "sts-dev_pearson_cosine": value / 2, "other": 7}
        write_scores(tmp_path / "eval", evaluator, scores, epoch, steps=10)
    text = (tmp_path / "eval" / "similarity_evaluation_sts-dev_results.csv").read_text(encoding="utf-8")
    assert text == "epoch,steps,cosine_pearson,cosine_spearman\n0.5,10,0.125,0.25\n1,10,0.25,0.5\n"
    assert [path.name for path in (tmp_path / "eval").iterdir()] == ["similarity_evaluation_sts-dev_results.csv"]


def test_a_column_that_older_lines_lack_is_empty_there(tmp_path: Path) -> None:
    evaluator = similarity()
    write_scores(tmp_path, evaluator, {"pearson_cosine": 0.1, "spearman_cosine": 0.2}, 1, 1)
    write_scores(tmp_path, evaluator, {"pearson_dot": 0.3, "spearman_dot": 0.4}, 2, 1)
    assert (tmp_path / "similarity_evaluation_results.csv").read_text(encoding="utf-8") == (
        "epoch,steps,cosine_pearson,cosine_spearman,dot_pearson,dot_spearman\n1,1,0.1,0.2,,\n2,1,,,0.3,0.4\n"
    )


def test_write_csv_switches_the_file_off(tmp_path: Path) -> None:
    similarity(write_csv=False)(FixedModel(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_each_of_several_gets_its_file_from_what_all_found(tmp_path: Path) -> None:
    several = SequentialEvaluator(
        [similarity(name="one"), TripletEvaluator(FIRST, SECOND, FIRST, name="two"), Constant()]
    )
    model: Any = FixedModel()
    scores = several(model, tmp_path / "called", 1, 2)
    write_scores(tmp_path / "written", several, several(model), 1, 2)
    names = ["similarity_evaluation_one_results.csv", "triplet_evaluation_two_results.csv"]
    assert sorted(path.name for path in (tmp_path / "called").iterdir()) == names
    for name in names:
        assert (tmp_path / "called" / name).read_text() == (tmp_path / "written" / name).read_text()
    assert several.primary_metric == "sequential_score"
    assert scores["sequential_score"] == scores["mine_value"] == 3


def test_numbers_and_functions_may_be_among_several() -> None:
    several = SequentialEvaluator([lambda *_: 0.25, Constant()], main_score_function=sum)
    assert several(FixedModel()) == {"evaluator_0": 0.25, "mine_value": 3.0, "sequential_score": 3.25}
    assert SequentialEvaluator([])(FixedModel()) == {"sequential_score": 0.0}


def test_two_of_the_same_name_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="two evaluators give 'mine_value', and the last one's is kept: name them"):
        SequentialEvaluator([Constant(), Constant()])(FixedModel())


def test_scores_are_numbers_that_json_takes() -> None:
    scores = similarity(similarity_fn_names=["cosine", "dot"])(FixedModel())
    assert json.loads(json.dumps(scores)) == scores
    assert {type(value) for value in scores.values()} == {float}
