import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likewise.checkpoint.locate import embedded_folder
from tests.checkpoint.hub_server import FakeHub, running_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub of our own, empty; huggingface_hub asks it instead of the true one, and no token is stored."""
    with running_hub() as hub:
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/no/such/token")
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield hub


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working folder, an empty cache, no package, and no network but this machine."""
    connect, calls = socket.socket.connect, []

    def connect_here(opened: socket.socket, address: Any) -> None:
        if address[0] != "127.0.0.1":
            calls.append(address)
            raise ConnectionRefusedError
        connect(opened, address)

    working_folder, cache = tmp_path / "work", tmp_path / "hub"
    working_folder.mkdir()
    monkeypatch.chdir(working_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME", raising=False)
    monkeypatch.setattr("likewise.checkpoint.locate.find_spec", lambda name: None)
    monkeypatch.setattr(socket.socket, "connect", connect_here)
    embedded_folder.cache_clear()
    yield
    embedded_folder.cache_clear()
    assert calls == [], "a network call was made"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"
