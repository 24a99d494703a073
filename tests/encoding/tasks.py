"""What the tests of processes have workers do; workers import it by its name."""

import os
import time
from typing import Any


def nap(model: Any, items: list[str]) -> list[str]:
    time.sleep(60)
    return items


def shout(model: Any, items: list[str]) -> list[str]:
    print("tea!", flush=True)
    return [text.upper() for text in items]


def leave(model: Any, items: list[str]) -> list[str]:
    os._exit(3)


class Spilled(Exception):  # noqa: N818
    """An error that pickle cannot make again."""

    def __init__(self, first: str, second: str):
        super().__init__(f"{first} on {second}")


def spill(model: Any, items: list[str]) -> list[str]:
    raise Spilled("tea", "the paper")
