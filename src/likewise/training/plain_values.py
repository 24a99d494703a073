"""Names and values out of a file, checked against what there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from likewise.checkpoint.values import shortened

WORDS = {"str": "a text", "float": "a number", "int": "a whole number", "bool": "true or false"}
_SEQUENCE = re.compile(r"Sequence\[(\w+)\]")


def check_names(given: Collection[str], known: Collection[str], owner: str, what: str = "key") -> None:
    """Raise ValueError, which tells the nearest name, where one of ``given`` is not ``known``."""
    for name in given:
        if name not in known:
            raise ValueError(f"{owner} has no {what} {name!r}; {nearest(name, known, f'{what}s')}")


def nearest(name: str, known: Collection[str], what: str) -> str:
    """The advice for a ``name`` that is none of the ``known`` ones, which together are called ``what``."""
    lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), lower, n=1)
    near = f"did you mean {lower[found[0]]!r}? " if found else ""
    return f"{near}the {what}: {', '.join(known) or 'none'}"


def check_kind(name: str, value: Any, annotation: str) -> None:
    """Raise ValueError unless ``value`` can be what ``annotation``, as source code writes it, says.

    Only kinds that a file can spell are looked at: text, numbers, true and false, lists of these, and tables.
    """
    kinds = ["Mapping"] if annotation.startswith("Mapping") else annotation.split(" | ")
    if not any(_fits(value, kind) for kind in kinds):
        told = [_words(kind) for kind in kinds if kind != "None"]
        raise ValueError(f"{name} must be {' or '.join(told)}, not {shortened(value)}")


def _fits(value: Any, kind: str) -> bool:
    if kind in ("int", "float"):
        return not isinstance(value, bool) and isinstance(value, int if kind == "int" else int | float)
    if kind in ("str", "bool"):
        return isinstance(value, str if kind == "str" else bool)
    if match := _SEQUENCE.fullmatch(kind):
        return isinstance(value, list) and all(_fits(one, match[1]) for one in value)
    if kind == "Mapping":
        return isinstance(value, Mapping)
    return kind not in ("None", "os.PathLike[str]")


def _words(kind: str) -> str:
    if match := _SEQUENCE.fullmatch(kind):
        return f"a list, each {_words(match[1])}"
    return "a table" if kind == "Mapping" else WORDS.get(kind, kind)
