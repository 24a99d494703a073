"""Several batches at once on the CPU, each whole in a thread of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from threading import Lock
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = Lock()
_running = 0  # calls that have workers now
_before = 0  # torch's number of threads before the first of them


def in_threads(compute: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """``compute`` of each item, in order; with two items or more, ``threads`` of them are computed at once.

    A thread that computes a whole batch waits for nobody. torch's own way, all threads on each product, makes them
    wait for each other some forty times a batch, and where other programs run too, each wait lasts until the slowest
    thread gets its turn. A single item is computed torch's way.
    """
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2 or threads < 2:
        yield from map(compute, chain(first, items))
        return
    pending: deque[Future[Result]] = deque()
    _remember_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in chain(first, items):
                pending.append(pool.submit(compute, item))
                if len(pending) > 2 * threads:  # bounds what is tokenised ahead and what waits to be collected
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            _restore_threads()


# A worker's single thread is also what later threads of the process would begin with, so the last call to end puts
# back what the first one found.
def _remember_threads() -> None:
    global _running, _before
    with _lock:
        if _running == 0:
            _before = torch.get_num_threads()
        _running += 1


def _restore_threads() -> None:
    global _running
    with _lock:
        _running -= 1
        if _running == 0:
            torch.set_num_threads(_before)
