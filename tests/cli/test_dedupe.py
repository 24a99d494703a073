"""likewise dedupe: a file in, the same file without its duplicates out, and why."""

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

TEXTS = [
    "tea tea",
    "a late train",
    "kettle",
    "tea",
    " a  late train",
    "the train is late",
    "kettle kettle tea",
]  # with counts (2, 0), …: 3 equals 0 in direction; 4 equals 1 as a text; 5 equals 1 in direction


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[WordCounts]) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return tmp_path


def test_the_first_of_each_group_is_kept_and_the_rest_reported(run: Run, notes: Path) -> None:
    finished = run("dedupe", "notes.txt", "-o", "kept.txt", "--report", "dropped.csv")
    assert finished == (0, "read\t7\nkept\t4\nequal\t1\nnear\t2\n", "")
    assert (notes / "kept.txt").read_text().splitlines() == [TEXTS[row] for row in (0, 1, 2, 6)]
    with (notes / "dropped.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    told = [
        (row["line"], row["text"], row["reason"], row["score"], row["alike_line"], row["kept_text"]) for row in rows
    ]
    assert told == [
        ("4", "tea", "near", "1.0", "1", "tea tea"),
        ("5", " a  late train", "equal", "1.0", "2", "a late train"),
        ("6", "the train is late", "near", "1.0", "2", "a late train"),
    ]
    assert {row["source"] for row in rows} == {"notes.txt"}


def test_a_lower_threshold_drops_more_and_names_the_link(run: Run, notes: Path) -> None:
    assert run("dedupe", "notes.txt", "-o", "kept.txt", "--threshold", 0.85).out.startswith("read\t7\nkept\t3\n")
    assert run("dedupe", "notes.txt", "-o", "kept.txt", "--threshold", 0.4, "--report", "r.csv").code == 0
    assert (notes / "kept.txt").read_text().splitlines() == TEXTS[:2]
    with (notes / "r.csv").open(newline="", encoding="utf-8") as file:
        (row,) = [row for row in csv.DictReader(file) if row["text"] == "kettle"]
    assert (row["score"], row["alike_text"], row["kept_text"]) == ("0.8944", "kettle kettle tea", "tea tea")


def test_equal_texts_need_no_model(run: Run, notes: Path, models: list[WordCounts]) -> None:
    assert run("dedupe", "notes.txt", "-o", "kept.txt", "--exact").out == "read\t7\nkept\t6\nequal\t1\nnear\t0\n"
    assert not models


def test_rows_stay_as_they_are(run: Run, notes: Path) -> None:
    Path("a.csv").write_text('id,text\n01,"tea"\n02,"late, late"\n', encoding="utf-8")
    Path("b.csv").write_text("id,text\n03,tea tea\n04,train\n", encoding="utf-8")
    assert run("dedupe", "a.csv", "b.csv", "a.csv", "-o", "kept.csv").code == 0
    assert Path("kept.csv").read_text() == 'id,text\n01,"tea"\n02,"late, late"\n04,train\n'
    assert run("dedupe", "a.csv", "-o", "kept.csv", "--column", "id", "--exact").code == 0


def test_standard_input(run: Run, notes: Path) -> None:
    stdin = "\n".join([*TEXTS, ""])
    assert run("dedupe", "-", "-o", "kept.txt", stdin=stdin).out.startswith("read\t7\nkept\t4\n")
    assert (notes / "kept.txt").read_text().splitlines() == [TEXTS[row] for row in (0, 1, 2, 6)]


def test_without_an_output_groups_are_printed(run: Run, notes: Path) -> None:
    assert run("dedupe", "notes.txt") == (
        0,
        "0\t1.0000\tnotes.txt:2\ta late train\n"
        "0\t1.0000\tnotes.txt:5\ta late train\n"
        "0\t1.0000\tnotes.txt:6\tthe train is late\n"
        "1\t1.0000\tnotes.txt:1\ttea tea\n"
        "1\t1.0000\tnotes.txt:4\ttea\n",
        "",
    )
    assert run("dedupe", "notes.txt", terminal=True).out.splitlines() == [
        "kept    notes.txt:2  a late train",
        "1.0000  notes.txt:5  a late train",
        "1.0000  notes.txt:6  the train is late",
        "",
        "kept    notes.txt:1  tea tea",
        "1.0000  notes.txt:4  tea",
        "",
        "7 texts, 2 groups; -o PATH writes them without 3 of them",
    ]


def test_people_are_told_in_a_sentence(run: Run, notes: Path) -> None:
    told = run("dedupe", "notes.txt", "-o", "kept.txt", terminal=True).out
    assert told == "4 of 7 rows in kept.txt; 1 were equal to another, 2 were nearly so\n"


def test_nothing_to_read(run: Run, notes: Path) -> None:
    Path("none.txt").touch()
    assert run("dedupe", "none.txt") == (1, "", "likewise: there is no text in none.txt\n")


@pytest.mark.parametrize("report", ["rows.csv", "kept.csv", "./kept.csv"])
def test_a_report_takes_the_place_of_nothing_else(run: Run, notes: Path, report: str) -> None:
    Path("rows.csv").write_text("text\ntea\ntea\n")
    finished = run("dedupe", "rows.csv", "--exact", "-o", "kept.csv", "--report", report)
    assert finished.code == 2
    assert "is read or written already" in finished.err
    assert Path("rows.csv").read_text() == "text\ntea\ntea\n"
    assert not Path("kept.csv").exists()
