"""likewise map: texts in, one page out."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.word_counts import WordCounts

TEXTS = ["a train", "tea", "", "green tea", "tea with milk", "the train runs", "tea", "kettle"]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: list[WordCounts]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("likewise.search.map.umap_is_there", lambda: False)
    Path("notes.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")


def held() -> Any:
    page = Path("map.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*)</script>', page)
    return json.loads(data)


def test_texts_become_a_page(run: Run, notes: None) -> None:
    finished = run("map", "notes.txt", "-o", "map.html", "--clusters", 3)
    assert finished == (
        0,
        "texts\t7\nmethod\tPCA\npage\tmap.html\n",
        "likewise: PCA is used, for umap-learn is not installed; with pip install 'likewise[map]' the map shows more\n",
    )
    data = held()
    assert data["texts"] == [text for text in TEXTS if text]
    assert data["sources"] == [f"notes.txt:{line}" for line in (1, 2, 4, 5, 6, 7, 8)]
    assert data["labels"] == [1, 0, 0, 0, 1, 0, 2]
    assert data["names"] == {"0": "tea, green, milk", "1": "train, runs", "2": "kettle"}
    assert data["x"][1] == data["x"][2] == data["x"][3], "equal vectors are one place"
    assert "<title>notes.txt</title>" in Path("map.html").read_text(encoding="utf-8")


def test_people_are_told_in_a_sentence(run: Run, notes: None) -> None:
    finished = run("map", "notes.txt", "-o", "map.html", "--method", "pca", "--title", "Tea", terminal=True)
    assert finished == (0, "7 texts, brought into the plane by PCA, in map.html\n", "")
    assert "<title>Tea</title>" in Path("map.html").read_text(encoding="utf-8")
    assert len(set(held()["labels"])) == 2


def test_what_cannot_be_drawn(run: Run, notes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "would not open in a browser" in run("map", "notes.txt", "-o", "map.png").err
    assert "use one of auto, umap, pca" in run("map", "notes.txt", "-o", "map.html", "--method", "tsne").err
    Path("blank.txt").write_text("\n \n", encoding="utf-8")
    assert run("map", "blank.txt", "-o", "map.html") == (1, "", "likewise: there are only blank texts in blank.txt\n")
    monkeypatch.setitem(sys.modules, "umap", None)
    finished = run("map", "notes.txt", "-o", "map.html", "--method", "umap")
    assert finished.err.endswith("install it with: pip install 'likewise[map]'\n")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "pip install 'likewise[map]'" in run("map", "notes.txt", "-o", "map.html").err
    assert not Path("map.html").exists()
