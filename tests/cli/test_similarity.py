"""likewise similarity: all pairs of texts, the most similar first."""

from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

TEXTS = ("tea in the kettle", "the train is late", "late for tea")


def test_people_read_a_table(run: Run, models: list[WordCounts]) -> None:
    long = "The kettle is on, and the tea will be ready before the train comes, which is late."
    finished = run("similarity", "tea\tin the\nkettle", long, "[b]late[/b] :coffee: for tea", terminal=True)
    assert (finished.code, finished.err) == (0, "")
    assert [line.rstrip() for line in finished.out.splitlines()] == [
        "",
        "  score   text                               text",
        " ──────────────────────────────────────────────────────────────────────────────",
        " 0.7071   tea in the kettle                  The kettle is on, and the tea will",
        "                                             be ready before the train comes,",
        "                                             which is late.",
        " 0.7071   The kettle is on, and the tea      [b]late[/b] :coffee: for tea",
        "          will be ready before the train",
        "          comes, which is late.",
        " 0.5000   tea in the kettle                  [b]late[/b] :coffee: for tea",
        "",
    ]


def test_programs_get_one_line_a_pair(run: Run, models: list[WordCounts]) -> None:
    assert run("similarity", *TEXTS, "--model", "counts") == (
        0,
        "0.5000\ttea in the kettle\tlate for tea\n"
        "0.5000\tthe train is late\tlate for tea\n"
        "0.0000\ttea in the kettle\tthe train is late\n",
        "",
    )
    assert [model.name for model in models] == ["counts"]


def test_a_text_cannot_break_a_record_or_the_terminal(run: Run, models: list[WordCounts]) -> None:
    out = run("similarity", "tea\tor\x1b[31m\r\nkettle\u2028", "tea\x00\x85 \x9b31m").out
    assert out == "0.7071\ttea or [31m kettle\ttea 31m\n"


def test_a_hyphen_stands_for_the_lines_of_standard_input(run: Run, models: list[WordCounts]) -> None:
    out = run("similarity", "late", "-", stdin="tea\ntrain late\n").out
    assert out == "0.7071\tlate\ttrain late\n0.0000\tlate\ttea\n0.0000\ttea\ttrain late\n"
    assert run("similarity", "-", stdin="tea\ntea\n").out == "1.0000\ttea\ttea\n"


def test_one_line_of_standard_input_cannot_be_compared(run: Run, models: list[WordCounts]) -> None:
    finished = run("similarity", "-", stdin="tea\n")
    assert finished == (1, "", "likewise: there are too few texts to compare: 1, with those of standard input\n")
    assert models == []


def test_the_true_model(run: Run, minilm_folder: Path) -> None:
    texts = ("The kettle is boiling.", "Water for the tea is nearly ready.", "The train was late again.")
    rows = [line.split("\t") for line in run("similarity", *texts, "--model", minilm_folder).out.splitlines()]
    assert [row[1:] for row in rows] == [[texts[0], texts[1]], [texts[1], texts[2]], [texts[0], texts[2]]]
    assert [round(float(row[0]), 2) for row in rows] == [0.41, 0.19, 0.07]
