"""Mining texts: what is read, the forms of the result, what is told, and what is refused."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from likewise import search, util
from likewise.readers import InputExample
from likewise.search.hard_negatives import mine_hard_negatives
from tests.peer.negative_cases import CORPUS, FORMATS, PAIRS, SEVERAL, FixedCrossEncoder, MiningModel

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "hard-negatives.md"
QUERIES = ["tea one", "rain one", "tea one", "music one"]
POSITIVES = ["tea black", "rain heavy", "tea green", "music loud"]
ROWS = {"query": QUERIES, "answer": POSITIVES}
MORE = ["tea white", "rain light", "music soft", "tea cold", "rain warm"]


def mined(dataset: Any = ROWS, **arguments: Any) -> Any:
    settings = {"corpus": MORE, "num_negatives": 2, "verbose": False}
    return mine_hard_negatives(dataset, MiningModel(), **(settings | arguments))  # type: ignore[arg-type]


def columns(**arguments: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = mined(**arguments).to_dict()
    return found


def test_it_is_where_the_incumbent_has_it() -> None:
    assert util.mine_hard_negatives is search.mine_hard_negatives is mine_hard_negatives


def test_the_guide_prints_what_it_says(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = re.findall(r"```(?:python)?\n(.*?)```\n", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.endswith(printed)


# The forms of the result


def test_triplets_have_a_row_for_each_positive_and_negative() -> None:
    found = columns(output_scores=True)
    rows = list(zip(*found.values(), strict=True))
    assert list(found) == ["query", "answer", "negative", "scores"]
    assert [row[:2] for row in rows] == [
        *[("tea one", "tea black")] * 2,
        *[("tea one", "tea green")] * 2,
        *[("rain one", "rain heavy")] * 2,
        *[("music one", "music loud")] * 2,
    ]
    negatives = found["negative"]
    assert negatives[:2] == negatives[2:4]
    assert set(negatives[:2]) <= {"tea white", "tea cold"}
    model = MiningModel()
    queries = model.encode_query([row[0] for row in rows])
    for place, column in enumerate((found["answer"], negatives)):
        scores = model.similarity_pairwise(queries, model.encode_document(column))
        np.testing.assert_allclose([row[place] for row in found["scores"]], scores, atol=1e-6)
    assert all(row[3][0] >= -1 for row in rows)
    best, second = (np.array(found["scores"])[start::2, 1] for start in (0, 1))
    assert (best >= second).all()


def test_all_forms_hold_the_same_negatives() -> None:
    triplets = columns()
    of_query: dict[str, list[str]] = {}
    for query, negative in zip(triplets["query"], triplets["negative"], strict=True):
        if negative not in of_query.setdefault(query, []):
            of_query[query].append(negative)
    pairs = [
        ("tea one", "tea black"),
        ("tea one", "tea green"),
        ("rain one", "rain heavy"),
        ("music one", "music loud"),
    ]
    tuples = columns(output_format="n-tuple")
    assert list(zip(tuples["query"], tuples["answer"], strict=True)) == pairs
    numbered = zip(tuples["negative_1"], tuples["negative_2"], strict=True)
    assert list(map(list, numbered)) == [of_query[query] for query, _ in pairs]
    lists = columns(output_format="labeled-list")
    assert lists["query"] == [query for query, _ in pairs]
    assert lists["answer"] == [[positive, *of_query[query]] for query, positive in pairs]
    assert lists["labels"] == [[1, 0, 0]] * 4
    labelled = columns(output_format="labeled-pair")
    expected = []
    for query, negatives in of_query.items():
        expected += [(query, positive, 1) for own, positive in pairs if own == query]
        expected += [(query, negative, 0) for negative in negatives]
    assert list(zip(*labelled.values(), strict=True)) == expected
    assert list(labelled) == ["query", "answer", "label"]


def test_positives_stand_in_the_order_of_the_rows() -> None:
    found = columns(corpus=["tea green", *MORE], output_format="labeled-pair")
    of_tea = [answer for query, answer in zip(found["query"], found["answer"], strict=True) if query == "tea one"]
    assert of_tea[:2] == ["tea black", "tea green"]


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_blocks_change_nothing(output_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"dataset": SEVERAL, "corpus": CORPUS, "output_format": output_format}
    settings |= {"output_scores": True, "max_score": 0.5}
    whole = columns(**settings)
    monkeypatch.setattr("likewise.search.negatives.QUERIES_IN_BLOCK", 4)
    assert columns(**settings) == whole


def test_the_columns_are_plain_texts_and_numbers() -> None:
    assert mined(output_scores=True).features == datasets.Features(
        {name: datasets.Value("string") for name in ("query", "answer", "negative")}
        | {"scores": datasets.List(datasets.Value("float64"))}
    )
    assert mined(output_format="labeled-pair").features["label"] == datasets.Value("int64")


def test_a_result_without_rows_keeps_its_columns() -> None:
    with pytest.warns(UserWarning, match="3 of 3 queries have no negative, and so no row in the result"):
        found = mined(max_score=-2.0)
    assert len(found) == 0
    assert found.column_names == ["query", "answer", "negative"]
    assert found.features["negative"] == datasets.Value("string")


def test_older_spellings_are_understood() -> None:
    assert columns(as_triplets=False) == columns(output_format="n-tuple")
    assert columns(as_triplets=True) == columns()
    assert columns(output_format="n-tuple-scores") == columns(output_format="n-tuple", output_scores=True)
    assert columns(margin=0.1) == columns(absolute_margin=0.1) != columns()


def test_random_negatives_are_the_seeds() -> None:
    settings: dict[str, Any] = {"sampling_strategy": "random", "range_max": 8}
    assert columns(**settings) == columns(**settings, seed=0) != columns(**settings, seed=1)


# What is read


def csv(folder: Path) -> Path:
    file = folder / "rows.csv"
    file.write_text("query,answer\n" + "\n".join(map(",".join, zip(QUERIES, POSITIVES, strict=True))), encoding="utf-8")
    return file


SOURCES: dict[str, Callable[[Path], Any]] = {
    "Dataset": lambda _: datasets.Dataset.from_dict({**ROWS, "more": [[1, 2]] * 4}),
    "pandas": lambda _: pd.DataFrame(ROWS),
    "polars": lambda _: pl.DataFrame(ROWS),
    "Arrow": lambda _: pa.table(ROWS),
    "mappings": lambda _: [{"query": one, "answer": two} for one, two in zip(QUERIES, POSITIVES, strict=True)],
    "read once": lambda _: zip(QUERIES, POSITIVES, strict=True),
    "examples": lambda _: [InputExample(texts=[*pair], label=1) for pair in zip(QUERIES, POSITIVES, strict=True)],
    "file": csv,
}


@pytest.mark.parametrize("name", SOURCES)
def test_rows_are_read_from(name: str, tmp_path: Path) -> None:
    found = columns(dataset=SOURCES[name](tmp_path))
    assert list(found.values()) == list(columns().values())


def test_columns_are_chosen_by_name() -> None:
    rows = {"label": [1] * 4, "answer": POSITIVES, "query": QUERIES}
    found = columns(dataset=rows, anchor_column_name="query", positive_column_name="answer")
    assert found == columns()


def test_any_iterable_is_a_corpus() -> None:
    assert columns(corpus=(text for text in MORE)) == columns() == columns(corpus=pl.Series(MORE))


def test_texts_are_embedded_as_asked() -> None:
    model: Any = MiningModel()
    mine_hard_negatives(ROWS, model, query_prompt="ask: ", corpus_prompt_name="told", batch_size=7, verbose=False)
    (first, queries, settings), (second, passages, others) = model.calls
    assert (first, queries) == ("encode_query", ["tea one", "rain one", "music one"])
    assert (second, passages) == ("encode_document", POSITIVES)
    assert (settings["prompt"], settings["prompt_name"], settings["batch_size"]) == ("ask: ", None, 7)
    assert (others["prompt"], others["prompt_name"], others["batch_size"]) == (None, "told", 7)
    assert settings["normalize_embeddings"]
    assert others["normalize_embeddings"]


# The cross-encoder


class Asked(FixedCrossEncoder):
    def __init__(self) -> None:
        self.calls: list[tuple[list[tuple[str, str]], dict[str, Any]]] = []

    def predict(self, pairs: Any, **settings: Any) -> Any:
        self.calls.append((pairs, settings))
        return super().predict(pairs)


def test_the_cross_encoder_is_asked_for_each_candidate_and_positive_once() -> None:
    asked = Asked()
    mined(cross_encoder=asked, max_score=9.0, range_max=3, batch_size=5)
    ((pairs, settings),) = asked.calls
    assert len(set(pairs)) == len(pairs)
    assert set(zip(QUERIES, POSITIVES, strict=True)) <= set(pairs)
    assert 3 * 5 <= len(pairs) <= 3 * 5 + 4  # range_max and the most positives, for each query; positives may be others
    assert settings == {"batch_size": 5}


def test_its_scores_decide() -> None:
    found = columns(cross_encoder=FixedCrossEncoder(), max_score=9.0, output_scores=True)
    pairs = list(zip(found["query"], found["negative"], strict=True))
    np.testing.assert_allclose([row[1] for row in found["scores"]], FixedCrossEncoder().predict(pairs))


def test_its_scores_may_be_tensors_with_a_gradient() -> None:
    class OfTensors(FixedCrossEncoder):
        def predict(self, pairs: Any, **settings: Any) -> Any:
            return torch.from_numpy(super().predict(pairs)).to(torch.bfloat16).requires_grad_()

    assert len(columns(cross_encoder=OfTensors(), max_score=9.0)["query"]) == 8


def test_a_cross_encoder_that_nothing_depends_on_is_not_asked() -> None:
    asked = Asked()
    with pytest.warns(UserWarning, match="the cross_encoder is not asked") as told:
        found = columns(cross_encoder=asked)
    assert told[0].filename == __file__
    assert found == columns()
    assert not asked.calls


# What is told


def test_what_was_found_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="no row in the result; a larger range_max, or milder limits of scores, may"):
        mined(PAIRS, corpus=CORPUS, num_negatives=4, relative_margin=0.1, range_max=12, verbose=True)
    out = capsys.readouterr().out
    assert re.search(r"^ +positive +negative +difference$", out, re.MULTILINE)
    count, mean, lowest = (
        re.findall(rf"^{name} +(.*)$", out, re.MULTILINE)[0].split() for name in ("count", "mean", "lowest")
    )
    assert count[0] == "30"
    assert count[1] == count[2]
    assert float(mean[0]) > float(mean[1])
    assert float(lowest[2]) >= 0.0
    removed, candidates = re.findall(r"relative_margin=0.1 removed (\d+) of (\d+) candidates", out)[0]
    assert 0 < int(removed) < int(candidates) <= 30 * 13
    assert re.search(r"^\d+ of 30 queries have fewer than 4 negatives$", out, re.MULTILINE)


def test_nothing_is_told_of_what_went_well(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mined()
        mined(num_negatives=50, output_format="labeled-pair")  # which loses no query
    assert not capsys.readouterr().out


def test_rows_that_are_lost_are_told() -> None:
    with pytest.warns(UserWarning, match="3 of 3 queries have fewer than 50 negatives, .*; a larger corpus may help"):
        assert len(mined(num_negatives=50, output_format="n-tuple")) == 0


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_faiss": True}, "use_faiss and faiss_batch_size do nothing here"),
        ({"faiss_batch_size": 100}, "leave them out"),
        ({"output_format": "pairs"}, "must be one of 'triplet', 'n-tuple', .*, not 'pairs'"),
        ({"margin": 0.1, "absolute_margin": 0.1}, "give one of them"),
        ({"anchor_column_name": "question"}, "no column 'question'; its columns: 'query', 'answer'"),
        ({"positive_column_name": "question"}, "no column 'question'"),
        ({"anchor_column_name": "answer"}, "would both be 'answer'"),
        ({"dataset": {"query": ["tea"]}}, "has only 'query'"),
        ({"dataset": []}, "has none"),
        ({"dataset": {"query": [], "answer": []}}, "the dataset has no rows"),
        ({"dataset": {"query": ["tea", None], "answer": ["rain", "rain"]}}, "row 1: the column 'query' holds None"),
        ({"dataset": {"query": ["tea"], "answer": [" "]}}, "row 0: the column 'answer' holds ' '"),
        ({"dataset": {"query": ["tea"], "answer": [["rain"]]}}, r"holds \['rain'\], which is no text"),
        ({"dataset": {"query": ["tea"], "negative": ["rain"]}}, "a column 'negative' of its own"),
        ({"corpus": ["tea", ""]}, "no text at position 1"),
        ({"num_negatives": 0}, "num_negatives must be at least 1"),
    ],
)
def test_what_is_wrong_is_refused(arguments: dict[str, Any], message: str) -> None:
    model = MiningModel()
    settings: dict[str, Any] = {"dataset": ROWS, "verbose": False, "max_score": 0.5} | arguments
    with pytest.raises(ValueError, match=message):
        mine_hard_negatives(model=model, **settings)  # type: ignore[arg-type]
    assert not model.calls, "before hours of work"


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match="the dataset is of type int"):
        mined(7)
    with pytest.raises(TypeError, match="text 1 is no string"):
        mined(corpus=["tea", 7])
