"""The code of the guide to search that mines pairs and communities runs as it stands, and prints what the page says."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "search.md").read_text(encoding="utf-8")
LINES = r"((?:(?!```).*\n)*)"
BLOCKS = re.findall(rf"^```python\n{LINES}```\n\n```\n{LINES}```$", PAGE, re.MULTILINE)  # code, and what it prints


def test_it_prints_what_the_page_says(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == 2
    names: dict[str, object] = {}
    for block, said in BLOCKS:
        code = block.replace('"all-MiniLM-L6-v2"', f'"{minilm_folder}"')
        exec(compile(code, "docs/guides/search.md", "exec"), names)
        assert capsys.readouterr().out == said
