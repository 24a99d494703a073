"""What was computed once is read, by whichever process; nothing else is taken for it; faults lose nothing more."""

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise import EmbeddingCache, SentenceTransformer, models
from likewise.encoding import cache as cache_file
from likewise.engine.live import LiveModel
from tests.encoding.cache_worker import DIMENSION, check, computed, texts_of
from tests.tiny_checkpoints import tiny_encoder, vocabulary

ROOT = Path(__file__).parents[2]
TEXTS = ["The kettle boils.", "", "It was late, and the train was not in the station.", "rain", "tea and music", "a"]


def counted(calls: list[str]) -> Callable[[Sequence[str]], Any]:
    """computed, which puts the texts that it is given into ``calls``."""

    def compute(texts: Sequence[str]) -> Any:
        calls.extend(texts)
        return computed(texts)

    return compute


def never(texts: Sequence[str]) -> Any:
    raise AssertionError(f"computed {texts}")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[EmbeddingCache]:
    with EmbeddingCache(tmp_path / "vectors.db") as opened:
        yield opened


# The file


def test_what_is_there_is_read_by_the_next_process(tmp_path: Path) -> None:
    path, calls = tmp_path / "new" / "vectors.db", list[str]()
    texts = texts_of(1500)
    with EmbeddingCache(path) as cache:
        assert len(cache) == 0
        check(cache.vectors("scope", texts, DIMENSION, counted(calls)), texts)
        assert calls == texts
        assert len(cache) == 1500
    with EmbeddingCache(path) as cache:
        check(cache.vectors("scope", texts[::-1], DIMENSION, never), texts[::-1])
        more = ["rain", *texts[:3], "tea"]
        calls.clear()
        check(cache.vectors("scope", more, DIMENSION, counted(calls)), more)
        assert calls == ["rain", "tea"]
        assert cache.vectors("scope", [], DIMENSION, never)[0].shape == (0, DIMENSION)
    assert sorted(file.name for file in path.parent.iterdir()) == ["vectors.db"]


def test_another_scope_is_another_entry(cache: EmbeddingCache) -> None:
    for scope in ("scope", "scop", "scopee", ""):
        calls: list[str] = []
        cache.vectors(scope, ["tea", "etea"], DIMENSION, counted(calls))
        assert calls == ["tea", "etea"]
    assert len(cache) == 8


@settings(max_examples=40)  # each makes a file
@given(
    asked=st.lists(st.lists(st.sampled_from(["tea", "rain", "", "te", "a", "Räin", "\0"]), max_size=12), max_size=6),
    at_once=st.integers(1, 5),
    keys_at_once=st.integers(1, 5),
)
def test_any_order_and_any_duplicates_give_the_same_vectors(
    asked: list[list[str]], at_once: int, keys_at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_file, "TEXTS_AT_ONCE", at_once)
        patch.setattr(cache_file, "KEYS_AT_ONCE", keys_at_once)
        with EmbeddingCache(tmp_path_factory.mktemp("cache") / "vectors.db") as cache:
            for texts in asked:
                found = cache.vectors("scope", texts, DIMENSION, counted(calls))
                check(found, texts)
    assert sorted(calls) == sorted({text for texts in asked for text in texts})  # each once


def test_long_texts_are_written_sooner(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_file, "TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(cache_file, "CHARACTERS_AT_ONCE", 10)
    parts: list[list[str]] = []

    def compute(texts: Sequence[str]) -> Any:
        assert len(cache) == sum(map(len, parts))  # what came before is written
        parts.append(list(texts))
        return computed(texts)

    cache.vectors("scope", ["a", "bb", "cc", "dd", "e" * 9, "f", "g" * 30, "h"], DIMENSION, compute)
    assert parts == [["a", "bb", "cc"], ["dd"], ["e" * 9, "f"], ["g" * 30], ["h"]]


def test_clearing_forgets_all_and_gives_the_space_back(cache: EmbeddingCache) -> None:
    cache.vectors("scope", texts_of(5000), DIMENSION, computed)
    cache.clear()
    assert len(cache) == 0
    cache.close()
    assert cache.path.stat().st_size < 100_000
    for use in (lambda: len(cache), cache.clear, lambda: cache.vectors("scope", ["tea"], DIMENSION, computed)):
        with pytest.raises(ValueError, match=r"vectors\.db is closed; open it anew"):
            use()
    cache.close()


def test_an_empty_cache_is_true(cache: EmbeddingCache) -> None:
    assert cache
    assert repr(cache) == f"EmbeddingCache({str(cache.path)!r})"


# Several at once


def worker(path: Path, count: int, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.encoding.cache_worker", str(path), str(count), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> int:
    """How many vectors a worker computed."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return int(out)


def test_processes_fill_one_file_together(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    processes = [worker(path, 3000, 0.01) for _ in range(3)]  # that make the file together, too
    assert max(map(finished, processes)) <= 3000
    with EmbeddingCache(path) as cache:
        assert len(cache) == 3000
        check(cache.vectors("scope", texts_of(3000), DIMENSION, never), texts_of(3000))


def test_a_killed_process_loses_only_what_it_had_not_written(tmp_path: Path) -> None:
    path, random, known = tmp_path / "vectors.db", Random(0), 0
    EmbeddingCache(path).close()
    while known < 1500:
        process = worker(path, 3000, 0.02)
        before = known
        while known < before + 100 + random.randrange(300):
            time.sleep(random.random() / 100)
            with sqlite3.connect(path) as connection:
                known = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
            connection.close()
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with EmbeddingCache(path) as cache:
            known = len(cache)
        assert known % 100 == 0  # whole parts
    assert finished(worker(path, 3000, 0)) == 3000 - known


def test_threads_share_one_cache(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_file, "TEXTS_AT_ONCE", 5)
    texts = texts_of(400)

    def ask(seed: int) -> None:
        mine = Random(seed).sample(texts, 300)
        check(cache.vectors("scope", mine, DIMENSION, computed), mine)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(12)))
    assert len(cache) == 400
    assert caplog.messages == []  # all could be written


def test_a_cache_from_before_a_fork_is_refused(cache: EmbeddingCache) -> None:
    cache.vectors("scope", ["tea"], DIMENSION, computed)
    child = os.fork()
    if child == 0:
        try:
            len(cache)
        except RuntimeError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(cache) == 1


# Faults


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("kind", ["text", "another program's", "a newer version"])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "notes.db"
    if kind == "text":
        path.write_text("the kettle boils, and the train is late\n" * 100)
    elif kind == "another program's":
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE vectors (key, vector, checksum)")
        connection.close()
    else:
        EmbeddingCache(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
    before = contents(tmp_path)
    words = {"text": "file is not a database", "another program's": "another program"}.get(kind, "its version is 2")
    with pytest.raises(ValueError, match=rf"notes\.db is damaged or no cache of vectors \(.*{words}.*\); delete it"):
        EmbeddingCache(path)
    assert contents(tmp_path) == before


def test_a_damaged_file_gives_no_wrong_vector(tmp_path: Path) -> None:
    path, texts, random = tmp_path / "vectors.db", texts_of(3000), Random(0)
    with EmbeddingCache(path) as cache:
        cache.vectors("scope", texts, DIMENSION, computed)
    whole, told, unharmed = path.read_bytes(), list[str](), 0
    for _ in range(40):
        damaged = bytearray(whole)
        if random.random() < 0.3:
            damaged = damaged[: random.randrange(1, len(whole))]
        else:
            place, length = random.randrange(len(whole) - 500), random.choice([3, 500])
            damaged[place : place + length] = random.randbytes(length)
        path.write_bytes(damaged)
        try:
            with EmbeddingCache(path) as cache:
                found = cache.vectors("scope", texts, DIMENSION, computed)  # what is lost may be made again
            check(found, texts)
        except (ValueError, OSError) as error:
            told.append(str(error))
        else:
            unharmed += 1
    assert len(told) + unharmed == 40
    assert all("vectors.db" in message for message in told)
    assert any("a vector is not what was written" in message for message in told)  # SQLite cannot see that
    assert any("malformed" in message for message in told)


def test_a_vector_of_another_width_is_told(cache: EmbeddingCache) -> None:
    cache.vectors("scope", ["tea"], DIMENSION, computed)
    with pytest.raises(ValueError, match="a vector is not what was written"):
        cache.vectors("scope", ["tea"], DIMENSION - 1, never)


@pytest.mark.parametrize("path", ["folder", "notes.txt/vectors.db", "folder/../notes.txt/x/y.db"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("tea")
    with pytest.raises(OSError, match=r"the cache .* cannot be opened: "):
        EmbeddingCache(tmp_path / path)


FULL = """
import resource, signal, sys, logging
import numpy as np
from likewise import EmbeddingCache
from likewise.encoding import cache as cache_file
from tests.encoding.cache_worker import DIMENSION, check, computed, texts_of
logging.basicConfig(format="%(message)s")
cache_file.TEXTS_AT_ONCE = 1000
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
with EmbeddingCache(sys.argv[1]) as cache:
    for _ in range(2):
        found = cache.vectors("scope", texts_of(20_000), DIMENSION, computed)
        check(found, texts_of(20_000))
    print(len(cache))
"""


def test_where_nothing_more_can_be_written_the_vectors_are_returned(tmp_path: Path) -> None:
    """The system refuses to let the file grow, as on a full disk."""
    path = tmp_path / "vectors.db"
    done = subprocess.run([sys.executable, "-c", FULL, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.count("the vectors are returned, but not kept") == 2  # once a call
    assert f"the cache {path} cannot be used: " in done.stderr
    with EmbeddingCache(path) as cache:
        assert len(cache) == int(done.stdout) < 20_000
        check(cache.vectors("scope", texts_of(20_000), DIMENSION, computed), texts_of(20_000))
        assert len(cache) == 20_000


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_cannot_be_written_is_named(is_there: bool) -> None:
    with TemporaryDirectory() as name:  # unlike tmp_path, it can be opened to others
        folder = Path(name)
        path = folder / "vectors.db"
        if is_there:
            EmbeddingCache(path).close()
            path.chmod(0o444)
        folder.chmod(0o555)
        child = os.fork()
        if child == 0:
            if os.getuid() == 0:  # who may write everything
                os.setuid(65534)
            try:
                EmbeddingCache(path)
            except OSError as error:
                is_told = str(error).startswith(f"the cache {path} cannot be ")
                os._exit(7 if is_told else 8)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        folder.chmod(0o755)


def test_a_writer_that_holds_the_file_is_waited_for_and_then_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_file, "SECONDS_TO_WAIT", 0.1)
    with EmbeddingCache(tmp_path / "vectors.db") as cache:
        other = sqlite3.connect(cache.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.WARNING):
            check(cache.vectors("scope", ["tea"], DIMENSION, computed), ["tea"])
        assert "database is locked; the vectors are returned, but not kept" in caplog.text
        other.execute("ROLLBACK")
        other.close()
        cache.vectors("scope", ["tea"], DIMENSION, computed)
        assert len(cache) == 1


# In encode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


def loaded(folder: Path, **arguments: Any) -> SentenceTransformer:
    return SentenceTransformer(folder, device="cpu", **({"dtype": "float32"} | arguments))


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, an engine cannot be made."""

    def refuse(self: LiveModel, route: str) -> Any:
        raise AssertionError("an engine was made")

    return lambda: monkeypatch.setattr(LiveModel, "_new_engine", refuse)


@settings(max_examples=20)
@given(asked=st.lists(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=9), min_size=1, max_size=4))
def test_vectors_are_those_without_a_cache(
    asked: list[list[str]], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = loaded(folder)
    with EmbeddingCache(tmp_path_factory.mktemp("cache") / "vectors.db") as cache:
        for texts in asked:
            vectors = model.encode(texts, cache=cache)
            if model.engine.name == "native":
                np.testing.assert_array_equal(vectors, model.encode(texts))
            else:
                np.testing.assert_allclose(vectors, model.encode(texts), atol=1e-5)
        assert len(cache) == len({text for texts in asked for text in texts})


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_encoding_again_makes_no_engine(
    folder: Path, cache: EmbeddingCache, no_engine: Callable[[], None], engine: str, dtype: str
) -> None:
    first = loaded(folder, engine=engine, dtype=dtype)
    vectors = first.encode(TEXTS, cache=cache)
    assert loaded(folder, engine=engine, dtype=dtype).live.rounding("") == first.dtype
    no_engine()
    model = loaded(folder, engine=engine, dtype=dtype)
    np.testing.assert_array_equal(model.encode(TEXTS[::-1], cache=cache), vectors[::-1])
    with pytest.raises(AssertionError, match="an engine was made"):
        model.encode([*TEXTS, "another"], cache=cache)


def test_what_is_done_with_vectors_shares_their_entries(
    folder: Path, cache: EmbeddingCache, no_engine: Callable[[], None]
) -> None:
    plain, model = loaded(folder), loaded(folder)
    several: list[dict[str, Any]] = [
        {"truncate_dim": 8},
        {"normalize_embeddings": True},
        {"precision": "ubinary"},
        {"precision": "int8", "normalize_embeddings": True, "truncate_dim": 16},
        {"batch_size": 2, "show_progress_bar": True},
    ]
    expected = [plain.encode(TEXTS, **setting) for setting in several]
    loaded(folder).encode(TEXTS, cache=cache)
    no_engine()
    for setting, vectors in zip(several, expected, strict=True):
        np.testing.assert_allclose(model.encode(TEXTS, cache=cache, **setting), vectors, atol=1e-6)
    np.testing.assert_allclose(model.encode(TEXTS[0], cache=cache), plain.encode(TEXTS[0]), atol=1e-6)
    assert model.encode([], cache=cache).shape == (0,)
    assert len(cache) == len(TEXTS)


CHANGES: dict[str, Callable[[Path, Path], tuple[SentenceTransformer, dict[str, Any]]]] = {
    "the prompt": lambda folder, _: (loaded(folder), {"prompt": "tea: "}),
    "the length": lambda folder, _: (limited(folder), {}),
    "the precision": lambda folder, _: (loaded(folder, dtype="bfloat16"), {}),
    "a weight": lambda _, other: (loaded(tiny_encoder(other, seed=1)), {}),
    "the network's weights": lambda folder, _: (trained(folder), {}),
    "the pooling": lambda folder, _: (
        SentenceTransformer(
            modules=[models.Transformer(folder), models.Pooling(32, "cls")], dtype="float32", device="cpu"
        ),
        {},
    ),
}


def limited(folder: Path) -> SentenceTransformer:
    model = loaded(folder)
    model.max_seq_length = 5
    return model


def trained(folder: Path) -> SentenceTransformer:
    model = loaded(folder)
    next(model.parameters()).data.mul_(1.5)
    return model


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_vectors_misses(what: str, folder: Path, tmp_path: Path, cache: EmbeddingCache) -> None:
    before = loaded(folder).encode(TEXTS, cache=cache)
    model, arguments = CHANGES[what](folder, tmp_path / "other")
    vectors = model.encode(TEXTS, cache=cache, **arguments)
    assert len(cache) == 2 * len(TEXTS)
    assert np.abs(vectors - before).max() > 1e-5
    np.testing.assert_allclose(vectors, model.encode(TEXTS, **arguments), atol=1e-5)
    np.testing.assert_array_equal(loaded(folder).encode(TEXTS, cache=cache), before)  # side by side in one file


def test_int8_of_another_calibration_misses(folder: Path, tmp_path: Path, cache: EmbeddingCache) -> None:
    for place, texts in enumerate((["tea"], ["the green garden in winter"])):
        loaded(folder).save_pretrained(tmp_path / str(place), dtype="int8", calibration=texts)
        model = loaded(tmp_path / str(place), dtype="auto")
        np.testing.assert_array_equal(model.encode(TEXTS, cache=cache), model.encode(TEXTS))
        assert model.dtype == "int8"
    assert len(cache) == 2 * len(TEXTS)


def test_routes_have_entries_of_their_own(cache: EmbeddingCache, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_encoder(tmp_path / "tiny") / "tokenizer.json"))
    tables = [np.random.default_rng(seed).normal(size=(len(vocabulary()), 8)).astype(np.float32) for seed in (0, 1)]
    query, document = ([models.StaticEmbedding(tokenizer, table)] for table in tables)
    model = SentenceTransformer(modules=[models.Router.for_query_document(query, document)], device="cpu")
    for _ in range(2):
        np.testing.assert_array_equal(model.encode_query(TEXTS, cache=cache), model.encode_query(TEXTS))
        np.testing.assert_array_equal(model.encode_document(TEXTS, cache=cache), model.encode_document(TEXTS))
    assert len(cache) == 2 * len(TEXTS)


def test_wrong_arguments_are_told(folder: Path, cache: EmbeddingCache) -> None:
    model = loaded(folder)
    wrong: Any = "vectors.db"
    with pytest.raises(TypeError, match=r"such as EmbeddingCache\('vectors.db'\), not 'vectors.db'"):
        model.encode(TEXTS, cache=wrong)
    with pytest.raises(ValueError, match="a cache holds no token vectors"):
        model.encode(TEXTS, cache=cache, output_value="token_embeddings")
    with pytest.raises(ValueError, match="text 1 holds a lone surrogate"):
        model.encode(["tea", "half \ud800"], cache=cache)
    assert len(cache) == 0


def test_a_moved_file_is_the_same_cache(folder: Path, tmp_path: Path, no_engine: Callable[[], None]) -> None:
    with EmbeddingCache(tmp_path / "a.db") as cache:
        vectors = loaded(folder).encode(TEXTS, cache=cache)
    shutil.move(tmp_path / "a.db", tmp_path / "b.db")
    shutil.copytree(folder, tmp_path / "copy")
    no_engine()
    with EmbeddingCache(tmp_path / "b.db") as cache:
        np.testing.assert_array_equal(loaded(tmp_path / "copy").encode(TEXTS, cache=cache), vectors)


def test_vectors_that_are_the_same_in_any_batch_are_kept_apart(
    folder: Path, cache: EmbeddingCache, no_engine: Callable[[], None]
) -> None:
    model = loaded(folder, engine="torch")
    model.encode(TEXTS, cache=cache)
    plain = len(cache)
    model.encode(TEXTS, cache=cache, deterministic=True)
    assert len(cache) == 2 * plain
    native = loaded(folder)
    native.encode(TEXTS, cache=cache)
    no_engine()
    loaded(folder).encode(TEXTS, cache=cache, deterministic=True)  # the kernels' always are


# Long texts


@pytest.mark.parametrize("cached", [0, 3, 5])
def test_what_is_too_long_is_told_by_its_place_among_all_texts(
    cached: int, tmp_path: Path, cache: EmbeddingCache
) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path / "tiny"), dtype="float32", device="cpu")
    texts = ["tea", "rain", "rain", "kettle", "water " * 300]
    model.encode(texts[:cached], cache=cache)
    with pytest.raises(ValueError, match=r"^text 4 has"):
        model.encode(texts, long_texts="error", cache=cache)
    found = model.encode_stream(texts, long_texts="error", cache=cache)
    assert len([next(found) for _ in range(4)]) == 4
    with pytest.raises(ValueError, match=r"^text 4 has"):
        next(found)


def test_the_report_is_there_for_texts_that_are_only_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path / "tiny"), dtype="float32", device="cpu")
    texts = ["tea", "rain " * 100, "water " * 300]
    expected, plain = model.encode(texts, return_report=True)
    whole = model.encode(texts, long_texts="chunk")
    with EmbeddingCache(tmp_path / "vectors.db") as cache:
        for _ in range(2):
            caplog.clear()
            model.encode(texts, cache=cache)
            assert len(caplog.records) == 1
            vectors, report = model.encode(texts, return_report=True, cache=cache)
            np.testing.assert_array_equal(vectors, expected)
            np.testing.assert_array_equal(report.tokens, plain.tokens)
            np.testing.assert_array_equal(report.read, plain.read)
            with pytest.raises(ValueError, match="text 1 has 102 tokens, and the model reads 80"):
                model.encode(texts, long_texts="error", cache=cache)
        for _ in range(2):
            vectors, report = model.encode(texts, long_texts="chunk", return_report=True, cache=cache)
            np.testing.assert_array_equal(vectors, whole)
            assert not len(report.cut)
