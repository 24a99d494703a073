"""Models that three versions of sentence-transformers saved load here, and give the vectors that they gave there.

saved.tar.xz is written by test_matrix.py, where the versions are installed. The weights are random, the texts our own.
"""

import tarfile
from pathlib import Path

import pytest

from tests.peer.cases import CASES
from tests.peer.matrix import ROOT, VERSIONS, read_by_us

ARCHIVE = Path(__file__).with_name("saved.tar.xz")
SAVED = [(version, name) for version in VERSIONS for name, case in CASES.items() if not case.why_not_written(version)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each version."""
    folder = tmp_path_factory.mktemp("saved")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize(("version", "name"), SAVED)
def test_a_saved_model_gives_the_same_vectors(version: str, name: str, saved: Path) -> None:
    reading = read_by_us(saved / version, name)
    assert reading.reason == ""
    assert reading.is_equal, f"the vectors differ by {reading.difference}"
    assert reading.properties == {}


def test_the_documentation_has_a_row_for_each_model() -> None:
    page = (ROOT / "docs" / "reference" / "compatibility.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(CASES)
