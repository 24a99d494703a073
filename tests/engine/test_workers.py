"""Batches computed in threads come in order, one error ends them all, and torch's own threads stay as they were."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from likewise.engine.torch import one_thread_each
from likewise.engine.workers import in_threads


def test_results_come_in_the_order_of_the_items_though_they_end_in_another() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(in_threads(slow_first, range(20), threads=3)) == [item * item for item in range(20)]


def test_each_item_is_computed_by_one_torch_thread_and_the_process_keeps_its_own_number() -> None:
    before = torch.get_num_threads()
    in_other_threads: list[int] = []
    found = in_threads(lambda _: torch.get_num_threads(), range(8), threads=2, during=one_thread_each())
    assert list(found) == [1] * 8
    assert torch.get_num_threads() == before
    later = threading.Thread(target=lambda: in_other_threads.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert in_other_threads == [before]


def test_a_single_item_is_computed_where_it_was_asked_for() -> None:
    assert list(in_threads(lambda _: threading.get_ident(), [0], threads=2)) == [threading.get_ident()]
    assert list(in_threads(lambda item: item, [], threads=2)) == []


def test_an_error_reaches_the_caller_and_ends_the_work() -> None:
    started: list[int] = []

    def fails_at_three(item: int) -> int:
        started.append(item)
        if item == 3:
            raise ValueError("the third")
        return item

    with pytest.raises(ValueError, match="the third"):
        list(in_threads(fails_at_three, range(1000), threads=2))
    assert len(started) < 20


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_threads(lambda item: item, items(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 6
    results.close()  # type: ignore[attr-defined]


def test_calls_that_overlap_leave_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    results = [in_threads(lambda item: item, range(50), threads=2) for _ in range(3)]
    for _ in range(10):
        for result in results:
            next(result)
    for result in results:
        list(result)
    assert torch.get_num_threads() == before
