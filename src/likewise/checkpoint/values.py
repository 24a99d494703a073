"""Values from files that may be damaged: each is what it should be, or one error says what it is."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

LONGEST_NAME = 200  # characters; file systems take 255 bytes


def whole_number(value: Any, name: str, least: int = 1, most: int = 1_000_000_000) -> int:
    """``value``, the one called ``name``, if it is a whole number between ``least`` and ``most``.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least:,} to {most:,}, not {shortened(value)}")
    return value


def number(value: Any, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """``value``, the one called ``name``, if it is a number between ``least`` and ``most`` that float32 can hold.

    Raises:
        ValueError: It is not.
    """
    largest = 3e38  # of float32
    least, most = max(least, -largest), min(most, largest)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {shortened(value)}")
    return value


@contextmanager
def about(origin: str | PathLike[str], kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Put ``origin``, the file or folder that is read, before the message of an error of this ``kind`` without it.

    >>> with about("1_Pooling/config.json"):
    ...     whole_number(1.5, "embedding_dimension")
    """
    try:
        yield
    except kind as error:
        if str(origin) in str(error):
            raise
        raise ValueError(f"{origin}: {error}") from error


def is_plain_name(name: str) -> bool:
    """Whether ``name`` is one that a file or folder can have anywhere, and no path to another place."""
    is_one_part = name == PurePosixPath(name).name == PureWindowsPath(name).name
    return is_one_part and name not in ("", "..") and name.isprintable() and len(name) <= LONGEST_NAME


def reason(error: BaseException) -> str:
    """What a library's own ``error`` says, which may quote whole files, as an error message shows it."""
    text = str(error)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 200 else f"{text[:197]}..."


def listed(values: Iterable[object]) -> str:
    """The first few of ``values`` as an error message lists them."""
    shown = list(values)
    return ", ".join(map(shortened, shown[:5])) + (", …" if len(shown) > 5 else "")


def shortened(value: object) -> str:
    """``value`` as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
