"""Files and folders: what is read of each kind, and that nothing unreadable stops the rest, blocks or fills memory."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from likewise import documents
from likewise.documents import LARGEST, Problem, read_documents
from likewise.passages import Passage
from tests.test_pdf_text import write_pdf

PROJECT = Path(__file__).parents[1]


def only(found: Iterable[Passage | Problem]) -> Passage | Problem:
    (one,) = found
    return one


def told(path: Path) -> str:
    """The reason why ``path`` gives nothing else than a problem."""
    problem = only(read_documents(path))
    assert isinstance(problem, Problem)
    assert problem.source == str(path)
    assert str(problem) == f"{path}: {problem.reason}"
    return problem.reason


# What is read


def test_a_folder_is_walked_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "Z.MARKDOWN", "c.py", ".hidden.md", "deep/d.rst", "deep/.git/e.md", "also/f.text"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(f"\ufeff# Title\r\n\r\nText of {name}.\r\n".encode())
    found = [passage for passage in read_documents(tmp_path) if isinstance(passage, Passage)]
    assert [Path(passage.source).relative_to(tmp_path).as_posix() for passage in found] == [
        "Z.MARKDOWN",
        "a.txt",
        "b.md",
        "also/f.text",
        "deep/d.rst",
    ]
    assert found[2] == Passage("Text of b.md.", str(tmp_path / "b.md"), 3, "Title")
    assert found[1] == Passage("# Title Text of a.txt.", str(tmp_path / "a.txt"), 1, "")
    assert list(read_documents([str(tmp_path)])) == found


def test_a_named_file_is_read_whatever_its_suffix_and_once(tmp_path: Path) -> None:
    path = tmp_path / ".notes"
    path.write_text("one\n\ntwo")
    (tmp_path / "linked.txt").symlink_to(path)
    assert list(read_documents([path, str(path), tmp_path])) == [Passage("one two", str(path), 1, "")]


def test_every_kind_of_file_becomes_passages(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.PDF", ["", "The kettle is boil-\ning.\nAnd more."])
    (tmp_path / "b.xhtml").write_text("<title>Tea</title>\n<p>It is hot.</p><script>x</script>")
    (tmp_path / "c.csv").write_text('year,text\n2001,"One\n\nlong text."\n2002,\n2003,Two\n')
    (tmp_path / "d.tsv").write_text("sentence\nThree\n")
    rows = [
        {"title": "Of \n cups", "text": "Four", "hot": True, "cost": 2.5, "cups": 3, "none": None, "list": [1]},
        {"text": None},
        {"id": "\ud800x"},
        {"text": "Five", "id": "\ud800x", "none": float("nan")},
    ]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, rows)))
    days = pyarrow.array([0, 1], pyarrow.date32())
    parquet.write_table(pyarrow.table({"text": ["Six", "Seven"], "day": days}), tmp_path / "f.parquet")
    found = list(read_documents(tmp_path))

    def passage(text: str, name: str, line: int, heading: str = "", page: int | None = None, **columns: Any) -> Passage:
        return Passage(text, str(tmp_path / name), line, heading, page, columns)

    assert found == [
        passage("The kettle is boiling. And more.", "a.PDF", 1, page=2),
        passage("It is hot.", "b.xhtml", 2, "Tea"),
        passage("One long text.", "c.csv", 2, year=2001),
        passage("Two", "c.csv", 6, year=2003),
        passage("Three", "d.tsv", 2),
        passage("Four", "e.jsonl", 1, "Of cups", title="Of \n cups", hot=True, cost=2.5, cups=3),
        passage("Five", "e.jsonl", 4, id="\ufffdx"),
        passage("Six", "f.parquet", 1, day="1970-01-01"),
        passage("Seven", "f.parquet", 2, day="1970-01-02"),
    ]
    assert len(set(found)) == 9  # they can be put in a set


def test_the_column_is_found_or_named(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("question,answer\nIs it hot?,Yes.\n")
    assert told(table) == "say which column holds the texts; the columns: 'question', 'answer'"
    assert list(read_documents(table, "answer")) == [
        Passage("Yes.", str(table), 2, "", metadata={"question": "Is it hot?"})
    ]
    assert only(read_documents(table, "text")) == Problem(
        str(table), "there is no column 'text'; the columns: 'question', 'answer'"
    )


def test_long_texts_of_rows_are_cut_and_keep_their_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n" + json.dumps({"text": "The kettle boils. " * 30, "n": 7}))
    found = list(read_documents(tmp_path, max_characters=100))
    assert len(found) > 4
    for passage in found:
        assert isinstance(passage, Passage)
        assert len(passage.text) <= 100
        assert (passage.line, passage.metadata) == (2, {"n": 7})


def test_an_impossible_length_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="max_characters must be 1 or more, not 0"):
        read_documents([], max_characters=0)


# What cannot be read


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"one\n\ntwo\xe4\n", r"line 3: b'\xe4\n' is not UTF-8; convert the file first, perhaps with: iconv"),
        (
            "a.txt",
            "é".encode("utf-16"),
            r"line 1: b'\xff\xfe\xe9\x00' is not UTF-8; convert the file first, perhaps with: ",
        ),
        ("a.md", b"# one\n\ntwo \0", "line 3: a zero byte, which is in no text; this is another kind of file"),
        ("a.html", b"<p>one</p>\0", "a zero byte, which is in no text; this is another kind of file"),
        (
            "a.html",
            b"\n<p>caf\xe9</p>",
            r"line 2: b'\xe9</p>' is not utf-8; declare the encoding that the page has, or",
        ),
        ("a.pdf", b"%PDF-1.7 and no more", "the PDF cannot be read: "),
        ("a.csv", b'text\n"never closed', "line 2: unexpected end of data, found on line 2: "),
        ("a.csv", b"text\n\xff\n", r"line 2: b'\xff\n' is not UTF-8; convert"),
        ("a.jsonl", b'{"text": 3}', "line 1: the column 'text' holds 3, which is not text"),
        ("a.jsonl", b'{"text": "\\ud800"}', r"line 1: the column 'text' holds '\ud800', which is not text"),
        ("a.jsonl", b"[1]", "line 1: '[1]' is not a JSON object (no object); write each row whole"),
        ("a.jsonl", b'{"a": "x", "b": "y"}', "say which column holds the texts; the columns: 'a', 'b'"),
        ("a.parquet", b"PAR1 and no more", "is no whole Parquet file after row 0: "),
    ],
)
def test_what_is_broken_is_told_and_the_rest_is_read(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert told(tmp_path / name).startswith(reason)
    (tmp_path / "b.txt").write_text("The rest.")
    first, rest = read_documents(tmp_path)
    assert isinstance(first, Problem)
    assert rest == Passage("The rest.", str(tmp_path / "b.txt"), 1, "")


@pytest.mark.parametrize("suffix", documents.READ)
def test_an_empty_file_is_no_problem(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert list(read_documents(tmp_path)) == []


@pytest.mark.parametrize("suffix", documents.READ)
def test_noise_under_any_suffix_is_a_problem(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(bytes(range(256)) * 50)
    assert told(tmp_path / f"a{suffix}")


def test_what_was_read_of_a_table_before_its_fault_stays(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n{"text": \n')
    one, two, fault = read_documents(tmp_path)
    assert isinstance(one, Passage)
    assert isinstance(two, Passage)
    assert isinstance(fault, Problem)
    assert fault.reason.startswith("line 3: ")


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")  # opening it would wait for ever
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b.txt"))
        (tmp_path / "c.txt").symlink_to("/dev/zero")
        for path in (*sorted(tmp_path.iterdir()), Path("/dev/zero")):
            assert told(path) == "this is not a file but a pipe, a socket or a device"


def test_standard_input_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("A file of that name.")
    assert told(Path("-")) == "standard input is not read here; put the text into a file, and name that"


def test_links_that_lead_nowhere_or_round_and_round(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("a.txt")
    (tmp_path / "b.txt").symlink_to("missing.txt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "parent").symlink_to(tmp_path)
    (tmp_path / "folder" / "c.txt").write_text("Found.")
    assert told(tmp_path / "a.txt") == "Too many levels of symbolic links"
    assert told(tmp_path / "b.txt") == "No such file or directory"
    assert [type(found) for found in read_documents(tmp_path)] == [Problem, Problem, Passage]
    assert len(list(read_documents(tmp_path / "folder" / "parent"))) == 3  # a folder that is named may be a link


def test_files_that_vanish_meanwhile(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"Text of {name}.")
    reading = read_documents(tmp_path)
    assert isinstance(next(reading), Passage)
    (tmp_path / "b.txt").unlink()
    gone, there = reading
    assert gone == Problem(str(tmp_path / "b.txt"), "No such file or directory")
    assert isinstance(there, Passage)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_name_that_is_not_unicode_is_told(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_text("Text.")
    assert only(read_documents(tmp_path)) == Problem(
        f"{tmp_path}/caf\\xe9.txt", "the name of the file is not UTF-8; rename it"
    )
    assert isinstance(only(read_documents("a\0b.txt")), Problem)


def test_what_one_may_not_read_is_told_and_the_rest_is_read() -> None:
    with TemporaryDirectory() as name:  # unlike tmp_path, it can be opened to others
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a.txt").write_text("Secret.")
        (folder / "a.txt").chmod(0)
        (folder / "b.txt").write_text("Open.")
        (folder / "closed").mkdir()
        (folder / "closed" / "c.txt").write_text("Hidden.")
        (folder / "closed").chmod(0)
        (folder / "d").mkdir()
        (folder / "d" / "e.txt").write_text("After it.")
        child = os.fork()
        if child == 0:
            right = False
            try:
                if os.getuid() == 0:  # who may read everything
                    os.setuid(65534)
                right = list(read_documents([folder, folder / "closed", folder / "closed" / "c.txt"])) == [
                    Problem(str(folder / "a.txt"), "Permission denied"),
                    Passage("Open.", str(folder / "b.txt"), 1, ""),
                    Problem(str(folder / "closed"), "Permission denied"),
                    Passage("After it.", str(folder / "d" / "e.txt"), 1, ""),
                    Problem(str(folder / "closed"), "Permission denied"),
                    Problem(str(folder / "closed" / "c.txt"), "Permission denied"),
                ]
            finally:
                os._exit(7 if right else 8)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        (folder / "closed").chmod(0o755)


def test_a_missing_package_is_told_once_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pdf(tmp_path / "a.pdf", ["Text."])
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert told(tmp_path / "a.pdf") == (
        "Reading PDF needs the package 'pypdf'; install it with: pip install 'likewise[search]'"
    )


# Sizes


@pytest.mark.parametrize("suffix", LARGEST)
def test_pages_that_are_read_whole_have_a_largest_size(suffix: str, tmp_path: Path) -> None:
    with (tmp_path / f"a{suffix}").open("wb") as file:
        file.truncate(LARGEST[suffix] + 1)
    assert told(tmp_path / f"a{suffix}") == (
        f"{LARGEST[suffix] + 1:,} bytes are more than a {suffix} file may have, {LARGEST[suffix]:,}; split it"
    )


MEASURED = """\
import re, sys
from pathlib import Path
from likewise.documents import read_documents
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = peak()
count = sum(1 for _ in read_documents(sys.argv[1], max_characters=100_000))
print(count, peak() - before)
"""  # ru_maxrss would begin with the peak of the process that started this one
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


def read_in_a_process(path: Path) -> tuple[int, int]:
    """How much was found in ``path``, and the MB of memory that this took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, path], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    count, megabytes = map(int, done.stdout.split())
    return count, megabytes


@ON_LINUX
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl", "a.csv"])
def test_a_line_of_a_gigabyte_is_told_and_never_in_memory(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.write(b"text\n")
        file.seek(1_000_000_000)  # zeros, which take no room on the disk
        file.write(b"\n")
    if not name.endswith(".md"):
        assert told(tmp_path / name) == "line 2: the line is longer than 50,000,000 bytes; break it into several"
    count, megabytes = read_in_a_process(tmp_path)
    assert count == 1
    assert megabytes < 150


@ON_LINUX
@pytest.mark.parametrize("border", ["\n", "\n\n", " "])
def test_a_long_text_is_streamed(border: str, tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("w") as file:
        for _ in range(6):
            file.write(f"The kettle boils and the train is late.{border}" * 25_000)  # a million characters
            file.write("\n" if border == " " else "")
    count, megabytes = read_in_a_process(tmp_path)
    assert count > 50
    assert megabytes < 15


def test_what_no_number_can_hold_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One", "n": 1%s}\n' % ("0" * 400))
    days = pyarrow.array([4_000_000], pyarrow.date32())  # after the year 9999
    parquet.write_table(pyarrow.table({"text": ["Two"], "day": days}), tmp_path / "b.parquet")
    (tmp_path / "c.txt").write_text("Three")
    one, two, three = read_documents(tmp_path)
    assert isinstance(one, Passage)
    assert (one.text, one.metadata) == ("One", {})
    assert isinstance(two, Problem)
    assert two.source == str(tmp_path / "b.parquet")
    assert isinstance(three, Passage)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", ""], [1, -2, None]),
        (["1", "2.50"], [1, 2.5]),
        (["1", "007"], ["1", "007"]),
        (["1", "n/a"], ["1", "n/a"]),
        (["", ""], ["", ""]),
        (["1234567890123456789", "1"], ["1234567890123456789", "1"]),
    ],
)
def test_a_column_of_csv_is_numbers_where_all_of_it_is(
    tmp_path: Path, values: list[str], expected: list[object]
) -> None:
    (tmp_path / "a.csv").write_text("text,n\n" + "".join(f"tea,{value}\n" for value in values))
    found = [passage.metadata.get("n") for passage in read_documents(tmp_path) if isinstance(passage, Passage)]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]
