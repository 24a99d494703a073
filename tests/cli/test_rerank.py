"""likewise rerank: the texts of a file in the order that a cross-encoder gives them."""

import subprocess
import sys
from pathlib import Path

import pytest

from likewise import CrossEncoder
from tests.cli.conftest import Run
from tests.tiny_checkpoints import tiny_classifier, tiny_encoder

QUERY = "is the train late in winter?"
TEXTS = ["the kettle is on", "a train was late", "", "tea", "the river\tin [b]winter[/b]"]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("scorer"))


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the texts in a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return tmp_path


def expected(scorer: Path, texts: list[str] = TEXTS) -> list[tuple[float, int, str]]:
    """Score, number and text of each text that is not blank, each scored in a call of its own; the best first."""
    model = CrossEncoder(scorer)
    hits = [
        (float(model.predict((QUERY, text))), number, " ".join(text.split()))
        for number, text in enumerate(texts, start=1)
        if text.strip()
    ]
    return sorted(hits, reverse=True)


def check(out: str, hits: list[tuple[float, int, str]]) -> None:
    records = [line.split("\t") for line in out.splitlines()]
    assert [record[1:] for record in records] == [[str(number), text] for _, number, text in hits]
    assert [float(record[0]) for record in records] == pytest.approx([score for score, _, _ in hits], abs=2e-3)


@pytest.mark.usefixtures("notes")
def test_programs_get_score_number_and_text_best_first(run: Run, scorer: Path) -> None:
    finished = run("rerank", QUERY, "notes.txt", "--model", scorer)
    assert (finished.code, finished.err) == (0, "")
    assert all(len(line.partition("\t")[0].partition(".")[2]) == 4 for line in finished.out.splitlines())
    check(finished.out, expected(scorer))


@pytest.mark.usefixtures("notes")
def test_top_k_keeps_the_best(run: Run, scorer: Path) -> None:
    check(run("rerank", QUERY, "notes.txt", "-k", 2, "--model", scorer).out, expected(scorer)[:2])


def test_lines_come_from_standard_input(run: Run, scorer: Path) -> None:
    check(run("rerank", QUERY, "-", "--model", scorer, stdin="\n".join(TEXTS)).out, expected(scorer))


def test_a_column_of_a_table_holds_the_texts(run: Run, scorer: Path, notes: Path) -> None:
    rows = ["the garden was green", "rain", "a small bridge"]
    table = "name,note\n" + "".join(f"tea,{text}\n" for text in rows)
    (notes / "notes.csv").write_text(table, encoding="utf-8")
    arguments = ["rerank", QUERY, "notes.csv", "--model", scorer]
    check(run(*arguments, "--column", "note").out, expected(scorer, rows))
    without = run(*arguments)
    assert without.code == 1
    assert "'name', 'note'" in without.err


@pytest.mark.usefixtures("notes")
def test_people_read_a_table(run: Run, scorer: Path) -> None:
    out = run("rerank", QUERY, "notes.txt", "--model", scorer, terminal=True).out
    header, _, *rows = ["\t".join(line.strip().split(maxsplit=2)) for line in out.splitlines() if line.strip()]
    assert header == "score\tnumber\ttext"
    check("\n".join(rows), expected(scorer))


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_a_file_without_text_ends_with_1(text: str, run: Run, notes: Path) -> None:
    (notes / "blank.txt").write_text(text, encoding="utf-8")
    assert run("rerank", QUERY, "blank.txt") == (1, "", "likewise: there is no text in blank.txt\n")


@pytest.mark.usefixtures("notes")
def test_a_model_that_was_not_taught_to_score_is_refused(run: Run, tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path / "encoder")
    finished = run("rerank", QUERY, "notes.txt", "--model", encoder)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.endswith(
        f"likewise: {encoder} has not learnt to score pairs; give a cross-encoder instead of it\n"
    )


@pytest.mark.usefixtures("notes")
def test_a_model_with_several_scores_is_refused(run: Run, tmp_path: Path) -> None:
    classes = tiny_classifier(tmp_path / "classes", labels=3)
    finished = run("rerank", QUERY, "notes.txt", "--model", classes)
    assert (finished.code, finished.out) == (1, "")
    assert "gives each pair 3 scores" in finished.err


@pytest.mark.usefixtures("notes")
def test_a_model_that_is_not_there_ends_with_1(run: Run, tmp_path: Path) -> None:
    finished = run("rerank", QUERY, "notes.txt", "--model", tmp_path / "model")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("likewise: no model called ")


def test_the_true_model_reads_both_texts(notes: Path, ms_marco_folder: Path) -> None:
    passages = [
        "The boathouse keeps its keys in the kitchen.",
        "Anyone who has passed the river test may take the four out, at any hour of daylight.",
        "The four was built in a yard by the sea.",
    ]
    (notes / "passages.txt").write_text("\n".join(passages), encoding="utf-8")
    arguments = ["rerank", "who is allowed to use the four?", "passages.txt", "--model", str(ms_marco_folder)]
    command = [str(Path(sys.executable).parent / "likewise"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=notes)
    scores, numbers, _ = zip(*(line.split("\t") for line in finished.stdout.splitlines()), strict=True)
    assert numbers[0] == "2"
    assert float(scores[0]) > float(scores[1]) + 2
    assert finished.stderr == ""
