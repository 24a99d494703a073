"""The learning rate's way is Transformers', step by step."""

from typing import Any

import pytest
import torch
from torch.optim import SGD

from likewise.training.schedules import SCHEDULES, schedule, warmup_of


def rates(scheduler: Any, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def optimizer() -> SGD:
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


@pytest.mark.parametrize(
    ("name", "settings", "theirs"),
    [
        ("linear", {}, {}),
        ("cosine", {}, {}),
        ("cosine", {"num_cycles": 1.5}, {"num_cycles": 1.5}),
        ("cosine_with_restarts", {"num_cycles": 3}, {"num_cycles": 3}),
        ("cosine_with_min_lr", {"min_lr_rate": 0.1}, {"min_lr_rate": 0.1}),
        ("polynomial", {"power": 2.0, "lr_end_rate": 0.01}, {"power": 2.0, "lr_end": 0.001}),
        ("constant", {}, {}),
        ("constant_with_warmup", {}, {}),
    ],
)
@pytest.mark.parametrize("warmup", [0, 4, 19])
def test_each_schedule_is_that_of_transformers(
    name: str, settings: dict[str, Any], theirs: dict[str, Any], warmup: int
) -> None:
    from transformers import get_scheduler

    expected = get_scheduler(
        name, optimizer(), num_warmup_steps=warmup, num_training_steps=20, scheduler_specific_kwargs=theirs
    )
    actual = schedule(optimizer(), name, warmup, 20, **settings)
    assert rates(actual, 23) == pytest.approx(rates(expected, 23), abs=1e-12)


def test_every_schedule_is_compared() -> None:
    marks = test_each_schedule_is_that_of_transformers.pytestmark
    (names,) = [mark.args[1] for mark in marks if mark.args[0] != "warmup"]
    assert {name for name, *_ in names} == SCHEDULES.keys()


def test_warm_up_may_be_a_share() -> None:
    assert (warmup_of(0.1, 95), warmup_of(0, 95), warmup_of(7, 95), warmup_of(1, 95)) == (10, 0, 7, 1)


def test_a_setting_that_a_schedule_has_not_is_told_at_once() -> None:
    with pytest.raises(TypeError, match="kettle"):
        schedule(optimizer(), "linear", 0, 10, kettle=1)
