"""The index under what can happen to it: processes that are killed, others that search, a disk that is full."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from likewise.search.index import Index
from tests.search.index_worker import PASSAGES, SOURCES
from tests.search.word_hashes import WordHashes, edition, editions_in

pytest.importorskip("lancedb", reason="an index needs the package lancedb")

ROOT = Path(__file__).parents[2]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.search.index_worker", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def whole_editions(path: Path) -> dict[str, int]:
    """Which edition of each source the index holds; each whole, found by its vectors and by its words."""
    held = {}
    with Index.open(path, WordHashes()) as index:
        for source in SOURCES:
            for hybrid in (False, True):
                hits = index.search("edition", 1000, where=f"source = '{source}'", hybrid=hybrid)
                assert len({hit.line for hit in hits}) == len(hits)
                assert len(hits) in (0, PASSAGES)
                numbers = editions_in([hit.text for hit in hits])
                assert len(numbers) <= 1
            held[source] = int(*numbers or [0])
        assert index.info().passages % PASSAGES == 0
    return held


def killed_at_random(path: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    Index.create(path, WordHashes())
    before = dict.fromkeys(SOURCES, 0)
    for _ in range(kills):
        writer = start("write", path)
        assert writer.stdout is not None
        first = writer.stdout.readline()  # what follows is at work, not only starting
        time.sleep(draw.uniform(0, 0.8))
        writer.send_signal(signal.SIGKILL)
        out, err = writer.communicate()
        assert first, err
        told = [line.split() for line in [first, *out.splitlines()]]
        after = whole_editions(path)
        said = before | {source: int(number) for source, number in told}
        for source in SOURCES:
            assert said[source] <= after[source] <= max(said.values()) + 1  # what was said to be in, is
        before = after


def test_a_writer_that_is_killed_leaves_an_earlier_or_a_later_state(tmp_path: Path) -> None:
    killed_at_random(tmp_path / "my.index", kills=3, seed=0)


@pytest.mark.slow
def test_a_writer_that_is_killed_very_often_leaves_an_earlier_or_a_later_state(tmp_path: Path) -> None:
    killed_at_random(tmp_path / "my.index", kills=40, seed=1)


def test_two_processes_search_while_a_third_writes(tmp_path: Path) -> None:
    path = tmp_path / "my.index"
    Index.create(path, WordHashes())
    writer, searchers = start("write", path), [start("search", path) for _ in range(2)]
    assert writer.stdout is not None
    for _ in range(9):
        assert writer.stdout.readline()
    (tmp_path / "stop").touch()
    for searcher in searchers:
        out, err = searcher.communicate(timeout=60)
        assert searcher.returncode == 0, err
        assert out.endswith(" searches\n")
        assert len(out.splitlines()) == 1, out
    writer.kill()
    writer.communicate()


def test_an_interrupted_embedding_by_another_model_leaves_the_old_one_answering(tmp_path: Path) -> None:
    path = tmp_path / "my.index"
    with Index.create(path, WordHashes()) as index:
        index.add(edition("a.txt", 1, 300))
    code = (
        "import sys, time; from tests.search.word_hashes import WordHashes; from likewise.search.index import index\n"
        "class Slow(WordHashes):\n"
        "    def encode_document(self, inputs):\n"
        "        print('embedding', flush=True); time.sleep(0.02); return super().encode_document(inputs)\n"
        "index.AT_ONCE = 20; index.Index.open(sys.argv[1]).update(model=Slow('new'))"
    )
    again = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert again.stdout is not None
    for _ in range(6):
        again.stdout.readline()
    again.kill()
    again.communicate()
    with Index.open(path, WordHashes()) as opened:
        assert len(opened.search("passage", 1000)) == 300
        new = WordHashes("new")
        opened.update(model=new)
        assert 0 < len(new.embedded) < 300
        assert len(opened.search("passage", 1000)) == 300
        assert opened.info().model == "new"


def test_a_full_disk_is_one_clear_error_and_the_index_stays_usable(tmp_path: Path) -> None:
    path = tmp_path / "my.index"
    with Index.create(path, WordHashes()) as index:
        index.add(edition("a.txt", 1, 10))
    code = (
        "import resource, signal, sys; from likewise.search.index import Index\n"
        "from tests.search.word_hashes import WordHashes, edition\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "index = Index.open(sys.argv[1], WordHashes())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: index.add(edition('b.txt', 1, 3000))\n"
        "except OSError as error: print(error)\n"
        "else: print('it was written')\n"
        "print(len(index.search('passage', 5000)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    error, found = done.stdout.splitlines()
    assert error.startswith(f"the index {path} could not be written: ")
    assert "File too large" in error
    assert found == "10"
    with Index.open(path, WordHashes()) as index:
        assert index.update(edition("b.txt", 1, 3000)).added == 3000
        assert len(index.search("passage", 5000, where="source = 'b.txt'")) == 3000


def test_a_folder_that_cannot_be_written_can_still_be_searched(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    path = tmp_path / "my.index"
    with Index.create(path, WordHashes()) as index:
        index.add(edition("a.txt", 1, 10))
        for folder in [path, *(entry for entry in path.rglob("*") if entry.is_dir())]:
            folder.chmod(0o555)
        assert len(index.search("passage")) == 10
        with pytest.raises(OSError, match="could not be written"):
            index.add(edition("b.txt", 1, 1))
