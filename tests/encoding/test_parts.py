"""Encoding in parts: the same bytes however often it was interrupted, and nothing of another job."""

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from likewise.encoding import parts
from likewise.encoding.parts import JOURNAL, RECORD, encode_in_parts, parts_folder
from likewise.encoding.text_files import PlacedText
from likewise.quantize import Precision, quantize_embeddings
from likewise.vector_files import read_vectors

JOB = {"model": "lengths"}
TEXTS = [PlacedText("t" * (n % 17), "tea.txt", n + 1) for n in range(23)]


class Stopped(BaseException):
    """As Ctrl-C: no Exception."""


class Lengths:
    """In place of a model: a text's vector holds its length; it stops after a number of calls."""

    def __init__(self, calls: float = float("inf")) -> None:
        self.left = calls
        self.seen: list[int] = []  # texts of each call

    def __call__(self, texts: list[str]) -> np.ndarray:
        if not self.left:
            raise Stopped
        self.left -= 1
        self.seen.append(len(texts))
        return np.array([[len(text), 2 * len(text)] for text in texts], np.float32)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 5)


@pytest.fixture(params=[".npy", ".parquet", ".arrow"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"vectors{request.param}"


def encode(output: Path, calls: float = float("inf"), job: dict[str, object] | None = None) -> list[int]:
    """How many texts each call encoded."""
    lengths = Lengths(calls)
    assert encode_in_parts(output, job or JOB, TEXTS, lengths) == (23, 2)
    return lengths.seen


def interrupted(output: Path, calls: int) -> None:
    with pytest.raises(Stopped):
        encode(output, calls)


def uninterrupted(output: Path) -> bytes:
    """What a run in one go gives."""
    other = output.parent / "once" / output.name
    other.parent.mkdir()
    encode(other)
    return other.read_bytes()


@pytest.mark.parametrize("calls", range(5))
def test_an_interrupted_job_goes_on_and_gives_the_same_bytes(output: Path, calls: int) -> None:
    output.write_text("before")
    interrupted(output, calls)
    assert output.read_text() == "before"
    assert encode(output) == [5, 5, 5, 5, 3][calls:]
    assert not parts_folder(output).exists()
    assert output.read_bytes() == uninterrupted(output)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-9] + b"?" + content[-8:]])
def test_a_damaged_part_is_made_again(output: Path, damage: object) -> None:
    interrupted(output, 3)
    part = parts_folder(output) / f"000001{output.suffix}"
    part.write_bytes(damage(part.read_bytes()))  # type: ignore[operator]
    assert encode(output) == [5, 5, 3]
    assert output.read_bytes() == uninterrupted(output)


def test_a_journal_that_ends_in_the_middle_of_a_line_is_read_up_to_there(output: Path) -> None:
    interrupted(output, 3)
    journal = parts_folder(output) / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-7])
    interrupted(output, 1)  # made again, and written to a line of its own
    assert encode(output) == [5, 3]
    assert output.read_bytes() == uninterrupted(output)


def test_a_missing_journal_costs_time_alone(output: Path) -> None:
    interrupted(output, 3)
    (parts_folder(output) / JOURNAL).unlink()
    assert encode(output) == [5, 5, 5, 5, 3]
    assert output.read_bytes() == uninterrupted(output)


def test_half_written_files_are_taken_away(output: Path) -> None:
    interrupted(output, 2)
    (parts_folder(output) / f".000002-0a1b2c3d.part{output.suffix}").write_text("half")
    (parts_folder(output) / f"joined{output.suffix}").write_text("half")
    encode(output)
    assert not parts_folder(output).exists()
    assert output.read_bytes() == uninterrupted(output)


def test_another_job_is_refused_and_nothing_is_lost(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(output, 2)
    with pytest.raises(ValueError, match="model was 'lengths' and is 'words'"):
        encode(output, job={"model": "words"})
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 6)
    with pytest.raises(ValueError, match="texts_per_part was 5 and is 6"):
        encode(output)
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 5)
    assert encode(output) == [5, 5, 3]


def test_a_job_killed_while_it_removed_its_parts_begins_anew(output: Path) -> None:
    interrupted(output, 2)
    (parts_folder(output) / RECORD).unlink()
    assert encode(output, job={"model": "words"}) == [5, 5, 5, 5, 3]


def test_what_somebody_else_put_beside_the_parts_stays(output: Path) -> None:
    parts_folder(output).mkdir()
    (parts_folder(output) / "mine.txt").write_text("mine")
    encode(output)
    assert [path.name for path in parts_folder(output).iterdir()] == ["mine.txt"]


def test_the_parts_lie_beside_the_file_that_a_link_leads_to(output: Path) -> None:
    target = output.parent / "disk" / output.name
    target.parent.mkdir()
    output.symlink_to(target)
    interrupted(output, 2)
    assert parts_folder(output).parent == target.parent
    encode(output)
    assert output.is_symlink()
    assert output.read_bytes() == uninterrupted(output)


def test_an_error_of_the_texts_leaves_the_parts_before_it(output: Path) -> None:
    def texts() -> Iterator[PlacedText]:
        yield from TEXTS[:12]
        raise ValueError("line 13 is broken")

    with pytest.raises(ValueError, match="line 13"):
        encode_in_parts(output, JOB, texts(), Lengths())
    assert encode(output) == [5, 5, 3]  # the first 12 were written, as two full parts and one that was not
    assert output.read_bytes() == uninterrupted(output)


def test_a_full_disk_is_one_error_and_the_parts_stay(output: Path) -> None:
    """In a process that may soon write no file over 100 bytes, which fails as a full disk does."""
    code = f"""if True:
        import resource, signal
        from pathlib import Path
        from likewise.encoding import parts
        from tests.encoding.test_parts import JOB, TEXTS, Lengths
        parts.TEXTS_PER_PART = 5
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        class FillsTheDisk(Lengths):
            def __call__(self, texts):
                if len(self.seen) == 2:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
                return super().__call__(texts)
        parts.encode_in_parts(Path({str(output)!r}), JOB, TEXTS, FillsTheDisk())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"OSError: cannot write to {parts_folder(output)}: ")
    assert "the first 10 texts are kept; make room, and the same command goes on" in last
    assert not output.exists()
    assert encode(output) == [5, 5, 3]
    assert output.read_bytes() == uninterrupted(output)


def test_two_processes_do_not_work_in_one_folder(output: Path) -> None:
    class Twice(Lengths):
        def __call__(self, texts: list[str]) -> np.ndarray:
            with pytest.raises(OSError, match=r"another process is at work in .*parts; wait"):
                encode(output)
            return super().__call__(texts)

    assert encode_in_parts(output, JOB, TEXTS, Twice()) == (23, 2)
    assert output.read_bytes() == uninterrupted(output)


def test_a_folder_in_the_place_of_the_output_is_refused_before_the_work(output: Path) -> None:
    output.mkdir()
    with pytest.raises(FileExistsError, match="is not a file"):
        encode(output, calls=0)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_smaller_vectors_have_the_ranges_of_all(output: Path, precision: Precision) -> None:
    def encode_in(folder: Path, calls: float = float("inf")) -> tuple[int, int]:
        return encode_in_parts(folder / output.name, JOB, TEXTS, Lengths(calls), precision=precision)

    with pytest.raises(Stopped):
        encode_in(output.parent, 3)
    (parts_folder(output) / f"smaller-000000{output.suffix}").write_text("half")
    vectors = np.array([[len(text.text), 2 * len(text.text)] for text in TEXTS], np.float32)
    expected = quantize_embeddings(vectors, precision)
    assert encode_in(output.parent) == expected.shape
    found, columns = read_vectors(output)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if columns:
        assert columns["line"] == [text.line for text in TEXTS]
    assert not parts_folder(output).exists()


def test_one_part_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "TEXTS_PER_PART", 1000)
    texts = (PlacedText("tea", "tea.txt", line) for line in range(30_000))

    def encode(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 512), np.float32)

    tracemalloc.start()
    try:
        assert encode_in_parts(tmp_path / "vectors.npy", JOB, texts, encode, precision="int8") == (30_000, 512)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000  # all vectors are 61 MB, those of a part 2
    finally:
        tracemalloc.stop()
