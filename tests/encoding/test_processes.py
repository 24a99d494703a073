"""Several processes: the same vectors in the same order, and nothing left behind whatever happens to whom."""

import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise import CrossEncoder, SentenceTransformer, models
from likewise.encoding import processes
from likewise.encoding.processes import ProcessPool, WorkerDied, WorkerTraceback, default_chunk_size, default_devices
from likewise.search import mine_hard_negatives
from tests.encoding import tasks
from tests.tiny_checkpoints import WORDS, tiny_classifier, tiny_encoder

ROOT = Path(__file__).parents[2]
TEXTS = [" ".join(WORDS[number % 7 : number % 7 + number % 20]) + f" {number}" for number in range(100)]
PAIRS = [(text, TEXTS[-1 - number]) for number, text in enumerate(TEXTS[:40])]
PROMPTS = {"query": "is there tea in ", "document": "the paper of "}
THEIRS: dict[str, dict[str, Any]] = {  # sentence-transformers 6.2
    "start_multi_process_pool": {"target_devices": None},
    "stop_multi_process_pool": {"pool": inspect.Parameter.empty},
    "encode_multi_process": {
        "sentences": inspect.Parameter.empty,
        "pool": inspect.Parameter.empty,
        "prompt_name": None,
        "prompt": None,
        "batch_size": None,  # 32 there; here the token budget cuts
        "chunk_size": None,
        "show_progress_bar": None,
        "precision": "float32",
        "normalize_embeddings": False,
        "truncate_dim": None,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(folder, device="cpu", prompts=PROMPTS)


@pytest.fixture(scope="module")
def pool(model: SentenceTransformer) -> Iterator[ProcessPool]:
    with model.start_multi_process_pool(["cpu", "cpu"]) as started:
        yield started


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that copies of models are written into: to see that none stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def is_there(process: int) -> bool:
    """Whether a process runs: one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def none_is_left(ids: list[int], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while any(map(is_there, ids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(is_there, ids))


def workers_of(parent: int) -> list[int]:
    """The worker processes that ``parent`` has."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_there(int(entry.name)):
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and b"likewise.encoding.worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


# Vectors


@pytest.mark.parametrize("chunk_size", [None, 1, 7, 1000])
def test_the_same_bits_in_the_same_order(model: SentenceTransformer, pool: ProcessPool, chunk_size: int | None) -> None:
    assert model.engine.name == "native"
    np.testing.assert_array_equal(model.encode(TEXTS, pool=pool, chunk_size=chunk_size), model.encode(TEXTS))


@pytest.mark.parametrize(
    "arguments",
    [
        {"prompt": "green "},
        {"prompt_name": "query"},
        {"truncate_dim": 5},
        {"truncate_dim": 5, "normalize_embeddings": True},
        {"batch_size": 3, "token_budget": 30},
    ],
    ids=str,
)
def test_arguments_reach_the_workers(model: SentenceTransformer, pool: ProcessPool, arguments: dict[str, Any]) -> None:
    np.testing.assert_array_equal(model.encode(TEXTS, pool=pool, **arguments), model.encode(TEXTS, **arguments))


def test_queries_and_documents(model: SentenceTransformer, pool: ProcessPool) -> None:
    queries, documents = model.encode_query(TEXTS, pool=pool), model.encode_document(TEXTS, pool=pool)
    np.testing.assert_array_equal(queries, model.encode_query(TEXTS))
    np.testing.assert_array_equal(documents, model.encode_document(TEXTS))
    assert not np.array_equal(queries, documents)


def test_the_form_of_the_result(model: SentenceTransformer, pool: ProcessPool) -> None:
    one = model.encode(TEXTS[0], pool=pool)
    np.testing.assert_array_equal(one, model.encode(TEXTS[0]))
    assert model.encode([], pool=pool).shape == (0,)
    tensor = model.encode(TEXTS, pool=pool, convert_to_tensor=True)
    assert tensor.device.type == "cpu"
    assert torch.equal(tensor, model.encode(TEXTS, convert_to_tensor=True))
    rows = model.encode(TEXTS, pool=pool, convert_to_numpy=False)
    assert isinstance(rows, list)
    assert torch.equal(torch.stack(rows), tensor)
    tokens = model.encode(TEXTS, pool=pool, output_value="token_embeddings")
    for found, expected in zip(tokens, model.encode(TEXTS, output_value="token_embeddings"), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_older_name(model: SentenceTransformer, pool: ProcessPool) -> None:
    found = model.encode_multi_process(TEXTS, pool, prompt_name="query", chunk_size=9, truncate_dim=7)
    np.testing.assert_array_equal(found, model.encode(TEXTS, prompt_name="query", truncate_dim=7))


@pytest.mark.parametrize("method", THEIRS)
def test_the_arguments_are_those_of_the_incumbent(method: str) -> None:
    for kind in (SentenceTransformer, CrossEncoder):
        if hasattr(kind, method):
            ours = dict(inspect.signature(getattr(kind, method)).parameters)
            ours.pop("self", None)
            assert [(name, each.default) for name, each in ours.items()] == list(THEIRS[method].items())
    assert hasattr(CrossEncoder, method) == (method != "encode_multi_process")


def test_a_list_of_devices_is_a_pool_for_one_call(model: SentenceTransformer, pool: ProcessPool, copies: Path) -> None:
    before = workers_of(os.getpid())
    np.testing.assert_array_equal(model.encode(TEXTS, device=["cpu"]), model.encode(TEXTS))
    assert workers_of(os.getpid()) == before
    assert before == [process.pid for process in pool.processes]
    assert not list(copies.iterdir())
    assert model.encode([], device=["cpu"]).shape == (0,)
    with pytest.raises(ValueError, match=r"a list of one or more, such as .*, not \[\]"):
        model.encode(TEXTS, device=[])
    with pytest.raises(ValueError, match=r"a list of one or more, such as .*, not 'cpu'"):
        model.start_multi_process_pool("cpu")


def test_a_stream_starts_one_pool_and_no_texts_start_none(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = SentenceTransformer.start_multi_process_pool

    def counted(self: SentenceTransformer, devices: Any = None) -> ProcessPool:
        started.append(start(self, devices))
        return started[-1]

    monkeypatch.setattr(SentenceTransformer, "start_multi_process_pool", counted)
    assert model.encode([], device=["cpu"]).shape == (0,)
    assert not started
    texts = ["tea", "rain", "water"]
    found = list(model.encode_stream(texts, device=["cpu"], window=1))
    np.testing.assert_array_equal(found, model.encode(texts))
    assert len(started) == 1
    with pytest.raises(ValueError, match="stopped"):
        model.encode(texts, pool=started[0])


def test_several_threads_may_use_one_pool(model: SentenceTransformer, pool: ProcessPool) -> None:
    parts = [TEXTS[start:] for start in range(0, 40, 5)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda part: model.encode(part, pool=pool, chunk_size=5), parts))
    for part, vectors in zip(parts, found, strict=True):
        np.testing.assert_array_equal(vectors, model.encode(part))


def test_progress(model: SentenceTransformer, pool: ProcessPool, capsys: pytest.CaptureFixture[str]) -> None:
    model.encode(TEXTS, pool=pool, show_progress_bar=True)
    assert "Encoding: 100%" in (shown := capsys.readouterr().err)
    assert "100/100 sentences" in shown


@pytest.mark.parametrize(
    ("items", "workers", "size"),
    [(1, 2, 1), (5, 2, 3), (64, 2, 32), (100, 4, 25), (400, 4, 32), (10_000, 4, 250), (10**7, 4, 5000)],
)
def test_how_many_texts_a_worker_is_handed(items: int, workers: int, size: int) -> None:
    assert default_chunk_size(items, workers) == size


def test_devices_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "may_have_gpu", lambda: False)
    for cores, expected in ((1, 1), (16, 1), (31, 1), (64, 4)):
        monkeypatch.setattr(processes, "available_cores", lambda cores=cores: cores)
        assert default_devices() == ["cpu"] * expected
    monkeypatch.setattr(processes, "may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert default_devices() == ["cuda:0", "cuda:1"]


# Models


def test_the_cores_are_shared(folder: Path, pool: ProcessPool) -> None:
    with SentenceTransformer(folder, device="cpu", threads=7).start_multi_process_pool(["cpu", "cpu"]) as shared:
        for process in shared.processes:
            variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            assert {b"OMP_NUM_THREADS=3", b"RAYON_NUM_THREADS=3"} <= set(variables)


def test_a_changed_model_goes_as_it_is(folder: Path) -> None:
    model = SentenceTransformer(folder, device="cpu", dtype="float32")
    before = model.encode(TEXTS)
    model.max_seq_length = 9
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.1)
    expected = model.encode(TEXTS)
    assert not np.allclose(before, expected, atol=0.01)
    np.testing.assert_allclose(model.encode(TEXTS, device=["cpu"]), expected, atol=1e-5)


def test_int8_with_texts_of_its_own(folder: Path, tmp_path: Path) -> None:
    texts = ["the kettle is on", "rain in the garden"]
    SentenceTransformer(folder, device="cpu").save_pretrained(tmp_path / "int8", dtype="int8", calibration=texts)
    model = SentenceTransformer(tmp_path / "int8", device="cpu")
    assert model.dtype == "int8"
    by_default = SentenceTransformer(folder, device="cpu", dtype="int8").encode(TEXTS)
    assert not np.array_equal(model.encode(TEXTS), by_default)
    np.testing.assert_array_equal(model.encode(TEXTS, device=["cpu"]), model.encode(TEXTS))


def test_weights_are_packed_once_for_all(folder: Path, copies: Path) -> None:
    with SentenceTransformer(folder, device="cpu", dtype="float32").start_multi_process_pool(["cpu"]) as started:
        (packed,) = copies.glob("*/packed_float32_*.safetensors")
        assert str(packed) in Path(f"/proc/{started.processes[0].pid}/maps").read_text()


def test_a_model_with_routes(folder: Path, tmp_path: Path) -> None:
    other = tiny_encoder(tmp_path / "other", seed=1)
    routes: dict[str, Any] = {
        route: [models.Transformer(where), models.Pooling(32, "mean")]
        for route, where in (("query", folder), ("document", other))
    }
    model = SentenceTransformer(modules=[models.Router(routes)], device="cpu")
    with model.start_multi_process_pool(["cpu"]) as pool:
        queries, documents = model.encode_query(TEXTS, pool=pool), model.encode_document(TEXTS, pool=pool)
        by_task: list[Any] = [{"query": text} for text in TEXTS]
        np.testing.assert_array_equal(model.encode(by_task, pool=pool), queries)
    np.testing.assert_array_equal(queries, model.encode_query(TEXTS))
    np.testing.assert_array_equal(documents, model.encode_document(TEXTS))
    assert not np.allclose(queries, documents)


def test_a_cross_encoder(tmp_path: Path, pool: ProcessPool, caplog: pytest.LogCaptureFixture) -> None:
    model = CrossEncoder(str(tiny_classifier(tmp_path)), device="cpu", prompts=PROMPTS)
    with model.start_multi_process_pool(["cpu", "cpu"]) as own:
        cases: list[dict[str, Any]] = [{}, {"prompt_name": "query"}, {"activation_fn": torch.tanh}]
        for arguments in cases:
            found = model.predict(PAIRS, pool=own, chunk_size=7, **arguments)
            np.testing.assert_array_equal(found, model.predict(PAIRS, **arguments))
        assert model.predict(PAIRS[0], pool=own) == model.predict(PAIRS[0])
        assert model.predict([], pool=own).shape == (0,)
        assert model.rank(TEXTS[0], TEXTS[1:], pool=own) == model.rank(TEXTS[0], TEXTS[1:])
        long = (" ".join(WORDS * 9), "tea")
        with caplog.at_level(logging.WARNING):
            model.predict([long, *PAIRS], pool=own)
        assert "1 of 21 pairs were longer than 80 tokens" in caplog.text  # each chunk tells of its own
        with pytest.raises(ValueError, match="the pool is another model's"):
            model.predict(PAIRS, pool=pool)
        model.stop_multi_process_pool(own)
    np.testing.assert_array_equal(model.predict(PAIRS, device=["cpu"]), model.predict(PAIRS))


def test_the_guide_says_what_works(model: SentenceTransformer) -> None:
    page = (ROOT / "docs" / "guides" / "encode.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page.partition("## Several processes")[2].partition("\n## ")[0], re.S)
    exec(block, {"model": model})


def test_hard_negatives_mined_in_processes(model: SentenceTransformer) -> None:
    rows = {"query": TEXTS[:20], "answer": TEXTS[20:40]}
    settings: dict[str, Any] = {"corpus": TEXTS[40:], "num_negatives": 2, "verbose": False}
    found = mine_hard_negatives(rows, model, use_multi_process=["cpu"], **settings)
    assert found.to_dict() == mine_hard_negatives(rows, model, **settings).to_dict()


# Errors


def test_an_error_in_a_worker_is_the_callers(model: SentenceTransformer, pool: ProcessPool) -> None:
    texts = [*TEXTS[:50], "half of a \ud800 character", *TEXTS[50:]]
    with pytest.raises(ValueError, match="text 50 holds a lone surrogate") as caught:
        model.encode(texts, pool=pool, chunk_size=8)
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in the worker on cpu" in str(caught.value.__cause__)
    assert "_tokenized_from" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="Spilled: tea on the paper") as caught_other:
        list(pool.computed(tasks.spill, ["tea"], {}))
    assert "in spill" in str(caught_other.value.__cause__)
    with pytest.raises(Exception, match="pickle"):
        list(pool.computed(lambda model, items: items, ["tea"], {}))
    np.testing.assert_array_equal(model.encode(TEXTS, pool=pool), model.encode(TEXTS))  # it lives on


def test_what_a_worker_prints_does_not_come_between(pool: ProcessPool, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(pool.computed(tasks.shout, ["tea", "rain"], {}, 2)) == [(slice(0, 2), ["TEA", "RAIN"])]


def test_a_pool_of_another_kind_is_refused(model: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match=r"what model.start_multi_process_pool\(\) gives, not {'processes': \[\]}"):
        model.encode(TEXTS, pool={"processes": []})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk_size must be a whole number, 1 or more, not 0"):
        model.encode(TEXTS, chunk_size=0)


def test_a_device_that_is_not_there_is_told_at_the_start(model: SentenceTransformer, copies: Path) -> None:
    before = workers_of(os.getpid())
    with pytest.raises(ValueError, match="the device 'kettle' cannot be used here"):
        model.start_multi_process_pool(["cpu", "kettle"])
    assert workers_of(os.getpid()) == before
    assert not list(copies.iterdir())


def test_a_killed_worker_is_told_at_once(model: SentenceTransformer, copies: Path) -> None:
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    ids = [process.pid for process in pool.processes]
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(list, pool.computed(tasks.nap, TEXTS[:6], {}, 1))
        time.sleep(0.2)
        assert not call.done()
        os.kill(ids[1], signal.SIGKILL)
        with pytest.raises(WorkerDied, match=rf"on cpu \(process {ids[1]}\) was killed by signal 9 \(SIGKILL\), as"):
            call.result(timeout=5)
    assert not any(map(is_there, ids))  # not the one that naps either
    assert not list(copies.iterdir())
    with pytest.raises(ValueError, match="the pool has been stopped; start another one"):
        model.encode(TEXTS, pool=pool)
    pool.stop()


def test_a_worker_that_leaves_is_told_by_its_exit_code(model: SentenceTransformer) -> None:
    with model.start_multi_process_pool(["cpu"]) as pool, pytest.raises(WorkerDied, match="ended with exit code 3"):
        list(pool.computed(tasks.leave, ["tea"], {}))


def test_a_pool_stopped_meanwhile_is_told(model: SentenceTransformer) -> None:
    pool = model.start_multi_process_pool(["cpu"])
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(list, pool.computed(tasks.nap, TEXTS[:6], {}, 1))
        time.sleep(0.2)
        pool.stop()
        with pytest.raises(ValueError, match="the pool was stopped before all was computed"):
            call.result(timeout=5)


# How a program ends: its workers end with it

SCRIPT = """
import os, sys, time
import numpy as np
from likewise import SentenceTransformer
from tests.encoding import tasks

model = SentenceTransformer(sys.argv[1], device="cpu")  # no `if __name__ == "__main__"`, and no file to import
pool = model.start_multi_process_pool(["cpu", "cpu"])
assert np.array_equal(model.encode(["tea", "rain"], pool=pool, chunk_size=1), model.encode(["tea", "rain"]))
print(*[process.pid for process in pool.processes], flush=True)
"""
AT_WORK = """
list(pool.computed(tasks.nap, ["tea", "rain"], {}, 1))
"""
FORKED = """
if os.fork() == 0:  # another process that has the pipes too
    time.sleep(6)
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("rest", "sent", "code"),
    [
        ("", None, 0),
        ("raise SystemExit(5)", None, 5),
        (FORKED + AT_WORK, signal.SIGKILL, -9),
        (AT_WORK, signal.SIGINT, -2),
    ],
    ids=["ended", "exited", "killed", "interrupted"],
)
def test_no_worker_outlives_its_program(
    rest: str, sent: signal.Signals | None, code: int, folder: Path, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdin.write(SCRIPT + rest)
    program.stdin.close()
    ids = list(map(int, program.stdout.readline().split()))
    assert len(ids) == 2
    if sent is not None:
        assert all(map(is_there, ids))
        time.sleep(0.3)  # until they are at work
        if sent == signal.SIGINT:
            os.killpg(program.pid, sent)  # as Ctrl-C does: the workers get it too
        else:
            program.send_signal(sent)
    assert program.wait(10) == code
    assert none_is_left(ids, 5)
    assert not list(tmp_path.glob("likewise-*"))
    if sent == signal.SIGINT:
        assert program.stderr.read().count("Traceback") == 1


def test_the_report_and_the_warning_are_those_of_one_process(
    model: SentenceTransformer, pool: ProcessPool, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["rain " * 100, *TEXTS, "tea " * 300]
    _, expected = model.encode(texts, return_report=True)
    found = model.encode(texts, pool=pool, chunk_size=4)
    assert [str(expected) in record.getMessage() for record in caplog.records] == [
        True
    ]  # once a call, not once a chunk
    _, report = model.encode(texts, return_report=True, pool=pool, chunk_size=4)
    np.testing.assert_array_equal(report.tokens, expected.tokens)
    np.testing.assert_array_equal(report.read, expected.read)
    chunked = model.encode(texts, long_texts="chunk", pool=pool, chunk_size=4)
    np.testing.assert_array_equal(chunked, model.encode(texts, long_texts="chunk"))
    assert not np.array_equal(chunked, found)
    with pytest.raises(ValueError, match=f"text {len(texts) - 1} has 302 tokens"):
        model.encode([*texts[1:-1], "tea", texts[-1]], long_texts="error", pool=pool, chunk_size=4)
