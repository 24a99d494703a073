"""Loads a model that may be damaged or malicious, and checks that it fails as it should, if it does."""

import dis
import os
import resource
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

import numpy as np

import likewise
from likewise import SentenceTransformer
from tests.checkpoint.damages import AS_FOLDER, AS_LOOP, Damaged
from tests.checkpoint.saved_models import TEXTS

SECONDS = 5  # the longest that a case may take
MEMORY = 2 << 30  # bytes of address space that a case may add; its weights have some 100 kB
LONGEST_MESSAGE = 600
KEYS = ("default_prompt_name", "similarity_fn_name", "max_seq_length", "truncate_dim")  # arguments can give them too
PACKAGE = Path(likewise.__file__).parent
OWN_ERRORS = (ValueError, FileNotFoundError, ImportError, OSError)

# What loading a model never does: run a program, reach the network, unpickle a class, change a file.
FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class"),
    *("socket.", "urllib.Request", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "shutil."),
)
KERNELS = "likewise_kernels"  # the one library that may be called …
BUFFERS = ("ctypes.create_string_buffer",)  # … and what it writes its errors into
_watching = False
_seen: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    is_written = event == "open" and bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
    is_written = is_written and "__pycache__" not in str(arguments[0])  # of a library that is imported late
    is_secret = event == "open" and str(arguments[0]).startswith("/etc/")
    is_foreign = event.startswith("ctypes.") and event not in BUFFERS and KERNELS not in repr(arguments)
    if is_written or is_secret or is_foreign or event.startswith(FORBIDDEN):
        _seen.append(f"{event}{arguments!r:.300}")


sys.addaudithook(_audit)


def write(folder: Path, files: Damaged) -> None:
    """Make ``folder`` anew with ``files``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if content == AS_FOLDER:
            path.mkdir()
        elif content == AS_LOOP:
            path.symlink_to(path)
        else:
            assert isinstance(content, bytes)
            path.write_bytes(content)


def load(folder: Path) -> np.ndarray[Any, Any] | str:
    """The vectors of TEXTS by the model in ``folder``, or the message of the error that says why there are none.

    Raises:
        AssertionError: The error is not a clear one, or something was done that loading a model never does.
    """
    try:
        with _watched(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that overflow, where weights are huge
            model = SentenceTransformer(str(folder), device="cpu", dtype="float32")
            vectors = model.encode(TEXTS)
    except Exception as error:
        _check(error, folder)
        return str(error)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), model.get_embedding_dimension())
    return vectors


def _check(error: Exception, folder: Path) -> None:
    message = str(error)
    assert isinstance(error, OWN_ERRORS), f"{type(error).__name__} is no error for people"
    assert _is_raised_on_purpose(error.__traceback__), f"{type(error).__name__} came from deep inside"
    assert message.strip(), "the error says nothing"
    assert len(message) <= LONGEST_MESSAGE + 3 * len(str(folder)), f"a message of {len(message)} characters"
    assert message.replace("\n", "").isprintable(), "the message cannot be printed"
    assert str(folder) in message or message.startswith(KEYS), "the message does not say where"


def _is_raised_on_purpose(traceback: TracebackType | None) -> bool:
    """Whether the error was raised by a ``raise`` of the library itself."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    code = traceback.tb_frame.f_code
    instruction = code.co_code[traceback.tb_lasti]
    return Path(code.co_filename).is_relative_to(PACKAGE) and dis.opname[instruction] == "RAISE_VARARGS"


@contextmanager
def _watched() -> Iterator[None]:
    """In a limited time and memory, with every forbidden deed found."""
    global _watching
    before = signal.signal(signal.SIGALRM, _too_long)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    _seen.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        assert not _seen, f"loading did {_seen}"


class TooLongError(BaseException):
    """Not to be caught by the library."""


def _too_long(number: int, frame: FrameType | None) -> NoReturn:
    raise TooLongError(f"longer than {SECONDS} s")


def _address_space() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux; the limit has no effect there
        return 1 << 40
    return int(statm.read_text().split()[0]) * resource.getpagesize()
