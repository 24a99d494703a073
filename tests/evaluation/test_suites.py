"""Suites: what they read, from where, and what they count; and the published values of all-MiniLM-L6-v2."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from scipy.stats import spearmanr

from likewise import SentenceTransformer
from likewise.evaluation import InformationRetrievalEvaluator
from likewise.evaluation.suites import Score, beir, pairs, senteval, sts
from likewise.evaluation.suites.beir import collections_in
from likewise.evaluation.suites.senteval import SEED, TASKS, pair_features, transfer_accuracy
from likewise.evaluation.suites.source import read
from likewise.evaluation.suites.sts import SICK_ALL, SICK_TEST
from likewise.similarity import pairwise_cos_sim
from tests.evaluation.fixed_model import FixedModel
from tests.peer.evaluator_cases import CORPUS, QUERIES, RELEVANT, SENTENCES

PUBLISHED = {  # all-MiniLM-L6-v2 in float32, Spearman's correlation times 100
    "STS12": 72.37,
    "STS13": 80.60,
    "STS14": 75.59,
    "STS15": 85.39,
    "STS16": 78.99,
    "STSb": 82.03,
    SICK_TEST: 77.15,
    SICK_ALL: 77.58,
}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        separator = "," if path.suffix == ".csv" else "\t"
        lines = [list(rows[0]), *(row.values() for row in rows)]
        path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines), encoding="utf-8")


# Semantic textual similarity


def scored_pairs(seed: int, count: int = 12) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        {"sentence1": draw.choice(SENTENCES), "sentence2": draw.choice(SENTENCES), "score": float(draw.integers(6))}
        for _ in range(count)
    ]


def expected(rows: list[dict[str, Any]]) -> float:
    model = FixedModel()
    first, second = (model.encode([row[name] for row in rows]) for name in ("sentence1", "sentence2"))
    return 100 * float(spearmanr([row["score"] for row in rows], pairwise_cos_sim(first, second))[0])


def test_the_seven_tasks_of_similarity_and_both_counts_of_sick(tmp_path: Path) -> None:
    tasks = {f"STS{year}": scored_pairs(year) for year in range(12, 17)} | {"STSb": scored_pairs(1)}
    for name, rows in tasks.items():
        write(tmp_path / "sts" / f"{name.lower()}_test.parquet", rows)
    sick = [{**row, "split": "test" if place % 3 else "train"} for place, row in enumerate(scored_pairs(2, 30))]
    write(tmp_path / "sts" / "sick.jsonl", sick)
    model: Any = FixedModel("dot")  # cosines are compared all the same
    scores = sts(model, tmp_path)
    tasks |= {SICK_TEST: [row for row in sick if row["split"] == "test"], SICK_ALL: sick}
    assert [(score.task, score.rows) for score in scores[:-2]] == [(name, len(rows)) for name, rows in tasks.items()]
    for score, rows in zip(scores[:-2], tasks.values(), strict=True):
        assert score.value == pytest.approx(expected(rows), abs=1e-4)
    six = sum(expected(rows) for name, rows in tasks.items() if not name.startswith("SICK"))
    for average, name, count in zip(scores[-2:], (SICK_TEST, SICK_ALL), ("test", "all"), strict=True):
        assert average.task == f"average with {'the ' * (count == 'test')}{count} pairs of SICK-R"
        assert average.value == pytest.approx((six + expected(tasks[name])) / 7, abs=1e-4)
    ((_, texts, _),) = model.calls
    assert len(texts) == len(set(texts)) <= len(SENTENCES)  # once, whichever tasks share it
    assert sts(model, tmp_path / "sts") == scores  # the folder of the files itself


def test_what_a_folder_lacks_is_told(tmp_path: Path) -> None:
    model: Any = FixedModel()
    with pytest.raises(FileNotFoundError, match=r"has no sts/sts12_test\.parquet \(nor \.jsonl, \.csv, \.tsv\)"):
        sts(model, tmp_path)


def test_the_hub_has_all_pairs_of_sick_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        return [{**row, "genre": "none"} for row in scored_pairs(len(name))]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    model: Any = FixedModel()
    scores = sts(model)
    assert [score.task for score in scores] == [*[*PUBLISHED][:6], SICK_ALL, "average with all pairs of SICK-R"]
    assert asked[0] == ("mteb/sts12-sts", None, "test")
    assert asked[5:] == [("mteb/stsbenchmark-sts", None, "test"), ("mteb/sickr-sts", None, "test")]
    assert scores[0].value == pytest.approx(expected(scored_pairs(len("mteb/sts12-sts"))), abs=1e-4)


def test_the_published_value_of_stsb(minilm_folder: Path, shared_data: Path) -> None:
    model = SentenceTransformer(minilm_folder, dtype="float32", device="cpu")
    spearman, pearson = pairs(model, shared_data / "sts" / "stsb_test.parquet")
    assert (spearman.metric, spearman.rows) == ("spearman_cosine", 1379)
    assert spearman.value == pytest.approx(PUBLISHED["STSb"], abs=0.02)
    assert pearson.metric == "pearson_cosine"


@pytest.mark.slow
def test_the_published_values_of_similarity(minilm_folder: Path, shared_data: Path) -> None:
    scores = sts(SentenceTransformer(minilm_folder, dtype="float32", device="cpu"), shared_data)
    found = {score.task: score.value for score in scores}
    assert {task: found[task] for task in PUBLISHED} == pytest.approx(PUBLISHED, abs=0.02)


# Transfer


def nested_accuracy(features: Any, labels: Any) -> float:
    """Cross-validation as SentEval's, with scikit-learn's own grid search in place of ours."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

    folds = StratifiedKFold(3, shuffle=True, random_state=SEED)
    grid = {"C": [0.25, 0.5, 1, 2, 4, 8]}
    search = GridSearchCV(LogisticRegression(tol=1e-5, max_iter=1000), grid, cv=folds)
    return float(cross_val_score(search, features, labels, cv=folds).mean())


def test_everything_is_cross_validated_where_there_are_no_splits() -> None:
    draw = np.random.default_rng(3)  # where choosing the strength on all rows would tell
    features = draw.normal(size=(90, 12)).astype(np.float32)
    labels = (features[:, 0] + draw.normal(size=90) > 0).astype(int)
    assert transfer_accuracy(features, labels, folds=3) == pytest.approx(nested_accuracy(features, labels))


def test_the_strength_is_chosen_without_the_test_set() -> None:
    """The classes of the test set are turned round, so that it would prefer what the development set does not."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(3)
    features = draw.normal(size=(300, 20)).astype(np.float32)
    labels = (features[:, 0] + 2 * draw.normal(size=300) > 0).astype(int)
    train, development, test = np.split(np.arange(300), [60, 150])
    labels[test] = 1 - labels[test]

    def accuracy(strength: float, rows: Any) -> float:
        classifier = LogisticRegression(C=strength, tol=1e-5, max_iter=1000).fit(features[train], labels[train])
        return float(classifier.score(features[rows], labels[rows]))

    strengths = [2.0**power for power in range(-2, 4)]
    chosen = max(strengths, key=lambda strength: accuracy(strength, development))
    assert transfer_accuracy(features, labels, [train, development, test]) == accuracy(chosen, test)
    assert accuracy(chosen, test) < max(accuracy(strength, test) for strength in strengths)


def test_pairs_are_seen_by_difference_and_product() -> None:
    u, v = np.array([[1, -2]], np.float32), np.array([[3, 4]], np.float32)
    assert pair_features(u, v).tolist() == [[2, 6, 3, -8]]


def labelled(columns: list[str], splits: list[str], seed: int, words: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows whose class is the first word of their texts, but for some."""
    draw, rows = np.random.default_rng(seed), []
    for place in range(45 * max(1, len(splits))):
        word = int(draw.integers(len(words)))
        label = word if draw.random() > 0.1 else (word + 1) % len(words)
        texts = {name: f"{words[word]} {draw.integers(999)}" for name in columns}
        rows.append({**texts, "label": label, **({"split": splits[place % len(splits)]} if splits else {})})
    return rows


def test_the_seven_tasks_of_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["likewise.evaluation.suites.senteval"], "FOLDS", 3)
    monkeypatch.setattr(transfer_accuracy, "__defaults__", ((), 3))
    for name in ("STRENGTHS", "STRENGTHS_ON_TRAIN"):
        monkeypatch.setattr(sys.modules["likewise.evaluation.suites.senteval"], name, [0.01, 0.1])
    two = ("tea", "rain")
    for place, name in enumerate(("mr", "cr", "subj", "mpqa")):
        write(tmp_path / "senteval" / f"{name}.parquet", labelled(["text"], [], place, two))
    write(tmp_path / "senteval" / "sst2.parquet", labelled(["text"], ["train", "dev", "test"], 5, two))
    write(tmp_path / "senteval" / "trec.tsv", labelled(["text"], ["train", "test"], 6, ("tea", "rain", "river")))
    both = labelled(["sentence1", "sentence2"], ["train", "test"], 7, two)
    write(tmp_path / "senteval" / "mrpc.csv", both)
    model: Any = FixedModel()
    scores = senteval(model, tmp_path)
    tasks = ["MR", "CR", "SUBJ", "MPQA", "SST2", "TREC", "MRPC", "average"]
    assert [score.task for score in scores] == tasks
    assert [score.rows for score in scores] == [45, 45, 45, 45, 45, 45, 45, None]
    assert all(70 < score.value <= 100 for score in scores[:6])  # the classifier sees what decides, 9 times of 10
    assert scores[-1].value == pytest.approx(np.mean([score.value for score in scores[:-1]]))
    u, v = (model.encode([row[name] for row in both]) for name in ("sentence1", "sentence2"))
    parts = [np.array([place for place, row in enumerate(both) if row["split"] == part]) for part in ("train", "test")]
    labels = np.array([row["label"] for row in both])
    assert scores[6].value == pytest.approx(100 * transfer_accuracy(pair_features(u, v), labels, parts))


def test_the_tasks_of_transfer_have_other_columns_and_splits_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        return [{"sentence": "tea", "text": "rain", "sentence1": "a", "sentence2": "b", "label": 1, "label_coarse": 4}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert read(TASKS["SST2"].source, None, ["text", "label", "split"]) == [
        {"text": text, "label": 1, "split": split}
        for text, split in [("tea", "train"), ("tea", "dev"), ("rain", "test")]
    ]
    assert asked == [
        ("stanfordnlp/sst2", None, "train"),
        ("stanfordnlp/sst2", None, "validation"),
        ("SetFit/sst2", None, "test"),
    ]
    assert read(TASKS["MR"].source, None, ["text", "label"]) == [{"text": "rain", "label": 1}] * 3
    assert read(TASKS["TREC"].source, None, ["label", "split"])[1] == {"label": 4, "split": "test"}
    pairs_of_mrpc = read(TASKS["MRPC"].source, None, ["sentence1", "sentence2", "label", "split"])
    assert [row["split"] for row in pairs_of_mrpc] == ["train", "train", "test"]
    assert asked[-1] == ("nyu-mll/glue", "mrpc", "test")


# Retrieval


def collection(folder: Path, suffix: str = ".jsonl", prefix: str = "", **names: str) -> None:
    """CORPUS and what answers QUERIES, with the first word of a text as its title."""
    identifier, query, document = (names.get(name, name) for name in ("_id", "query-id", "corpus-id"))
    corpus = [
        {identifier: key, "title": text.split()[0], "text": text.split(" ", 1)[1]} for key, text in CORPUS.items()
    ]
    write(folder / f"{prefix}corpus{suffix}", corpus)
    write(folder / f"{prefix}queries{suffix}", [{identifier: key, "text": text} for key, text in QUERIES.items()])
    qrels = [
        {query: key, document: found, "score": 1} for key, all_found in RELEVANT.items() for found in sorted(all_found)
    ]
    qrels += [{query: "q0", document: "d1", "score": 0}]
    if prefix:
        others = [{**qrels[0], document: "d40", "split": "train"}]
        write(folder / f"{prefix}qrels{suffix}", [{**row, "split": "test"} for row in qrels] + others)
    else:
        write(folder / "qrels" / "test.tsv", qrels)


def values(scores: list[Score]) -> dict[str, float]:
    return {f"{score.task} {score.metric}": score.value for score in scores}


@pytest.mark.parametrize(
    "layout",
    [
        lambda folder: collection(folder / "tea"),
        lambda folder: collection(folder / "tea", ".parquet"),
        lambda folder: collection(
            folder / "retrieval", ".parquet", "tea_", **{"_id": "doc_id", "query-id": "query_id", "corpus-id": "doc_id"}
        ),
    ],
)
def test_any_layout_gives_what_the_evaluator_gives(layout: Any, tmp_path: Path) -> None:
    layout(tmp_path)
    model: Any = FixedModel()
    scores = beir(model, tmp_path)
    found = InformationRetrievalEvaluator(QUERIES, CORPUS, RELEVANT, precision_recall_at_k=[100])(model)
    assert [score.rows for score in scores] == [7] * 4
    assert values(scores) == pytest.approx(
        {f"tea {name}": 100 * found[f"cosine_{name}"] for name in ("ndcg@10", "mrr@10", "map@100", "recall@100")}
    )
    if (tmp_path / "tea").is_dir():
        assert beir(model, tmp_path / "tea") == scores


def test_grades_count_and_a_query_does_not_find_itself(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", [{"_id": key, "text": key} for key in ("tea 1", "tea 2", "rain 1")])
    write(tmp_path / "queries.jsonl", [{"_id": "tea 1", "text": "tea 1"}])
    grades = {"tea 2": 1, "rain 1": 3, "tea 1": 0}
    write(
        tmp_path / "qrels" / "dev.tsv",
        [{"query-id": "tea 1", "corpus-id": key, "score": grade} for key, grade in grades.items()],
    )
    model: Any = FixedModel()
    model.encode_query = model.encode_document = model.encode
    scores = {score.metric: score.value for score in beir(model, tmp_path)}
    ideal = 3 + 1 / np.log2(3)
    assert scores["ndcg@10"] == pytest.approx(100 * (1 + 3 / np.log2(3)) / ideal)
    assert scores["mrr@10"] == scores["recall@100"] == 100


def test_several_collections_have_a_mean(tmp_path: Path) -> None:
    collection(tmp_path / "one")
    collection(tmp_path / "two", ".parquet")
    model: Any = FixedModel()
    scores = beir(model, tmp_path)
    assert [score.task for score in scores] == ["one"] * 4 + ["two"] * 4 + ["average"]
    assert scores[-1].value == pytest.approx(scores[0].value)


def test_what_is_no_collection_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no corpus\.jsonl, with queries\.jsonl and qrels/test\.tsv"):
        collections_in(tmp_path)
    collection(tmp_path)
    (tmp_path / "qrels" / "test.tsv").rename(tmp_path / "qrels" / "train.tsv")
    write(tmp_path / "qrels" / "dev.tsv", [{"query-id": "q0", "corpus-id": "d1", "score": 1}])
    with pytest.raises(FileNotFoundError, match=r"has no test\.tsv, and 2 other files"):
        collections_in(tmp_path)
    write(tmp_path / "corpus.jsonl", [{"name": "d1", "text": "tea"}])
    (tmp_path / "qrels" / "dev.tsv").unlink()
    with pytest.raises(ValueError, match="a row has none of the columns _id, id, doc_id, query_id; it has name, text"):
        collections_in(tmp_path)


def test_the_hub_holds_a_collection_in_three_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        parts: dict[str | None, list[dict[str, Any]]] = {
            "corpus": [{"_id": key, "title": "", "text": text} for key, text in CORPUS.items()],
            "queries": [{"_id": key, "text": text} for key, text in QUERIES.items()],
            "default": [{"query-id": key, "corpus-id": "d1", "score": 1.0} for key in QUERIES],
        }
        return parts[config]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    model: Any = FixedModel()
    scores = beir(model)
    assert asked[:3] == [("mteb/scifact", *part) for part in (("corpus",) * 2, ("queries",) * 2, ("default", "test"))]
    assert len(scores) == 5 * 4 + 1
    assert scores[0].rows == len(QUERIES)


@pytest.mark.slow
def test_scifact_stays_as_it_was_measured(minilm_folder: Path, shared_data: Path) -> None:
    scores = values(beir(SentenceTransformer(minilm_folder, dtype="float32", device="cpu"), shared_data))
    assert scores["scifact ndcg@10"] == pytest.approx(64.51, abs=0.02)
