"""Every kind of model, saved by three versions of sentence-transformers and loaded by us, and the reverse.

LIKEWISE_WRITE_MATRIX=1 writes the table into the documentation, and the models that they saved beside this file, for
test_saved.py.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.peer.cases import CASES
from tests.peer.matrix import (
    KNOWN,
    READERS,
    ROOT,
    VERSIONS,
    Reading,
    facts_of,
    pack,
    read_by_them,
    read_by_us,
    run_peer,
    table,
)
from tests.peer.sources import save_sources

pytestmark = pytest.mark.peer

PAGE = ROOT / "docs" / "reference" / "compatibility.md"
START, END = "<!-- the matrix -->\n", "<!-- /the matrix -->\n"
By = dict[str, dict[str, Reading]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For every version that is installed, a folder of its name with what it fabricated."""
    folder = tmp_path_factory.mktemp("matrix")
    versions = [version for version, variable in VERSIONS.items() if os.environ.get(variable)]
    if not versions:
        pytest.skip(f"none of {', '.join(VERSIONS.values())} names the Python of an environment that holds the peer")
    save_sources(folder / "sources")
    for version in versions:
        run_peer(version, "fabricate", folder / "sources", folder / version)
    return folder


@pytest.fixture(scope="module")
def written(made: Path) -> By:
    """Version → model → how we read what it wrote."""
    versions = [version for version in VERSIONS if (made / version).is_dir()]
    return {version: {name: read_by_us(made / version, name) for name in CASES} for version in versions}


@pytest.fixture(scope="module")
def read(made: Path, written: By, tmp_path_factory: pytest.TempPathFactory) -> By:
    """Reader → model → how it reads what we wrote."""
    return read_by_them(written, made, tmp_path_factory.mktemp("ours"))


def of_version(results: By, version: str) -> dict[str, Reading]:
    if version not in results:
        variable = VERSIONS[READERS.get(version, (version,))[0]]
        pytest.skip(f"{variable} does not name the Python of an environment that holds sentence-transformers {version}")
    return results[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_makes_what_it_is_said_to_make(version: str, written: By, made: Path) -> None:
    of_version(written, version)
    reasons = {name: facts.get("reason", "") for name, facts in facts_of(made / version).items()}
    assert reasons == {name: case.why_not_written(version) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_we_read_what_they_write(version: str, name: str, written: By) -> None:
    reading = of_version(written, version)[name]
    if CASES[name].why_not_written(version):
        pytest.skip(f"sentence-transformers {version}: {reading.reason}")
    assert reading.reason == ""
    assert reading.is_equal, f"the vectors differ by {reading.difference}"
    assert reading.properties == {}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reader", READERS)
def test_they_read_what_we_write(reader: str, name: str, read: By) -> None:
    reading = of_version(read, reader).get(name)
    if reading is None and not any(
        os.environ.get(variable) and not CASES[name].why_not_written(version) for version, variable in VERSIONS.items()
    ):
        pytest.skip(f"no sentence-transformers that is named here writes {name}")
    if reading is None:
        pytest.fail("we did not load it, so there is nothing that we could write")
    if reason := CASES[name].why_not_read(READERS[reader][0]):
        pytest.skip(f"sentence-transformers {reader}: {reason}")
    if (name, reader) in KNOWN:
        assert not reading.is_equal, f"no longer true: {KNOWN[name, reader]}"
        return
    assert reading.reason == ""
    assert reading.is_equal, f"the vectors differ by {reading.difference}"
    assert reading.properties == {}


def test_the_table_is_printed(written: By, read: By, made: Path) -> None:
    text = table(written, read)
    print(text)
    assert len(text.splitlines()) > len(CASES)
    if os.environ.get("LIKEWISE_WRITE_MATRIX"):
        assert list(written) == list(VERSIONS), "not every version is installed"
        head, rest = PAGE.read_text(encoding="utf-8").split(START)
        PAGE.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
        pack(made / "saved.tar.xz", [made / version for version in VERSIONS])
        shutil.copyfile(made / "saved.tar.xz", Path(__file__).with_name("saved.tar.xz"))
