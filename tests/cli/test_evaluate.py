"""likewise evaluate: the table of a suite, or of a file of pairs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

LINES = (
    "first,second,gold\n"
    "tea in the kettle,the kettle and tea,5\n"
    "late for tea,the tea,3\n"
    "the train is late,tea,0\n"
    "late tea,the train is late,2\n"
)


@pytest.fixture
def pairs(tmp_path: Path, models: list[WordCounts], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(WordCounts, "dtype", "float32", raising=False)
    (tmp_path / "pairs.csv").write_text(LINES, encoding="utf-8")
    return tmp_path / "pairs.csv"


def test_people_read_a_table(run: Run, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pairs.parent)
    finished = run("evaluate", "counts", "--suite", "pairs.csv", "--columns", "first", "second", "gold", terminal=True)
    assert (finished.code, finished.err) == (0, "")
    assert [line.rstrip() for line in finished.out.splitlines()] == [
        "",
        " task        rows   metric             value",
        " ───────────────────────────────────────────",
        " pairs.csv      4   spearman_cosine   100.00",
        " pairs.csv      4   pearson_cosine     98.99",
        "",
    ]


def test_programs_get_one_line_a_value(run: Run, pairs: Path, models: list[WordCounts]) -> None:
    finished = run("evaluate", "counts", "--suite", pairs, "--columns", "first", "second", "gold", "--dtype", "float32")
    assert finished.code == 0
    assert finished.out == f"{pairs}\tspearman_cosine\t100.0000\t4\n{pairs}\tpearson_cosine\t98.9851\t4\n"
    assert [(model.name, model.settings) for model in models] == [("counts", {"device": None, "dtype": "float32"})]


def test_the_table_is_written_on_request(run: Run, pairs: Path, tmp_path: Path) -> None:
    arguments = ("evaluate", "counts", "--suite", pairs, "--columns", "first", "second", "gold", "-o")
    assert run(*arguments, tmp_path / "new" / "table.csv").code == 0
    header, first, _ = (tmp_path / "new" / "table.csv").read_text(encoding="utf-8").splitlines()
    assert header == "task,metric,value,rows"
    assert first.startswith(f"{pairs},spearman_cosine,100.0")
    assert run(*arguments, tmp_path / "table.JSON").code == 0
    found = json.loads((tmp_path / "table.JSON").read_text(encoding="utf-8"))
    assert {key: found[key] for key in ("model", "dtype", "suite")} == {
        "model": "counts",
        "dtype": "float32",
        "suite": str(pairs),
    }
    assert [score["metric"] for score in found["scores"]] == ["spearman_cosine", "pearson_cosine"]


@pytest.mark.parametrize("suite", ["sts", "senteval", "beir"])
def test_a_suite_is_given_its_folder(
    suite: str, run: Run, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likewise.evaluation.suites import Score

    given: list[Any] = []

    def found(model: Any, folder: Path | None, show_progress: bool) -> list[Score]:
        given.append((model.name, folder, show_progress))
        return [Score("STS12", "spearman", 72.345678, 3108), Score("average", "spearman", 70.0)]

    monkeypatch.setattr(f"likewise.evaluation.suites.{suite}", found)
    finished = run("evaluate", "counts", "--suite", suite, "--data", tmp_path)
    assert finished.out == "STS12\tspearman\t72.3457\t3108\naverage\tspearman\t70.0000\t\n"
    run("evaluate", "counts", "--suite", suite)
    assert given == [("counts", tmp_path, True), ("counts", None, True)]


def test_mistakes_are_told_before_the_model_is_loaded(run: Run, pairs: Path, models: list[WordCounts]) -> None:
    finished = run("evaluate", "counts", "--suite", "stss")
    assert finished.code == 2
    assert "'stss' is no file, and none of sts, senteval, beir" in finished.err
    finished = run("evaluate", "counts", "--suite", pairs, "-o", "table.txt")
    assert finished.code == 2
    assert "'table.txt' must end in .csv or .json" in finished.err
    assert models == []


def test_a_column_that_is_not_there_is_one_line(run: Run, pairs: Path) -> None:
    finished = run("evaluate", "counts", "--suite", pairs)
    assert finished.code == 1
    assert finished.err == (
        f"likewise: {pairs}, whose first line must name the columns: there is no column 'sentence1'; "
        "the columns: 'first', 'second', 'gold'\n"
    )


def test_the_true_model(run: Run, minilm_folder: Path, tmp_path: Path) -> None:
    lines = ["The kettle boils.\tWater is boiling in the kettle.\t5", "The kettle boils.\tThe train was late.\t0"]
    lines += ["It rains.\tThere is rain.\t4"]
    (tmp_path / "pairs.tsv").write_text("\n".join(["sentence1\tsentence2\tscore", *lines]), encoding="utf-8")
    out = run("evaluate", minilm_folder, "--suite", tmp_path / "pairs.tsv").out
    assert out.split("\t")[1:4:2] == ["spearman_cosine", f"3\n{tmp_path / 'pairs.tsv'}"]
    assert float(out.split("\t")[2]) >= 50
