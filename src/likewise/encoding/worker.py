"""What a worker process does: load a model, compute the chunks that it is handed, and end when its parent does."""

import logging
import os
import pickle
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import Any, BinaryIO

SECONDS_BETWEEN_LOOKS = 0.5  # at whether the parent is still there


@dataclass(frozen=True)
class Loading:
    """What makes a worker's model: the first thing that it is told."""

    load: Callable[..., Any]
    folder: str  # written for the workers of one pool, and deleted with it
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Chunk:
    """Some texts or pairs, and what is to be done with them: ``function(model, items, **settings)``."""

    function: Callable[..., Any]
    items: list[Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What became of a Loading or a Chunk."""

    result: Any = None
    error: Exception | None = None
    traceback: str = ""  # of the error, as text
    logged: tuple[tuple[str, int, str], ...] = ()  # logger, level and message of what was said on the way


class Kept(logging.Handler):
    """Keeps what is logged, for the parent to log it."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self._records.append((record.name, record.levelno, record.getMessage()))

    def taken(self) -> tuple[tuple[str, int, str], ...]:
        """What was logged since the last time."""
        records, self._records = self._records, []
        return tuple(records)


def main(parent: int) -> None:
    """Serve the process ``parent``, by standard input and output, until it closes them or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    kept = Kept()
    logger = logging.getLogger("likewise")
    logger.addHandler(kept)
    logger.propagate = False
    with suppress(EOFError, BrokenPipeError):  # the parent has ended
        loading: Loading = pickle.load(asked)
        Thread(target=_end_with, args=(parent, loading.folder), daemon=True).start()
        loaded = _answer(partial(_loaded, loading), kept)
        _send(answers, replace(loaded, result=None))  # the model stays here
        while True:
            chunk: Chunk = pickle.load(asked)
            work = partial(chunk.function, loaded.result, chunk.items, **chunk.settings)
            _send(answers, _answer(work, kept))


def _loaded(loading: Loading) -> Any:
    """The model, with what computes it: so a device that is not there is told now."""
    model = loading.load(loading.folder, **loading.settings)
    for route in model.live.routes.chains:
        model.live.engine(route)
    return model


def _answer(work: Callable[[], Any], kept: Kept) -> Answer:
    try:
        return Answer(work(), logged=kept.taken())
    except Exception as error:
        return Answer(error=_sendable(error), traceback=traceback.format_exc(), logged=kept.taken())


def _sendable(error: Exception) -> Exception:
    """``error``, or one that says the same where the parent could not make it again."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(answers: BinaryIO, answer: Answer) -> None:
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _end_with(parent: int, folder: str) -> None:
    """End this process when its parent is gone, however long its chunk still takes; the model's folder goes with it.

    The end of standard input alone would not do: whatever the parent has forked may hold the other end open.
    """
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
