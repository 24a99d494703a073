"""Many machines: partitions that are whole or not there, on a real Ray cluster with processes that are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from likewise.encoding import ray_data
from likewise.encoding.parquet_folder import ParquetFolder
from likewise.encoding.ray_data import (
    RECORD,
    Partition,
    Worker,
    check_apart,
    encode_folder,
    is_whole,
    plan,
    read_texts_of,
)

TEXTS = {
    "a.parquet": [f"the train of {n}" for n in range(0, 3000, 13)],
    "sub/b.parquet": ["tea" * n for n in range(35)],
}
EXPECTED = {
    (name, line): [float(len(text)), 1.0] for name, texts in TEXTS.items() for line, text in enumerate(texts, start=1)
}
DRIVER = Path(__file__).with_name("ray_driver.py")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of Parquet files, and what is none of them."""
    folder = tmp_path / "input"
    for name, texts in TEXTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        table = pyarrow.table({"id": list(range(len(texts))), "text": texts})
        parquet.write_table(table, folder / name, row_group_size=7)
    for name in ("_c.parquet", ".d.parquet", "e.txt"):
        (folder / name).write_text("no table")
    return folder


@pytest.fixture
def _small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_data, "ROWS_PER_PARTITION", 10)


def read(output: Path) -> Mapping[tuple[str, int], list[float]]:
    """The vector of each place, which is there once."""
    rows = parquet.read_table(output).to_pylist()
    found = {(row["source"], row["line"]): row["vector"] for row in rows}
    assert len(found) == len(rows)
    return found


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), 1] for text in texts], np.float32)


def batch_of(partitions: list[Partition]) -> dict[str, np.ndarray]:
    """The partitions as Ray hands them to a worker."""
    names = ("file", "column", "number", "start", "rows")
    return {
        name: np.array(column) for name, column in zip(names, zip(*map(astuple, partitions), strict=True), strict=True)
    }


# Without Ray


@pytest.mark.usefixtures("_small_partitions")
def test_workers_write_each_row_once(source: Path, tmp_path: Path) -> None:
    given_, made = ParquetFolder.at(str(source)), ParquetFolder.at(str(tmp_path / "output"))
    partitions, _ = plan(given_, None)
    assert len(partitions) == 24 + 4
    answer = Worker(lambda: lengths, given_, made)(batch_of(partitions))
    assert (sum(answer["rows"]), set(answer["error"])) == (len(EXPECTED), {""})
    assert read(tmp_path / "output") == EXPECTED
    assert all(is_whole(made, partition) for partition in partitions)


@pytest.mark.usefixtures("_small_partitions")
def test_a_partition_that_is_there_is_not_made_again_and_a_damaged_one_is(source: Path, tmp_path: Path) -> None:
    given_, made = ParquetFolder.at(str(source)), ParquetFolder.at(str(tmp_path / "output"))
    partitions, _ = plan(given_, None)
    Worker(lambda: lengths, given_, made)(batch_of(partitions))
    damaged = tmp_path / "output" / partitions[3].name
    damaged.write_bytes(damaged.read_bytes()[:-1])
    shorter = tmp_path / "output" / partitions[5].name
    parquet.write_table(parquet.read_table(shorter).slice(1), shorter)
    assert [is_whole(made, partitions[number]) for number in (3, 4, 5)] == [False, True, False]
    seen = []

    def encode(texts: list[str]) -> np.ndarray:
        seen.append(texts)
        return lengths(texts)

    Worker(lambda: encode, given_, made)(batch_of(partitions))
    assert seen == [TEXTS["a.parquet"][30:40], TEXTS["a.parquet"][50:60]]
    assert read(tmp_path / "output") == EXPECTED


@given(rows=st.integers(1, 60), group=st.integers(1, 25), start=st.integers(0, 59), count=st.integers(1, 60))
def test_a_range_of_rows_is_read_across_row_groups(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, start: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    texts = [str(n) for n in range(rows)]
    parquet.write_table(pyarrow.table({"text": texts}), folder / "a.parquet", row_group_size=group)
    partition = Partition("a.parquet", "text", 0, start, count)
    assert read_texts_of(ParquetFolder.at(str(folder)), partition) == texts[start : start + count]


def test_a_value_that_is_no_text_is_named(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["tea", None, "train"]}), tmp_path / "a.parquet")
    folder = ParquetFolder.at(str(tmp_path))
    answer = Worker(lambda: lengths, folder, folder)(batch_of(plan(folder, None)[0]))
    assert answer["error"] == [
        f"{tmp_path}/a.parquet: row 2: the column 'text' holds None, which is not text; leave the row out"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_wrong_inputs_show_before_any_work(source: Path, tmp_path: Path) -> None:
    folder = ParquetFolder.at(str(source))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no Parquet file in .*empty"):
        plan(ParquetFolder.at(str(tmp_path / "empty")), None)
    with pytest.raises(ValueError, match="no column 'nota'; the columns: 'id', 'text'"):
        plan(folder, "nota")
    (source / "f.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(ValueError, match=r"f\.parquet is no whole Parquet file"):
        plan(folder, None)


@pytest.mark.parametrize(
    ("source", "output", "is_within"),
    [("a", "a", True), ("a", "a/vectors", True), ("a/", "a/b/c", True), ("a", "ab", False), ("a/b", "a", False)],
)
def test_the_output_lies_beside_the_input(source: str, output: str, is_within: bool) -> None:
    folders = ParquetFolder.at(source), ParquetFolder.at(output)
    with pytest.raises(ValueError, match="where its files would be read too") if is_within else nullcontext():
        check_apart(*folders)


def test_another_job_is_refused(source: Path, tmp_path: Path) -> None:
    output = ParquetFolder.at(str(tmp_path / "output"))
    job = {"model": "lengths", "input": plan(ParquetFolder.at(str(source)), None)[1]}
    ray_data._begin(output, job)
    ray_data._begin(output, job)
    with pytest.raises(ValueError, match="output holds a part of another job: model was 'lengths' and is 'words'"):
        ray_data._begin(output, job | {"model": "words"})
    parquet.write_table(pyarrow.table({"text": ["more"]}), source / "g.parquet")
    with pytest.raises(ValueError, match="another job: input was"):
        ray_data._begin(output, job | {"input": plan(ParquetFolder.at(str(source)), None)[1]})
    with pytest.raises(ValueError, match="holds other Parquet files; give a new folder"):
        ray_data._begin(ParquetFolder.at(str(source)), job)
    assert (tmp_path / "output" / RECORD).is_file()


def test_without_ray_the_error_says_how_to_get_it(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(ImportError, match=r"pip install 'likewise\[ray\]'"):
        encode_folder(str(source), "out", None, {}, lambda _: lambda: lengths, ray_data.Cluster())


# With Ray


@contextmanager
def driver(source: Path, output: Path, processes: Path) -> Iterator[subprocess.Popen[str]]:
    """A job in a process of its own, which leaves nothing behind."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'ray[data]'")
    processes.mkdir(exist_ok=True)
    command = [sys.executable, str(DRIVER), str(source), str(output), str(processes)]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[Any], condition: Any) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.02)


def made_in(output: Path) -> dict[str, int]:
    """The partitions that are there, and when each was written."""
    return {str(path): path.stat().st_mtime_ns for path in output.rglob("[!._]*.parquet")}


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_every_row_is_there(source: Path, tmp_path: Path) -> None:
    output, processes = tmp_path / "output", tmp_path / "processes"
    with driver(source, output, processes) as process:
        wait_for(process, lambda: len(list(processes.iterdir())) == 2 and len(made_in(output)) >= 3)
        killed = next(processes.iterdir()).name
        os.kill(int(killed), signal.SIGKILL)
        assert len(made_in(output)) < 28, "it was to be killed in the middle"
        out, err = process.communicate(timeout=240)
    assert out.splitlines()[-1:] == [f"{len(EXPECTED)} 28"], err  # after what Ray says of the killed one
    assert len(list(processes.iterdir())) >= 3  # two, and one in the place of the killed one
    assert read(output) == EXPECTED
    assert not list(output.rglob(".*"))


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was(source: Path, tmp_path: Path) -> None:
    output, processes = tmp_path / "output", tmp_path / "processes"
    with driver(source, output, processes) as process:
        wait_for(process, lambda: len(made_in(output)) >= 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = made_in(output)
    assert 3 <= len(before) < 28
    with driver(source, output, processes) as process:
        out, err = process.communicate(timeout=240)
    assert out.splitlines()[-1:] == [f"{len(EXPECTED)} 28"], err
    after = made_in(output)
    assert {name: after[name] for name in before} == before
    assert read(output) == EXPECTED
