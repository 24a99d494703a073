"""likewise cluster: texts in, each with its cluster out, and a line for each cluster."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

TEXTS = ["a train", "tea", "", "green tea", "tea\twith milk", "the train runs", "tea", "kettle"]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[WordCounts]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")


def test_each_text_gets_its_cluster_and_each_cluster_a_line(run: Run, notes: None) -> None:
    assert run("cluster", "notes.txt", "--clusters", 3, "-o", "out.jsonl") == (
        0,
        "0\t4\ttea, green, milk\ttea\tgreen tea\ttea with milk\n"
        "1\t2\ttrain, runs\ta train\tthe train runs\n"
        "2\t1\tkettle\tkettle\n",
        "",
    )
    rows = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["line"], row["text"], row["cluster"]) for row in rows] == [
        (line, text, 1 if "train" in text else 0 if "tea" in text else 2)
        for line, text in enumerate(TEXTS, start=1)
        if text
    ]
    assert {row["source"] for row in rows} == {"notes.txt"}


def test_people_see_words_and_texts(run: Run, notes: None) -> None:
    lines = run("cluster", "notes.txt", "--clusters", 3, terminal=True).out.splitlines()
    assert lines[:5] == ["0  4 texts  tea, green, milk", "    tea", "    green tea", "    tea with milk", ""]
    assert lines[-1] == "7 texts in 3 clusters"


def test_hdbscan_leaves_out_what_is_in_none(run: Run, notes: None) -> None:
    finished = run("cluster", "notes.txt", "--algorithm", "hdbscan", "--min-size", 2, "-o", "out.csv", terminal=True)
    assert finished.out.splitlines()[-1] == "6 texts in 2 clusters, and 1 in none; each with its cluster in out.csv"
    assert "-1,kettle,notes.txt,8" in Path("out.csv").read_text(encoding="utf-8").splitlines()


def test_without_scikit_learn_the_extra_is_named(run: Run, notes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    finished = run("cluster", "notes.txt")
    assert finished.code == 1
    assert "install it with: pip install 'likewise[cluster]'" in finished.err


def test_blank_texts_alone_are_nothing(run: Run, notes: None) -> None:
    Path("blank.txt").write_text("\n \n", encoding="utf-8")
    assert run("cluster", "blank.txt") == (1, "", "likewise: there are only blank texts in blank.txt\n")
