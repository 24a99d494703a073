"""Values from files that may be damaged: each is what it should be, or one error says what it is."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

LARGEST_NUMBER = 3e38  # of float32
LONGEST_NAME = 200  # characters; file systems take 255 bytes


def whole_number(value: Any, name: str, least: int = 1, most: int = 1_000_000_000) -> int:
    """``value``, the one called ``name``, if it is a whole number between ``least`` and ``most``.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least:,} to {most:,}, not {shortened(value)}")
    return value


def number(value: Any, name: str, least: float, most: float = math.inf) -> float:
    """``value``, the one called ``name``, if it is a finite number between ``least`` and ``most``.

    Raises:
        ValueError: It is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= min(most, LARGEST_NUMBER):
        limits = f"{least:g} or more" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, not {shortened(value)}")
    return float(value)


class ConfigValues:
    """The values of a config.json; what it leaves out, or leaves at null, has its architecture's default."""

    def __init__(self, config: Mapping[str, Any], defaults: Mapping[str, Any], keys: Mapping[str, str] | None = None):
        self._config = config
        self._defaults = defaults
        self._keys = keys or {}  # the key that is asked for → the architecture's own

    def value(self, key: str) -> tuple[Any, str]:
        """The value, and the key that it has in the file."""
        own = self._keys.get(key, key)
        found = self._config.get(own)
        return (self._defaults.get(own) if found is None else found), own

    def whole(self, key: str, least: int = 1, most: int = 10_000_000) -> int:
        """A whole number."""
        return whole_number(*self.value(key), least, most)

    def number(self, key: str, least: float, most: float = math.inf) -> float:
        """A number."""
        return number(*self.value(key), least, most)

    def share(self, key: str) -> float:
        """A probability."""
        return self.number(key, 0, 1)

    def text(self, key: str) -> str:
        """A name."""
        found, own = self.value(key)
        if not isinstance(found, str):
            raise ValueError(f"{own} must be a name, not {shortened(found)}")
        return found

    def flag(self, key: str) -> bool:
        """True or false."""
        found, own = self.value(key)
        if not isinstance(found, bool):
            raise ValueError(f"{own} must be true or false, not {shortened(found)}")
        return found


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
