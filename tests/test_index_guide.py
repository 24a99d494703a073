"""The Python of the guide to the index runs as it stands."""

import re
from pathlib import Path

import pytest

from likewise.search import Index

for package in ("lancedb", "langchain_core", "llama_index.core"):
    pytest.importorskip(package, reason=f"the page shows what needs the package {package}")

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "index.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n((?:(?!```).*\n)*)```$", PAGE, re.MULTILINE)
NEEDS_THE_HUB = 'CrossEncoder("cross-encoder/'


def test_it_runs(
    minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("docs").mkdir()
    Path("docs/models.md").write_text("# Models\n\nA cross-encoder reads both sentences at once.\n\nTea is a drink.\n")
    blocks = [block for block in BLOCKS if NEEDS_THE_HUB not in block]
    assert (len(blocks), len(BLOCKS)) == (3, 4)
    names: dict[str, object] = {}
    for block in blocks:
        code = block.replace('"all-MiniLM-L6-v2"', f'"{minilm_folder}"')
        exec(compile(code, "docs/guides/index.md", "exec"), names)
    assert re.match(rf"0\.\d\d  {re.escape(str(tmp_path))}/docs/models\.md:3  Models\n", capsys.readouterr().out)
    assert Index.open("docs.index").paths == (f"{tmp_path}/docs",)
