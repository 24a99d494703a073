"""What the benchmarks share: every contestant in every round, and ratios taken within a round."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

QUIET_LOAD = 0.5  # above this load average, somebody else is using the cores

Contestant = TypeVar("Contestant")


def interleaved(
    contestants: Mapping[Contestant, Callable[[], float]], rounds: int, warm_up: bool = True
) -> dict[Contestant, list[float]]:
    """The seconds that each contestant takes, by its own clock, in each round.

    All of them run in every round, one at a time and in alternating order, so that a busy or slowing machine treats
    them alike. One round more comes first and is not counted: it only warms up, which contestants whose rounds take
    minutes do by themselves.
    """
    seconds: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
    for turn in range(0 if warm_up else 1, rounds + 1):
        for contestant in list(contestants)[:: 1 if turn % 2 else -1]:
            taken = contestants[contestant]()
            if turn:
                seconds[contestant].append(taken)
        print(f"round {turn} of {rounds}" if turn else "warmed up", file=sys.stderr)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """``above`` over ``below``, round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The median, and from which to which value: "6.10 (5.92 to 6.31)"."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def verdict(value: float, bound: float, at_least: bool) -> str:
    """ "pass" where ``value`` is on the right side of ``bound``, else by how much it is short."""
    if (value >= bound) if at_least else (value <= bound):
        return "pass"
    return f"short by {abs(value - bound):.2f}"


def peer_python(path: str) -> str:
    """The value of ``--peer``, the Python of the environment that has sentence-transformers."""
    if shutil.which(path) is None:
        raise argparse.ArgumentTypeError(f"{path} is no program; `make benchmark` makes .venv-peer/bin/python")
    return path


def describe_machine() -> str:
    """The processor, its cores, the system and how busy it is, in a line."""
    facts = [
        _processor(),
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores",
        platform.system(),
        f"Python {platform.python_version()}",
    ]
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        facts.append(f"load {load:.2f} at the start" + (": BUSY, ratios hold better than times" * (load > QUIET_LOAD)))
    return ", ".join(facts)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in cpuinfo.read_text().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name", platform.machine())
    # Virtual machines say no more than "AMD EPYC"; family and model tell the generation.
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else name
