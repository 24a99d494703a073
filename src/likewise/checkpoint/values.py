"""Values from files that may be damaged: each is what it should be, or one error says what it is."""

from typing import Any


def whole_number(value: Any, name: str, least: int = 1, most: int = 1_000_000_000) -> int:
    """``value``, the one called ``name``, if it is a whole number between ``least`` and ``most``.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least:,} to {most:,}, not {shortened(value)}")
    return value


def shortened(value: object) -> str:
    """``value`` as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
