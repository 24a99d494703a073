"""likewise encode: texts in files to vectors in a file."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from likewise import EmbeddingCache, SentenceTransformer
from likewise.encoding import parts, ray_data
from likewise.tokens import TooLong
from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts
from tests.tiny_checkpoints import WORDS, tiny_encoder

TEA, TRAIN, BOTH = [0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]  # as WordCounts counts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of texts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("tea\n\nlate train\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text('number,note\n1,"kettle,\ntea"\n\n2,tea\n', encoding="utf-8")
    return tmp_path


def test_rows_stand_in_the_order_of_the_texts(folder: Path, run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-", "-o", "vectors.npy", stdin="kettle, tea")
    assert (finished.code, finished.out) == (0, "4 vectors of 4 dimensions in vectors.npy\n")
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "table.csv", "vectors.npy"]  # no parts
    np.testing.assert_array_equal(np.load("vectors.npy"), [TEA, [0, 0, 0, 0], TRAIN, BOTH])


@pytest.mark.usefixtures("folder")
def test_parquet_says_where_each_vector_comes_from(run: Run, models: list[WordCounts]) -> None:
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
    run("encode", "-", "notes.txt", "-o", "vectors.parquet", stdin="tea\nkettle\n")
    table = parquet.read_table("vectors.parquet").to_pydict()
    assert table["source"] == ["-", "-", "notes.txt", "notes.txt", "notes.txt"]
    assert table["line"] == [1, 2, 1, 2, 3]


@pytest.mark.usefixtures("folder")
def test_every_option_reaches_the_model(run: Run, models: list[WordCounts]) -> None:
    run("encode", "notes.txt", "-o", "vectors.npy", "--model", "counts", "--dtype", "float32", "--device", "cuda:1",
        "--prompt-name", "query", "--normalize", "--truncate-dim", 3, "--token-budget", 99,
        "--long-texts", "error", "--precision", "int8")  # fmt: skip
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
                "token_budget": 99,
                "long_texts": "error",
                "cache": None,
            },
        )
    ]
    assert np.load("vectors.npy").dtype == np.int8


@pytest.mark.usefixtures("folder")
def test_a_cache_is_opened_where_it_is_asked_for(run: Run, models: list[WordCounts]) -> None:
    run("encode", "notes.txt", "-o", "vectors.npy", "--cache", "kept.db")
    cache = models[0].calls[0][2]["cache"]
    assert isinstance(cache, EmbeddingCache)
    assert cache.path == Path("kept.db")
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--cache", "table.csv")
    assert (finished.code, finished.out) == (1, "")
    assert "table.csv is damaged or no cache of vectors" in finished.err


def test_what_was_cut_is_told_once_for_all_parts(
    folder: Path, run: Run, models: list[WordCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 2)
    monkeypatch.setattr(WordCounts, "LIMIT", 3)
    (folder / "long.txt").write_text("tea\n" + "a late train of tea\n" * 4, encoding="utf-8")
    finished = run("encode", "long.txt", "-o", "vectors.npy")
    assert len(models[0].calls) == 3
    told = "4 of 5 texts have more than 3 tokens and were cut; 8 tokens, 38.1%, were lost; --long-texts chunk reads all"
    assert finished.err.count(told) == finished.err.count("were cut") == 1
    assert run("encode", "long.txt", "-o", "vectors.npy", "--long-texts", "some").code == 2


@pytest.mark.usefixtures("folder")
def test_another_precision_is_wrong_usage(run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--precision", "int3")
    assert finished.code == 2
    assert "'int3' is not known" in finished.err
    assert models == []


@pytest.mark.usefixtures("folder")
def test_another_suffix_is_wrong_usage(run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-o", "new/vectors.txt")
    assert finished.code == 2
    assert "cannot write vectors to 'new/vectors.txt'" in finished.err
    assert models == []
    assert not Path("new").exists()


@pytest.mark.usefixtures("folder")
def test_where_ray_is_to_be_found_means_nothing_without_it(run: Run, models: list[WordCounts]) -> None:
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--ray-workers", 2)
    assert finished.code == 2
    assert "this is for --ray" in finished.err
    assert run("encode", "in", "other", "-o", "out", "--ray").code == 2
    assert models == []


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


# Interrupted

COMMAND = "from likewise.encoding import parts; parts.TEXTS_PER_PART = 32; from likewise.cli import main; main()"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 1,500 texts, which make 47 small parts, and a tiny model."""
    folder = tmp_path_factory.mktemp("many")
    tiny_encoder(folder / "tiny")
    draw = random.Random(0)
    texts = (" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(1500))
    (folder / "notes.txt").write_text("\n".join(texts), encoding="utf-8")
    return folder


def started(folder: Path, *arguments: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    """The command as a process of its own, with small parts."""
    command = [sys.executable, "-c", COMMAND, "encode", *arguments, "--model", "tiny"]
    return subprocess.Popen(command, cwd=folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def uninterrupted(many: Path, suffix: str) -> bytes:
    if not (whole := many / f"whole{suffix}").exists():
        out, err = started(many, "notes.txt", "-o", whole.name).communicate()
        assert out.startswith(b"1,500 vectors of 32 dimensions"), err
    return whole.read_bytes()


def kills_until_done(many: Path, name: str, draw: random.Random, longest: float) -> int:
    """Start the command and kill it at a random moment after it began to write, again and again until it has ended.

    The moment is up to ``longest`` seconds away, and each time further.
    """
    for kills in range(1000):
        journal = many / f"{name}.parts" / "journal.jsonl"
        begun = journal.stat().st_mtime_ns if journal.exists() else None
        process = started(many, "notes.txt", "-o", name)
        while process.poll() is None and (journal.stat().st_mtime_ns if journal.exists() else None) == begun:
            time.sleep(0.001)
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0, longest * (kills + 1)))
        process.kill()
        out, err = process.communicate()
        if process.returncode == 0:
            assert out.decode() == f"1,500 vectors of 32 dimensions in {name}\n"
            return kills
        assert process.returncode == -signal.SIGKILL, err.decode()
    raise AssertionError("no run came to its end")


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(many: Path, suffix: str) -> None:
    expected = uninterrupted(many, suffix)
    name = f"killed{suffix}"
    assert kills_until_done(many, name, random.Random(suffix), longest=0.3)
    assert (many / name).read_bytes() == expected
    assert not list(many.glob("*.parts"))
    assert not list(many.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".arrow"])
def test_killed_a_hundred_times_it_gives_the_same_bytes(many: Path, suffix: str) -> None:
    expected = uninterrupted(many, suffix)
    kills, seed = 0, 0
    while kills < 100:
        (name := many / f"{seed}{suffix}").unlink(missing_ok=True)
        kills += kills_until_done(many, name.name, random.Random(seed), longest=0.02)
        assert name.read_bytes() == expected
        seed += 1
    assert not list(many.glob("*.parts"))
    assert not list(many.glob(".*"))


def test_ctrl_c_keeps_the_parts_and_says_so(many: Path) -> None:
    process = started(many, "notes.txt", "-o", "stopped.npy")
    journal = many / "stopped.npy.parts" / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    if process.returncode == 0:
        pytest.skip("it had ended before")
    assert process.returncode == 130
    assert b"likewise: the same command goes on from the parts in" in err
    assert b"Traceback" not in err
    assert started(many, "notes.txt", "-o", "stopped.npy").wait() == 0
    assert (many / "stopped.npy").read_bytes() == uninterrupted(many, ".npy")


def test_standard_input_goes_on_where_it_is_the_same_again(many: Path) -> None:
    texts = (many / "notes.txt").read_bytes()
    process = started(many, "-", "-o", "piped.npy", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(texts)
    process.stdin.close()
    journal = many / "piped.npy.parts" / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.001)
    process.kill()
    process.wait()
    if process.returncode == 0:
        pytest.skip("it had ended before")
    _, err = started(many, "-", "-o", "piped.npy", stdin=subprocess.PIPE).communicate(texts + b"!")
    assert b"holds a part of another job: input 1 was" in err
    out, err = started(many, "-", "-o", "piped.npy", stdin=subprocess.PIPE).communicate(texts)
    assert out.startswith(b"1,500 vectors"), err
    assert (many / "piped.npy").read_bytes() == uninterrupted(many, ".npy")


class Stops(WordCounts):
    """A model during which the process is stopped."""

    def encode(self, texts: Iterable[str], **settings: object) -> Any:
        if len(self.calls) == 2:
            raise KeyboardInterrupt
        return super().encode(texts, **settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--normalize"], "arguments was"),
        (["--truncate-dim", "3"], "arguments was"),
        (["--model", "others"], "model was 'all-MiniLM-L6-v2' and is 'others'"),
        (["--dtype", "bfloat16"], "dtype was 'float32' and is 'bfloat16'"),
        (["--column", "text"], "column was None and is 'text'"),
        (["more.txt"], "input 2 was None and is {"),
        ("notes.txt", "input 1 was {"),
    ],
)
def test_a_job_with_a_change_is_refused(
    change: list[str] | str, words: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 1)
    monkeypatch.setattr("likewise.SentenceTransformer", Stops)
    Path("more.txt").write_text("kettle\n", encoding="utf-8")
    assert run("encode", "notes.txt", "-o", "vectors.npy").code == 130
    monkeypatch.setattr("likewise.SentenceTransformer", WordCounts)
    if change == "notes.txt":
        Path("notes.txt").write_text("tea\n\nlate brain\n", encoding="utf-8")
        change = []
    finished = run("encode", "notes.txt", *change, "-o", "vectors.npy")
    assert finished.code == 1
    assert f"vectors.npy.parts holds a part of another job: {words}" in finished.err
    assert len(list(folder.glob("vectors.npy.parts/0*"))) == 2


@pytest.mark.usefixtures("folder")
def test_an_input_that_changes_while_it_is_read_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Writes(WordCounts):
        def encode(self, texts: Iterable[str], **settings: object) -> Any:
            Path("notes.txt").write_text("tea\n\nlate brain\n", encoding="utf-8")
            return super().encode(texts, **settings)

    monkeypatch.setattr(parts, "TEXTS_PER_PART", 1)
    monkeypatch.setattr("likewise.SentenceTransformer", Writes)
    Path("notes.txt").write_text("tea\n" * 10_000, encoding="utf-8")  # more than is read ahead
    finished = run("encode", "notes.txt", "-o", "vectors.npy")
    assert finished.code == 1
    assert "notes.txt was changed while it was read" in finished.err
    assert not Path("vectors.npy").exists()


# On Ray


@pytest.fixture
def _ray_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one worker in this process do all: what Ray itself does is tested in tests/encoding/test_ray_data.py."""

    def on_ray(partitions: Any, source: Any, output: Any, load: Any, cluster: Any) -> Iterator[int]:
        assert cluster == ray_data.Cluster("10.0.0.1:6379", 2, uses_gpu=True)
        names = [field.name for field in fields(ray_data.Partition)]
        columns = zip(*map(astuple, partitions), strict=True)
        batch = {name: np.array(column) for name, column in zip(names, columns, strict=True)}
        answer = ray_data.Worker(load(3), source, output)(batch)
        assert set(answer["error"]) == {""}
        yield from answer["rows"]

    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "ray.data", ModuleType("ray.data"))
    monkeypatch.setattr(ray_data, "_on_ray", on_ray)
    monkeypatch.setattr(ray_data, "ROWS_PER_PARTITION", 2)


@pytest.mark.usefixtures("folder", "_ray_in_this_process")
def test_a_folder_of_parquet_files_is_encoded_by_ray(run: Run, models: list[WordCounts]) -> None:
    Path("in").mkdir()
    table = pyarrow.table({"number": [1, 2, 3], "note": ["tea", "late train", "kettle tea"]})
    parquet.write_table(table, "in/notes.parquet")
    arguments = ["in", "--column", "note", "-o", "out", "--device", "cuda", "--normalize"]
    on_ray = ["--ray", "--ray-address", "10.0.0.1:6379", "--ray-workers", 2]
    finished = run("encode", *arguments, *on_ray)
    assert (finished.code, finished.out) == (0, "3 vectors in 2 files in out\n")
    assert parquet.read_table("out/notes-00000.parquet").to_pydict() == {
        "source": ["notes.parquet"] * 2,
        "line": [1, 2],
        "vector": [TEA, TRAIN],
    }
    assert parquet.read_table("out/notes-00001.parquet")["vector"].to_pylist() == [BOTH]
    _, worker = models
    assert worker.settings == {"device": "cuda", "dtype": "auto", "threads": 3}
    assert worker.calls[0][2] == {"show_progress_bar": False, "normalize_embeddings": True, "long_texts": "truncate"}
    assert run("encode", *arguments, *on_ray).out == "3 vectors in 2 files in out\n"
    assert len(models) == 3  # nothing was left to do
    refused = run("encode", *arguments, "--truncate-dim", 2, *on_ray)
    assert refused.code == 1
    assert "out holds a part of another job: arguments was" in refused.err


@pytest.mark.usefixtures("models")
def test_a_worker_refuses_another_model_than_the_drivers() -> None:
    encoder = import_module("likewise.cli.encode")._encoder
    with pytest.raises(ValueError, match="the model 'counts' is another one on this machine"):
        encoder({"model_name_or_path": "counts"}, {}, "words")


# The true model


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


def test_what_was_cut_is_told_of_the_parts_that_were_there_too(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 1)
    monkeypatch.setattr(WordCounts, "LIMIT", 3)
    (folder / "long.txt").write_text("a late train of tea\n" * 2 + "tea\n" * 2, encoding="utf-8")
    monkeypatch.setattr("likewise.SentenceTransformer", Stops)
    assert run("encode", "long.txt", "-o", "vectors.npy").code == 130
    monkeypatch.setattr("likewise.SentenceTransformer", WordCounts)
    finished = run("encode", "long.txt", "-o", "vectors.npy")
    assert "2 of 4 texts have more than 3 tokens and were cut; 4 tokens, 33.3%, were lost" in finished.err


@pytest.mark.usefixtures("folder")
def test_a_mistake_binds_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(WordCounts):
        def encode(self, texts: Iterable[str], **settings: object) -> Any:
            raise ValueError("the model has no prompt called 'nope'")

    monkeypatch.setattr("likewise.SentenceTransformer", Broken)
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--prompt-name", "nope")
    assert (finished.code, finished.err) == (1, "likewise: the model has no prompt called 'nope'\n")
    assert not Path("vectors.npy.parts").exists()
    finished = run("encode", ".", "--ray", "-o", "vectors", "--long-texts", "some")
    assert finished.code == 2
    assert "use one of truncate, chunk, error" in finished.err


@pytest.mark.usefixtures("folder")
def test_a_record_without_a_part_binds_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class StopsAtOnce(WordCounts):
        def encode(self, texts: Iterable[str], **settings: object) -> Any:
            if texts:
                raise KeyboardInterrupt
            return super().encode(texts, **settings)

    monkeypatch.setattr("likewise.SentenceTransformer", StopsAtOnce)
    assert run("encode", "notes.txt", "-o", "vectors.npy").code == 130
    monkeypatch.setattr("likewise.SentenceTransformer", WordCounts)
    assert run("encode", "notes.txt", "-o", "vectors.npy", "--normalize").code == 0


@pytest.mark.usefixtures("folder")
def test_a_text_that_is_too_long_is_told_by_its_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(WordCounts):
        def encode(self, texts: Iterable[str], **settings: object) -> Any:
            for position, text in enumerate(texts):
                if "train" in text:
                    raise TooLong(position, 402, 256)
            return super().encode(texts, **settings)

    monkeypatch.setattr(parts, "TEXTS_PER_PART", 2)
    monkeypatch.setattr("likewise.SentenceTransformer", Strict)
    finished = run("encode", "notes.txt", "-o", "vectors.npy", "--long-texts", "error")
    assert finished.code == 1
    assert "likewise: notes.txt, line 3: the text has 402 tokens, and the model reads 256; cut it, or " in finished.err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("precision", "code"), [("int8", 2), ("uint8", 2), ("binary", 0)])
def test_one_text_has_no_ranges(run: Run, models: list[WordCounts], precision: str, code: int) -> None:
    Path("one.txt").write_text("tea")
    finished = run("encode", "one.txt", "-o", "vectors.npy", "--precision", precision)
    assert finished.code == code
    assert ("one text has no ranges" in finished.err) == bool(code)
    assert len(models) == (0 if code else 1)
    assert not Path("vectors.npy.parts").exists()
