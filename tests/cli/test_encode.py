"""likewise encode: texts in files to vectors in a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from likewise import EmbeddingCache, SentenceTransformer
from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

TEA, TRAIN, BOTH = [0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]  # as WordCounts counts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of texts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("tea\n\nlate train\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text('number,note\n1,"kettle,\ntea"\n\n2,tea\n', encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_rows_stand_in_the_order_of_the_texts(run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-", "-o", "vectors.npy", stdin="kettle, tea")
    assert finished == (0, "4 vectors of 4 dimensions in vectors.npy\n", "")
    np.testing.assert_array_equal(np.load("vectors.npy"), [TEA, [0, 0, 0, 0], TRAIN, BOTH])


@pytest.mark.usefixtures("folder")
def test_parquet_says_where_each_vector_comes_from(run: Run, models: list[WordCounts]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arguments = ["table.csv", "more.jsonl", "--column", "note", "-o", "vectors.parquet"]
    Path("more.jsonl").write_text('{"note": "late train"}\n\n{"note": "tea"}\n', encoding="utf-8")
    assert run("encode", *arguments).out == "4 vectors of 4 dimensions in vectors.parquet\n"
    assert parquet.read_table("vectors.parquet").to_pydict() == {
        "source": ["table.csv", "table.csv", "more.jsonl", "more.jsonl"],
        "line": [2, 5, 1, 3],
        "vector": [BOTH, TEA, TRAIN, TEA],
    }


@pytest.mark.usefixtures("folder")
def test_parquet_counts_the_lines_of_standard_input(run: Run, models: list[WordCounts]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run("encode", "-", "notes.txt", "-o", "vectors.parquet", stdin="tea\nkettle\n")
    table = parquet.read_table("vectors.parquet").to_pydict()
    assert table["source"] == ["-", "-", "notes.txt", "notes.txt", "notes.txt"]
    assert table["line"] == [1, 2, 1, 2, 3]


@pytest.mark.usefixtures("folder")
def test_every_option_reaches_the_model(run: Run, models: list[WordCounts]) -> None:
    run("encode", "notes.txt", "-o", "vectors.npy", "--model", "counts", "--dtype", "float32", "--device", "cuda:1",
        "--prompt-name", "query", "--normalize", "--truncate-dim", 3, "--token-budget", 99,
        "--precision", "int8")  # fmt: skip
    (model,) = models
    assert (model.name, model.settings) == ("counts", {"dtype": "float32", "device": "cuda:1"})
    assert model.calls == [
        (
            "encode",
            ["tea", "", "late train"],
            {
                "prompt_name": "query",
                "show_progress_bar": True,
                "normalize_embeddings": True,
                "truncate_dim": 3,
                "precision": "int8",
                "token_budget": 99,
                "cache": None,
            },
        )
    ]


@pytest.mark.usefixtures("folder")
def test_a_cache_is_opened_where_it_is_asked_for(run: Run, models: list[WordCounts]) -> None:
    run("encode", "notes.txt", "-o", "vectors.npy", "--cache", "kept.db")
    cache = models[0].calls[0][2]["cache"]
    assert isinstance(cache, EmbeddingCache)
    assert cache.path == Path("kept.db")
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--cache", "table.csv")
    assert (finished.code, finished.out) == (1, "")
    assert "table.csv is damaged or no cache of vectors" in finished.err


@pytest.mark.usefixtures("folder")
def test_another_suffix_is_wrong_usage(run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-o", "new/vectors.txt")
    assert finished.code == 2
    assert "cannot write vectors to 'new/vectors.txt'" in finished.err
    assert models == []
    assert not Path("new").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["notes.txt", "none.txt", "-o", "vectors.npy"], "none.txt"),
        (["notes.txt", "-o", "notes.txt/vectors.npy"], "cannot write to the folder notes.txt"),
        (["table.csv", "-o", "vectors.npy"], "'number', 'note'"),
        (["table.csv", "--column", "nota", "-o", "vectors.npy"], "'nota'"),
        (["-", "-o", "vectors.npy"], "no text in -"),
        (["latin.txt", "-o", "vectors.npy"], "latin.txt, line 2"),
    ],
)
def test_a_problem_with_the_input_shows_before_the_model_loads(
    arguments: list[str], words: str, run: Run, models: list[WordCounts]
) -> None:
    Path("latin.txt").write_bytes(b"tea\ncaf\xe9\n")
    Path("vectors.npy").write_text("what was there before")
    finished = run("encode", *arguments)
    assert finished.code == 1
    assert finished.out == ""
    assert finished.err.startswith("likewise: ")
    assert words in finished.err
    assert models == []
    assert Path("vectors.npy").read_text() == "what was there before"


def test_the_true_model_by_the_installed_command(folder: Path, minilm_folder: Path) -> None:
    texts = [f"The train of {hour} o'clock was late again." for hour in range(24)]
    (folder / "trains.txt").write_text("\n".join(texts), encoding="utf-8")
    arguments = ["encode", "trains.txt", "-o", "new/vectors.npy", "--model", str(minilm_folder), "--dtype", "float32"]
    command = [str(Path(sys.executable).parent / "likewise"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert finished.stdout == "24 vectors of 384 dimensions in new/vectors.npy\n"
    assert "24/24 sentences" in finished.stderr
    expected = SentenceTransformer(str(minilm_folder), dtype="float32").encode(texts)
    np.testing.assert_allclose(np.load(folder / "new" / "vectors.npy"), expected, atol=2e-6, rtol=0)
