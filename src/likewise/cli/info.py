"""``likewise info``: what a model is."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated

import typer

from likewise.cli.output import on_terminal, one_line, print_records


def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the Hub.")],
) -> None:
    """Print what MODEL is and where it was found.

    Example: likewise info all-MiniLM-L6-v2

    To a pipe or a file: one property a line, its name and its value separated by a tab, numbers without
    separators, several values as JSON, and nothing after the tab where the model has none.
    """
    from likewise import SentenceTransformer  # here: --help must not wait for torch

    description = SentenceTransformer(model).description
    properties = {field.name: getattr(description, field.name) for field in fields(description)}
    if on_terminal():
        _print_for_people(properties)
    else:
        print_records((name, _for_programs(value)) for name, value in properties.items())


def _for_programs(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _for_people(value: object) -> list[str]:
    if isinstance(value, Mapping):
        value = [f"{name}: {json.dumps(text, ensure_ascii=False)}" for name, text in value.items() if text]
    if isinstance(value, list | tuple):
        return [str(part) for part in value] or ["none"]
    if isinstance(value, int):
        return [f"{value:,}"]
    return ["none" if value is None else str(value)]


def _print_for_people(properties: Mapping[str, object]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    width = max(map(len, properties))
    for name, value in properties.items():
        heading = name.replace("_", " ")
        for line in _for_people(value):
            # A long path runs on in the next row, whole, so that it can be copied.
            console.print(Text.assemble((heading.ljust(width + 2), "bold"), one_line(line)), soft_wrap=True)
            heading = ""
