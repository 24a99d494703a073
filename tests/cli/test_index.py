"""likewise index: built, changed and searched from the shell."""

import os
import re
import shlex
from pathlib import Path

import pytest
import typer

from likewise.cli.index import index
from likewise.passages import Passage
from likewise.search.index import Index
from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts
from tests.tiny_checkpoints import tiny_classifier

SUBCOMMANDS = ["build", "add", "remove", "update", "search", "info"]

pytest.importorskip("lancedb", reason="an index needs the package lancedb")

HOUSE = """\
# The house

## Kitchen

The kettle makes the tea.

## Station

The train is late.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[WordCounts]) -> Path:
    """The working folder, with a folder of notes, and a model that reads three words of a passage."""
    monkeypatch.setattr(WordCounts, "LIMIT", 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "house.md").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "notes" / "plain.txt").write_text("Tea, tea and more tea.\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def built(folder: Path, run: Run, models: list[WordCounts]) -> Path:
    """The working folder, with an index of the notes."""
    finished = run("index", "build", "notes", "notes/plain.txt", "-o", "my.index", "--model", "counts")
    assert (finished.code, finished.out) == (0, "")
    *_, added, told = finished.err.splitlines()
    assert added == "my.index: passages: 3 added"
    assert told.startswith("3 of 3 passages have more than 3 tokens and were cut; ")
    models.clear()
    return folder


def embedded(models: list[WordCounts]) -> list[str]:
    return [text for model in models for method, texts, _ in model.calls if "document" in method for text in texts]


@pytest.mark.usefixtures("built")
def test_programs_get_one_line_a_passage_and_the_files_are_not_read(run: Run, models: list[WordCounts]) -> None:
    assert run("index", "search", "my.index", "kettle") == (
        0,
        "0.7071\tnotes/house.md:5\tThe house > Kitchen\tThe kettle makes the tea.\n"
        "0.0000\tnotes/house.md:9\tThe house > Station\tThe train is late.\n"
        "0.0000\tnotes/plain.txt:1\t\tTea, tea and more tea.\n",
        "",
    )
    assert [model.name for model in models] == ["counts"]
    assert embedded(models) == []


@pytest.mark.usefixtures("built")
def test_people_read_the_place_and_then_the_passage(run: Run) -> None:
    assert run("index", "search", "my.index", "late train", "-k", 1, terminal=True) == (
        0,
        "1.0000  notes/house.md:9\n        The house > Station\n        The train is late.\n\n",
        "",
    )


def test_files_elsewhere_are_named_by_their_whole_path(built: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (built / "elsewhere").mkdir()
    monkeypatch.chdir(built / "elsewhere")
    out = run("index", "search", built / "my.index", "tea", "-k", 1).out
    assert out.split("\t")[1] == f"{built}/notes/plain.txt:1"


@pytest.mark.usefixtures("built")
def test_conditions_and_words(run: Run) -> None:
    out = run("index", "search", "my.index", "tea", "--where", "line > 5").out
    assert out == "0.0000\tnotes/house.md:9\tThe house > Station\tThe train is late.\n"
    out = run("index", "search", "my.index", "trains", "--hybrid", "-k", 1).out
    assert out.endswith("The train is late.\n")  # found by its stem, for the vector of the query is zero
    finished = run("index", "search", "my.index", "tea", "--where", "year = 3")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("likewise: where='year = 3' is no condition on the columns source, line, page,")


@pytest.mark.usefixtures("built")
def test_a_cross_encoder_puts_the_best_in_order(run: Run, tmp_path: Path) -> None:
    from likewise import CrossEncoder

    judge = tiny_classifier(tmp_path / "judge")
    texts = ["The house > Kitchen\nThe kettle makes the tea.", "Tea, tea and more tea."]
    scores = sorted((float(CrossEncoder(judge).predict(("tea tea", text))) for text in texts), reverse=True)
    out = run("index", "search", "my.index", "tea tea", "--where", "line < 9", "--rerank", judge).out
    assert [float(line.split("\t")[0]) for line in out.splitlines()] == pytest.approx(scores, abs=2e-3)


def test_update_reads_the_same_folders_again(built: Path, run: Run, models: list[WordCounts]) -> None:
    (built / "notes" / "house.md").write_text(HOUSE.replace("is late", "was late"), encoding="utf-8")
    (built / "notes" / "plain.txt").unlink()
    (built / "notes" / "new.txt").write_text("A new train.\n", encoding="utf-8")
    finished = run("index", "update", "my.index")
    assert "my.index: passages: 2 added, 2 removed, 1 unchanged" in finished.err.splitlines()
    assert sorted(embedded(models)) == ["A new train.", "The house > Station\nThe train was late."]
    assert len(run("index", "search", "my.index", "tea").out.splitlines()) == 3


def test_an_update_of_one_file_leaves_the_others(built: Path, run: Run) -> None:
    for name in ("plain.txt", "house.md"):
        (built / "notes" / name).write_text("Only tea.\n", encoding="utf-8")
    finished = run("index", "update", "my.index", "notes/plain.txt")
    assert "my.index: passages: 1 added, 1 removed" in finished.err.splitlines()
    assert run("index", "search", "my.index", "late").out.count("The train is late.") == 1


def test_a_folder_that_is_not_there_is_told_and_its_passages_stay(built: Path, run: Run) -> None:
    (built / "notes").rename(built / "unmounted")
    finished = run("index", "update", "my.index")
    assert finished.code == 0
    assert f"likewise: {built}/notes is not there, so its passages stay" in finished.err
    assert len(run("index", "search", "my.index", "tea").out.splitlines()) == 3


def test_add_and_remove(built: Path, run: Run) -> None:
    (built / "more.txt").write_text("More of the train.\n", encoding="utf-8")
    assert "my.index: passages: 1 added" in run("index", "add", "my.index", "more.txt").err.splitlines()
    assert run("index", "remove", "my.index", "notes") == (0, "", "my.index: 3 passages removed\n")
    assert len(run("index", "search", "my.index", "tea").out.splitlines()) == 1
    assert "1 unchanged" in run("index", "update", "my.index").err  # the folder was forgotten, the new file was not
    assert run("index", "remove", "my.index", "--where", "line = 1").err == "my.index: 1 passage removed\n"
    finished = run("index", "remove", "my.index", "nothing.txt")
    assert (finished.code, finished.err[:32]) == (1, "likewise: my.index has no such p")


@pytest.mark.usefixtures("built")
def test_another_model_embeds_everything_again(run: Run, models: list[WordCounts], tmp_path: Path) -> None:
    with Index.open("my.index") as opened:
        opened.add([Passage("Kept only here.", "gone.txt", 1, "")])
    models.clear()
    assert "my.index: embedded by other" in run("index", "update", "my.index", "--model", "other").err.splitlines()
    assert "Kept only here." in embedded(models)
    models.clear()
    assert run("index", "search", "my.index", "kettle", "-k", 1).out.startswith("0.7071\t")
    assert [model.name for model in models] == ["other"]


@pytest.mark.usefixtures("built")
def test_info(run: Run, tmp_path: Path) -> None:
    lines = run("index", "info", "my.index").out.splitlines()
    assert lines[0].startswith("passages    3 of 2 files, ")
    assert lines[1:] == [
        "model       counts (counts), 4 dimensions, cosine",
        "search      exact",
        f"made from   {tmp_path}/notes",
        f"made from   {tmp_path}/notes/plain.txt",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "none", "-o", "my.index"],
        ["search", "my.index", "tea"],
        ["update", "my.index"],
        ["info", "notes"],
        ["build", "notes", "-o", "notes"],
    ],
)
def test_what_is_not_there_is_told_in_a_line(arguments: list[str], run: Run, models: list[WordCounts]) -> None:
    finished = run("index", *arguments)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("likewise: ")
    assert len(finished.err.splitlines()) == 1


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_holds_an_example_that_is_right_and_fits_80_columns(name: str, run: Run) -> None:
    finished = run("index", name, "--help")
    assert finished.code == 0
    assert max(map(len, finished.out.splitlines())) <= 80
    examples = re.findall(r"^  Example: likewise index (\w+) (.+)$", finished.out, re.MULTILINE)
    assert examples
    group = typer.main.get_command(index)
    for command, arguments in examples:
        assert command == name
        group.commands[name].make_context(name, shlex.split(arguments))  # type: ignore[attr-defined]


def test_every_subcommand_has_a_summary_that_is_not_cut(run: Run) -> None:
    commands = run("index", "--help").out.partition("Commands:")[2]
    assert [line.split()[0] for line in commands.strip().splitlines()] == SUBCOMMANDS
    assert "..." not in commands


@pytest.mark.usefixtures("built")
def test_an_index_is_drawn_from_what_it_holds(run: Run, models: list[WordCounts]) -> None:
    pytest.importorskip("sklearn", reason="a map needs the package scikit-learn")
    finished = run("map", "my.index", "-o", "map.html", "--method", "pca")
    assert (finished.code, finished.out) == (0, "texts\t3\nmethod\tPCA\npage\tmap.html\n")
    page = Path("map.html").read_text(encoding="utf-8")
    assert "The kettle makes the tea." in page
    assert "house.md:5" in page
    assert not models  # nothing is embedded again


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_read_is_told_and_the_rest_goes_in(run: Run, models: list[WordCounts]) -> None:
    Path("notes/broken.pdf").write_bytes(b"%PDF-1.7 no more")
    Path("notes/latin.txt").write_bytes("Tee für zwei".encode("latin-1"))
    Path("notes/page.html").write_text("<h1>Tea</h1><p>A kettle &amp; a cup.</p>", encoding="utf-8")
    finished = run("index", "build", "notes", "-o", "my.index", "--model", "counts")
    assert finished.code == 0
    assert "my.index: passages: 4 added" in finished.err
    left_out = [line for line in finished.err.splitlines() if line.startswith("likewise: left out: ")]
    assert [Path(line.split(": ")[2]).name for line in left_out] == ["broken.pdf", "latin.txt"]
    Path("notes/house.md").write_bytes(b"\xff")  # what cannot be read for now is not forgotten
    updated = run("index", "update", "my.index").err.splitlines()
    assert "my.index: passages: 2 unchanged" in updated
    assert "The kettle makes the tea." in run("index", "search", "my.index", "kettle").out


def test_what_a_broken_table_held_is_not_forgotten(run: Run, folder: Path) -> None:
    table = folder / "letters.jsonl"
    rows = ['{"text": "Only members may use the boat."}\n', '{"text": "The kettle makes the tea."}\n']
    table.write_text("".join(rows))
    run("index", "build", "letters.jsonl", "-o", "my.index", "--model", "counts")
    table.write_text('{"text": "The train is late."}\n{"text": bro')
    updated = run("index", "update", "my.index").err.splitlines()
    assert "my.index: passages: 1 added" in updated
    assert any(line.startswith(f"likewise: left out: {table}: line 2: ") for line in updated)
    table.write_text(rows[1])
    assert "my.index: passages: 1 moved, 2 removed" in run("index", "update", "my.index").err.splitlines()


def test_its_tables_may_be_elsewhere(run: Run, folder: Path) -> None:
    place = (folder / "elsewhere").as_uri()
    assert run("index", "build", "notes", "-o", "my.index", "--model", "counts", "--tables", place).code == 0
    assert "The kettle makes the tea." in run("index", "search", "my.index", "kettle").out
    assert f"tables      {place}\n" in run("index", "info", "my.index").out
    assert not list(Path("my.index").glob("*.lance"))


def test_a_folder_that_holds_nothing_any_more_is_told_and_its_passages_stay(built: Path, run: Run) -> None:
    for file in Path("notes").iterdir():
        file.unlink()
    finished = run("index", "update", "my.index")
    assert f"likewise: {built}/notes holds nothing to read, so its passages stay; to take them out: " in finished.err
    assert "The kettle makes the tea." in run("index", "search", "my.index", "kettle").out


def test_of_a_folder_that_cannot_be_read_nothing_is_forgotten(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("notes/private").mkdir()
    Path("notes/private/secret.txt").write_text("The late train.")
    run("index", "build", "notes", "-o", "my.index", "--model", "counts")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    Path("notes/plain.txt").unlink()
    updated = run("index", "update", "my.index").err
    assert f"likewise: left out: {folder}/notes/private: Permission denied" in updated
    assert "my.index: passages: 1 removed, 2 unchanged" in updated.splitlines()
    assert "The late train." in run("index", "search", "my.index", "late").out


@pytest.mark.usefixtures("folder")
def test_numbers_of_a_csv_file_are_compared_as_numbers(run: Run) -> None:
    Path("letters.csv").write_text("year,text,code\n1999,The kettle is old.,007\n2021,The kettle is new.,1\n,Tea.,2\n")
    assert run("index", "build", "letters.csv", "-o", "my.index", "--model", "counts").code == 0
    found = run("index", "search", "my.index", "kettle", "--where", "year >= 2020").out
    assert "The kettle is new." in found
    assert "old" not in found
    told = run("index", "info", "my.index").out
    assert "column      year: whole numbers\n" in told
    assert "column      code: text\n" in told


@pytest.mark.usefixtures("folder")
def test_the_column_of_the_texts_is_named_once(run: Run, models: list[WordCounts]) -> None:
    Path("reviews.csv").write_text("review,author\nThe kettle is hot.,Ann\n")
    built = run("index", "build", "reviews.csv", "-o", "my.index", "--model", "counts", "--column", "review")
    assert "my.index: passages: 1 added" in built.err
    with Path("reviews.csv").open("a") as file:
        file.write("The tea is late.,Bob\n")
    assert "my.index: passages: 1 added, 1 unchanged" in run("index", "update", "my.index").err
    Path("more.csv").write_text("review,author\nThe train.,Cid\n")
    assert "my.index: passages: 1 added" in run("index", "add", "my.index", "more.csv").err


def test_a_linked_file_has_one_name(built: Path, run: Run) -> None:
    Path("elsewhere.txt").write_text("The late kettle.")
    Path("notes/link.txt").symlink_to(built / "elsewhere.txt")
    assert "my.index: passages: 1 added, 3 unchanged" in run("index", "update", "my.index").err
    assert "my.index: passages: 1 unchanged" in run("index", "update", "my.index", "notes/link.txt").err
    assert "my.index: 1 passage removed" in run("index", "remove", "my.index", "notes/link.txt").err


@pytest.mark.usefixtures("folder")
def test_an_index_that_knows_no_files_asks_for_them(run: Run) -> None:
    run("index", "build", "notes", "-o", "my.index", "--model", "counts")
    Index.open("my.index").set_paths([])  # as one that was made in Python
    finished = run("index", "update", "my.index")
    assert finished.code == 1
    assert "my.index does not know its files, as it was made in Python; name them: PATH…" in finished.err
