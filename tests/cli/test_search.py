"""likewise search: the passages of files that are closest to a question."""

import subprocess
import sys
from pathlib import Path

import pytest

from likewise import CrossEncoder
from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts
from tests.test_pdf_text import write_pdf
from tests.tiny_checkpoints import tiny_classifier

HOUSE = """\
# The house

## Kitchen

The kettle makes the tea.

## Station

The train is late, says the board above the platform. It has been late every day of this week,\tand nobody [b]knows[/b]
why the train is not on time.
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a folder of notes."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notes" / "of a folder with a long name" / "in which there is one more folder"
    folder.mkdir(parents=True)
    (folder / "house.md").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "notes" / "plain.txt").write_text("Tea, tea and more tea.\n", encoding="utf-8")
    (tmp_path / "notes" / "data.csv").write_text("kettle,tea\n", encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("notes")
def test_people_read_the_place_and_then_the_passage(run: Run, models: list[WordCounts]) -> None:
    assert run("search", "is the tea on the late train?", "notes", "--top-k", 2, terminal=True) == (
        0,
        """\
0.8165  notes/of a folder with a long name/in which there is one more folder/house.md:9
        The house > Station
        The train is late, says the board above the platform. It has been late
        every day of this week, and nobody [b]knows[/b] why the train is not on
        time.

0.5774  notes/plain.txt:1
        Tea, tea and more tea.

""",
        "",
    )


@pytest.mark.usefixtures("notes")
def test_programs_get_one_line_a_passage(run: Run, models: list[WordCounts]) -> None:
    house = "notes/of a folder with a long name/in which there is one more folder/house.md"
    assert run("search", "kettle", "notes", "--model", "counts") == (
        0,
        f"0.7071\t{house}:5\tThe house > Kitchen\tThe kettle makes the tea.\n"
        "0.0000\tnotes/plain.txt:1\t\tTea, tea and more tea.\n"
        f"0.0000\t{house}:9\tThe house > Station\tThe train is late, says the board above the platform. It has been "
        "late every day of this week, and nobody [b]knows[/b] why the train is not on time.\n",
        "",
    )
    assert [model.name for model in models] == ["counts"]


@pytest.mark.usefixtures("notes")
def test_headings_are_embedded_with_the_text_under_the_prompts_for_search(run: Run, models: list[WordCounts]) -> None:
    run("search", "tea", "notes")
    by_method = {method: texts for method, texts, _ in models[0].calls}
    assert by_method["encode_query"] == ["tea"]
    assert by_method["encode_document"][:2] == [
        "Tea, tea and more tea.",
        "The house > Kitchen\nThe kettle makes the tea.",
    ]


@pytest.mark.usefixtures("notes")
def test_the_score_is_the_models_own(run: Run, models: list[WordCounts], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WordCounts, "similarity_fn_name", "dot")
    assert run("search", "tea", "notes", "-k", 1).out == "3.0000\tnotes/plain.txt:1\t\tTea, tea and more tea.\n"


@pytest.mark.usefixtures("notes")
def test_a_file_named_twice_is_found_once(run: Run, models: list[WordCounts]) -> None:
    out = run("search", "tea", "notes", "notes/plain.txt").out
    assert out.count("plain.txt") == 1
    assert len(out.splitlines()) == 3


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("scorer"))


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("candidates", [2, 3, None])
def test_a_cross_encoder_scores_the_closest_passages_with_their_headings(
    candidates: int | None, run: Run, models: list[WordCounts], scorer: Path
) -> None:
    closest_first = [
        "Tea, tea and more tea.",
        "The house > Kitchen\nThe kettle makes the tea.",
        f"The house > Station\n{' '.join(HOUSE.split('Station')[1].split())}",
    ]
    model, question = CrossEncoder(scorer), "tea tea"  # of three, the last one comes second
    scored = [(float(model.predict((question, text))), text) for text in closest_first[:candidates]]
    best = sorted(scored, reverse=True)[:2]
    options = ["--rerank", scorer, *(["--candidates", candidates] if candidates else [])]
    finished = run("search", question, "notes", "--top-k", 2, *options)
    assert (finished.code, finished.err) == (0, "")
    records = [line.split("\t") for line in finished.out.splitlines()]
    assert ["\n".join(record[2:]).strip() for record in records] == [text for _, text in best]
    assert [float(record[0]) for record in records] == pytest.approx([score for score, _ in best], abs=2e-3)


@pytest.mark.usefixtures("notes")
def test_more_can_be_printed_than_a_cross_encoder_reads_by_default(
    run: Run, models: list[WordCounts], scorer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["likewise.cli.search"], "CANDIDATES", 1)  # that name is the function's, too
    assert len(run("search", "tea", "notes", "--rerank", scorer).out.splitlines()) == 3


@pytest.mark.usefixtures("notes")
def test_a_cross_encoder_that_is_not_there_is_told_before_anything_is_embedded(
    run: Run, models: list[WordCounts], tmp_path: Path
) -> None:
    finished = run("search", "tea", "notes", "--rerank", tmp_path / "model")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("likewise: no model called ")
    assert models == []


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("paths", [["notes/none"], ["empty"], ["empty", "blank.txt"]])
def test_nothing_to_search_in_ends_with_1_before_the_model_loads(
    paths: list[str], run: Run, notes: Path, models: list[WordCounts]
) -> None:
    (notes / "empty").mkdir()
    (notes / "blank.txt").write_text(" \n\n", encoding="utf-8")
    finished = run("search", "tea", *paths)
    assert finished.code == 1
    assert finished.out == ""
    assert finished.err.startswith("likewise: ")
    assert paths[-1] in finished.err
    assert models == []


@pytest.mark.usefixtures("notes")
def test_what_cannot_be_read_is_told_and_left_out(run: Run, models: list[WordCounts]) -> None:
    Path("notes/broken.txt").write_bytes(b"tea\n\xe9\n")
    Path("notes/two.csv").write_text("question,answer\nIs there tea?,No kettle.\n", encoding="utf-8")
    finished = run("search", "tea", "notes", "no\n.md", "-k", 1)
    assert (finished.code, finished.out) == (0, "1.0000\tnotes/plain.txt:1\t\tTea, tea and more tea.\n")
    assert finished.err == (
        "likewise: left out: notes/broken.txt: line 2: b'\\xe9\\n' is not UTF-8; convert the file first, perhaps with: "
        "iconv -f WINDOWS-1252 -t UTF-8\n"
        "likewise: left out: notes/two.csv: say which column holds the texts; the columns: 'question', 'answer'\n"
        "likewise: left out: no .md: No such file or directory\n"
    )
    finished = run("search", "kettle", "notes/two.csv", "--column", "answer")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == "1.0000\tnotes/two.csv:2\t\tNo kettle.\n"


@pytest.mark.usefixtures("notes")
def test_pages_and_tables_are_searched_too(run: Run, models: list[WordCounts]) -> None:
    write_pdf(Path("notes/boat.pdf"), ["No word here.", "The kettle on the train."])
    Path("notes/page.html").write_text("<h1>Late</h1>\n<p>The train.</p>", encoding="utf-8")
    Path("notes/table.csv").write_text("title,text\nCups,The tea.\n", encoding="utf-8")
    found = run("search", "train kettle", "notes", "-k", 2).out.splitlines()
    assert found[0] == "1.0000\tnotes/boat.pdf#page=2\t\tThe kettle on the train."
    assert run("search", "tea cups", "notes/table.csv").out.split("\t")[1:] == [
        "notes/table.csv:2",
        "Cups",
        "The tea.\n",
    ]
    assert run("search", "late", "notes/page.html").out.split("\t")[1:] == ["notes/page.html:2", "Late", "The train.\n"]


def test_the_true_model_finds_what_no_word_gives_away(notes: Path, minilm_folder: Path) -> None:
    arguments = ["search", "my journey was delayed", "notes", "--top-k", "1", "--model", str(minilm_folder)]
    command = [str(Path(sys.executable).parent / "likewise"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=notes)
    (hit,) = finished.stdout.splitlines()
    score, place, heading, text = hit.split("\t")
    assert text.startswith("The train is late,")
    assert heading == "The house > Station"
    assert place.endswith("house.md:9")
    assert 0.2 < float(score) < 0.8
    assert finished.stderr == ""


@pytest.mark.usefixtures("notes")
def test_what_the_model_could_not_read_is_told_once(
    run: Run, models: list[WordCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WordCounts, "LIMIT", 3)
    finished = run("search", "tea", "notes", "-k", 1)
    assert finished.err == "3 of 3 passages have more than 3 tokens and were cut; 38 tokens, 80.9%, were lost\n"
