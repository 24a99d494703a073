"""An index whose tables are elsewhere: under another URI, and in object storage, for which moto's S3 stands."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise.passages import Passage
from likewise.search import Index
from likewise.search.index import Changed
from tests.search.word_hashes import WordHashes

pytest.importorskip("lancedb", reason="an index needs the package lancedb")

BOAT = Passage("Only members may use the boat.", "house.md", 3, "Rules")
TEA = Passage("The kettle makes the tea.", "house.md", 7, "Rules > Kitchen")
TRAIN = Passage("The train is late.", "station.txt", 1, "")


@pytest.fixture(params=["another folder", pytest.param("S3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URI under which there is nothing."""
    if request.param == "another folder":
        yield (tmp_path / "elsewhere").as_uri()
        return
    moto = pytest.importorskip("moto.server", reason="a server that speaks S3 is in the package moto[s3,server]")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        settings = {"ENDPOINT": endpoint, "ALLOW_HTTP": "true", "REGION": "us-east-1", "DEFAULT_REGION": "us-east-1"}
        for name, value in (settings | {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}).items():
            monkeypatch.setenv(f"AWS_{name}", value)
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
        yield f"s3://bucket/{tmp_path.name}"  # moto keeps what is in a bucket as long as the process lives
    finally:
        server.stop()


def test_an_index_lives_there(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "my.index"
    with Index.create(folder, WordHashes(), tables=place) as index:
        assert index.add([BOAT, TEA]) == Changed(added=2)
    index = Index.open(folder, WordHashes())
    assert index.update([TEA, TRAIN]) == Changed(added=1, removed=1, unchanged=1)
    assert [hit.text for hit in index.search("the train is late", hybrid=True, where="line < 9")] == [
        TRAIN.text,
        TEA.text,
    ]
    index.update(model=WordHashes("others", 8))
    assert [hit.text for hit in index.search("the kettle makes the tea")] == [TEA.text, TRAIN.text]
    assert index.remove("station.txt") == 1
    info = index.info()
    assert (info.passages, info.dimension, info.tables) == (1, 8, place)
    small = sum(file.stat().st_size for file in folder.iterdir())
    assert {file.name for file in folder.iterdir()} == {"index.json", "writing.lock"}
    assert small < 1000 < info.size


def test_an_index_moves_as_the_guide_says(tmp_path: Path) -> None:
    folder, place = tmp_path / "my.index", tmp_path / "elsewhere"
    Index.create(folder, WordHashes()).add([BOAT, TEA])
    place.mkdir()
    for table in folder.glob("*.lance"):
        table.rename(place / table.name)
    record = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(record | {"tables": place.as_uri()}))
    index = Index.open(folder, WordHashes())
    assert index.update([TEA, TRAIN]) == Changed(added=1, removed=1, unchanged=1)
    assert [hit.text for hit in index.search("the train is late", hybrid=True)] == [TRAIN.text, TEA.text]
    assert not list(folder.glob("*.lance"))


def test_two_indexes_do_not_share_a_place(place: str, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "my.index", WordHashes(), tables=place)
    index.add([BOAT])
    with pytest.raises(FileExistsError, match=r"holds the table passages_.*; give the index a place of its own"):
        Index.create(tmp_path / "other.index", WordHashes(), tables=place)
    assert [hit.text for hit in index.search("boat")] == [BOAT.text]


def test_a_place_that_cannot_be_written_leaves_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/below"):
        Index.create(tmp_path / "my.index", WordHashes(), tables=(tmp_path / "file" / "below").as_uri())
    assert not (tmp_path / "my.index").exists()
