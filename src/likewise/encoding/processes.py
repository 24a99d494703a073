"""Several processes that compute with copies of one model: a pool that hands out chunks and collects them in order."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import RLock, Thread, current_thread
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from likewise.encoding.worker import Answer, Chunk, Loading
from likewise.engine.processor import available_cores, has_torch, may_have_gpu
from likewise.progress import with_progress
from likewise.tokens import LoneSurrogate, TooLong

LEAST_IN_CHUNK = 32  # texts or pairs: fewer are answered faster than they are handed over, on a GPU above all
MOST_IN_CHUNK = 5000
CHUNKS_OF_A_WORKER = 10  # so that none waits long for the last one
# One process feeds many cores: a text costs it 5 to 45 µs of Python and 500 µs or more of a core. More processes pay
# where one would not keep its cores busy, and where their memory is in several nodes.
CORES_OF_A_WORKER = 16
SECONDS_TO_END = 10  # before a process that has closed its pipes is killed

# What starts a worker: it finds modules where this process does, and needs nothing of a script's __main__.
COMMAND = (
    "import sys; parent = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; "
    "from likewise.encoding.worker import main; main(parent)"
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")

Task = tuple[Future[Answer], Chunk]


class WorkerDied(RuntimeError):  # noqa: N818, it says what is the matter
    """A worker process ended although nobody stopped it."""


class WorkerTraceback(Exception):  # noqa: N818, it is where an error came from
    """The cause of an error that a worker raised: where it was raised, as text."""

    def __init__(self, device: str, text: str):
        super().__init__(f"in the worker on {device}:\n\n{text}")


class ProcessPool:
    """Worker processes, each with a copy of a model on a device of its own.

    Made by ``model.start_multi_process_pool()``, and for that model only, as it was then. Several threads may use it
    at once. Stop it with ``stop()`` or by using it in a ``with`` statement; when this process ends, so do the workers.

    ``write_model`` writes the model into the empty folder that it is given; ``load`` makes it again, of the folder,
    ``device=``, ``threads=`` and ``settings``. Workers import ``load``, and what they are to compute, by their names.
    """

    def __init__(
        self,
        owner: object,
        devices: Sequence[str],
        threads: int,
        write_model: Callable[[Path], None],
        load: Callable[..., Any],
        settings: Mapping[str, Any],
    ):
        self.owner = owner  # whose copies the workers have
        self.devices = tuple(devices)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._lock = RLock()  # no task is put behind the end, where nobody would answer it
        folder = tempfile.mkdtemp(prefix="likewise-")
        workers: list[_Worker] = []
        serving: list[Thread] = []
        self._end = weakref.finalize(self, _end, workers, serving, self._tasks, folder, os.getpid())
        try:
            for device in self.devices:  # they start while the model is written
                workers.append(_Worker(device, threads))
                self.processes.append(workers[-1].process)
            write_model(Path(folder))
            for worker in workers:
                worker.send(Loading(load, folder, {**settings, "device": worker.device, "threads": threads}))
            for worker in workers:
                worker.receive()
        except BaseException:
            self.stop()
            raise
        for worker in workers:
            serving.append(Thread(target=_serve, args=(worker, self._tasks), daemon=True))
            serving[-1].start()

    def computed(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        settings: Mapping[str, Any],
        chunk_size: int | None = None,
        progress: str | None = None,
    ) -> Iterator[tuple[slice, Any]]:
        """What ``function(model, chunk, **settings)`` gives for each chunk of ``items``, with the chunk's place.

        A free worker takes the next chunk; they come as they are ready. ``progress`` is what a bar says, None without
        one.

        Raises:
            WorkerDied: A worker has ended; the pool is stopped.
            ValueError: The pool has been stopped.
            Exception: What a worker raised, with its traceback as the cause. The pool can still be used.
        """
        size = chunk_size or default_chunk_size(len(items), len(self.devices))
        futures: dict[Future[Answer], int] = {Future(): start for start in range(0, len(items), size)}  # → its first
        with self._lock:
            if not self._end.alive:
                raise ValueError("the pool has been stopped; start another one with start_multi_process_pool()")
            for future, start in futures.items():
                self._tasks.put((future, Chunk(function, list(items[start : start + size]), settings)))
        results: dict[int, Any] = {}

        def done() -> Iterator[NDArray[np.intp]]:
            for future in as_completed(futures):
                start = futures.pop(future)  # so that its result is in memory but once
                answer = _answer(future, start)
                results[start] = answer.result
                for name, level, message in answer.logged:
                    logging.getLogger(name).log(level, "%s", message)
                yield np.arange(start, min(start + size, len(items)))

        try:
            sizes = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
            for chosen in done() if progress is None else with_progress(done(), sizes, progress):
                start = int(chosen[0])
                yield slice(start, start + len(chosen)), results.pop(start)
        except WorkerDied:
            self.stop()
            raise
        finally:
            for future in futures:
                future.cancel()  # those that no worker has begun

    def stop(self) -> None:
        """End the workers, whatever they do, and delete their copy of the model. Twice does no harm."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"ProcessPool({', '.join(self.devices)}{'' if self._end.alive else '; stopped'})"


def default_devices() -> list[str]:
    """All GPUs; without one the CPU, once for each CORES_OF_A_WORKER cores."""
    if may_have_gpu() and has_torch():
        import torch

        if torch.cuda.is_available():
            return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu"] * max(1, available_cores() // CORES_OF_A_WORKER)


def default_chunk_size(items: int, workers: int) -> int:
    """How many texts or pairs a worker is handed at once."""
    share = -(-items // workers)
    return max(1, min(max(share // CHUNKS_OF_A_WORKER, LEAST_IN_CHUNK), share, MOST_IN_CHUNK))


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, device: str, threads: int):
        self.device = device
        self.is_stopped = False
        limits = dict.fromkeys(THREAD_VARIABLES, str(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(os.getpid()), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | limits,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._asked, self._answers = self.process.stdin, self.process.stdout

    def send(self, message: Loading | Chunk) -> None:
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)  # whole, before a part of it is on its way
        try:
            self._asked.write(data)
            self._asked.flush()
        except OSError as error:
            raise self._death() from error

    def receive(self) -> Answer:
        """What the worker answers.

        Raises:
            WorkerDied: It has ended.
            Exception: What it raised.
        """
        try:
            answer: Answer = pickle.load(self._answers)
        except Exception as error:  # the pipe ends, perhaps within an answer; nothing behind it could be understood
            raise self._death() from error
        if answer.error is not None:
            raise answer.error from WorkerTraceback(self.device, answer.traceback)
        return answer

    def stop(self) -> None:
        self.is_stopped = True
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close the pipes, when no thread uses them any more."""
        self._answers.close()
        with suppress(OSError):  # what was never sent
            self._asked.close()

    def _death(self) -> Exception:
        if self.is_stopped:
            return ValueError("the pool was stopped before all was computed")
        try:
            code = self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        how = f"ended with exit code {code}; standard error may say why"
        if code < 0:
            how = f"was killed by signal {-code} ({_signal_name(-code)})"
            how += ", as happens where memory runs out" * (-code == getattr(signal, "SIGKILL", 9))
        return WorkerDied(
            f"the worker on {self.device} (process {self.process.pid}) {how}; the pool is stopped: start another one"
        )


def _serve(worker: _Worker, tasks: SimpleQueue[Task | None]) -> None:
    """Hand one worker task after task until there is a None."""
    while (task := tasks.get()) is not None:
        future, chunk = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            worker.send(chunk)
            future.set_result(worker.receive())
        except BaseException as error:
            future.set_exception(error)
        del task, future, chunk  # while it waits, the thread holds on to nothing


def _end(
    workers: Sequence[_Worker], serving: Sequence[Thread], tasks: SimpleQueue[Task | None], folder: str, owner: int
) -> None:
    if os.getpid() != owner:
        return  # a forked copy of the process that has the pool
    for worker in workers:
        worker.stop()
    for _ in serving:
        tasks.put(None)
    for thread in serving:
        if thread is not current_thread():  # garbage may be collected in any
            thread.join()
    for worker in workers:
        worker.close()
    shutil.rmtree(folder, ignore_errors=True)


def _answer(future: Future[Answer], start: int) -> Answer:
    """The answer to the chunk that begins at ``start``; an error that names a text names its place among all."""
    try:
        return future.result()
    except (LoneSurrogate, TooLong) as error:
        raise error.at(start + error.position) from error.__cause__


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
