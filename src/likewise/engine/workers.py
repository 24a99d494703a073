"""Several batches at once on the CPU, each whole in a thread of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    compute: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    during: AbstractContextManager[Callable[[], object] | None] | None = None,
    always: bool = False,
) -> Iterator[Result]:
    """``compute`` of each item, in order; with two items or more, ``threads`` of them are computed at once.

    A single item is computed where it is asked for, unless ``always`` asks for threads. ``during`` is entered where
    threads are used, and gives what each of them begins with.
    """
    items = iter(items)
    first = list(islice(items, 2))
    if not always and (len(first) < 2 or threads < 2):
        yield from map(compute, chain(first, items))
        return
    pending: deque[Future[Result]] = deque()
    with during or nullcontext() as start, ThreadPoolExecutor(threads, initializer=start) as pool:
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
