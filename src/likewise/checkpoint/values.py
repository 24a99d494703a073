"""Values from files that may be damaged: each is what it should be, or one error says what it is."""

import math
from collections.abc import Mapping
from typing import Any


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
    if not is_number or not least <= value <= most or math.isinf(value):
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


def shortened(value: object) -> str:
    """``value`` as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
