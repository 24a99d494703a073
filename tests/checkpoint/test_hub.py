"""Pushing a model to the Hub, here a Hub of our own, and what is said when it refuses."""

from pathlib import Path

import pytest

from likewise import SentenceTransformer
from likewise.checkpoint.hub import push_folder
from tests.checkpoint.hub_server import COMMIT, READ, WRITE, FakeHub, Repository
from tests.tiny_checkpoints import tiny_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1_Pooling").mkdir()
    for name in ("config.json", "1_Pooling/config.json", "README.md"):
        (tmp_path / name).write_text(f"content of {name}", encoding="utf-8")
    return tmp_path


def test_every_file_is_pushed(folder: Path, hub: FakeHub) -> None:
    address = push_folder(folder, "someone/model", token=WRITE, commit_message="Train for longer")
    assert address == f"{hub.address}/someone/model/commit/{COMMIT}"
    (commit,) = hub.commits
    assert commit["summary"] == "Train for longer"
    assert commit["files"] == {
        name: f"content of {name}".encode() for name in ("config.json", "1_Pooling/config.json", "README.md")
    }
    assert not hub.repositories["someone/model"].private


def test_a_name_without_an_organisation_is_one_of_the_user(folder: Path, hub: FakeHub) -> None:
    assert push_folder(folder, "model", token=WRITE) == f"{hub.address}/me/model/commit/{COMMIT}"


def test_a_repository_is_made_private_on_request(folder: Path, hub: FakeHub) -> None:
    push_folder(folder, "someone/model", token=WRITE, private=True)
    assert hub.repositories["someone/model"].private


def test_the_stored_token_is_used(folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE)
    push_folder(folder, "someone/model")
    assert {token for _, _, token in hub.requests} == {WRITE}


def test_one_that_exists_is_left_alone_unless_asked(folder: Path, hub: FakeHub) -> None:
    hub.repositories["someone/model"] = Repository({})
    with pytest.raises(FileExistsError, match="someone/model exists; to add to it, give exist_ok=True or create_pr"):
        push_folder(folder, "someone/model", token=WRITE)
    assert hub.commits == []
    push_folder(folder, "someone/model", token=WRITE, exist_ok=True)
    assert len(hub.commits) == 1


def test_a_model_card_that_is_there_stays_unless_asked(folder: Path, hub: FakeHub) -> None:
    hub.repositories["someone/model"] = Repository({"README.md": b"by hand"})
    push_folder(folder, "someone/model", token=WRITE, exist_ok=True)
    assert sorted(hub.commits[-1]["files"]) == ["1_Pooling/config.json", "config.json"]
    push_folder(folder, "someone/model", token=WRITE, exist_ok=True, replace_model_card=True)
    assert hub.repositories["someone/model"].files["README.md"] == b"content of README.md"


def test_a_branch_is_made_where_there_is_none(folder: Path, hub: FakeHub) -> None:
    push_folder(folder, "someone/model", token=WRITE, revision="try")
    assert hub.commits[-1]["revision"] == "try"
    assert set(hub.repositories["someone/model"].revisions) == {"main", "try"}


def test_a_pull_request_gives_its_address(folder: Path, hub: FakeHub) -> None:
    hub.repositories["someone/model"] = Repository({"config.json": b"old"})
    address = push_folder(folder, "someone/model", token=WRITE, create_pr=True, commit_description="In more words")
    assert address == f"{hub.address}/someone/model/discussions/1"
    assert (hub.commits[-1]["revision"], hub.commits[-1]["description"]) == ("refs/pr/1", "In more words")
    assert hub.repositories["someone/model"].files == {"config.json": b"old"}


# Refusals


def test_a_pull_request_to_a_branch_is_refused(folder: Path, hub: FakeHub) -> None:
    with pytest.raises(ValueError, match="leave out create_pr or revision='try'"):
        push_folder(folder, "someone/model", token=WRITE, create_pr=True, revision="try")
    assert hub.requests == []


def test_without_a_token_nothing_is_asked(folder: Path, hub: FakeHub) -> None:
    with pytest.raises(PermissionError, match="needs a token with the right to write: give token=, set HF_TOKEN, or"):
        push_folder(folder, "someone/model")
    assert hub.requests == []


def test_a_token_that_may_only_read_is_refused(folder: Path, hub: FakeHub) -> None:
    with pytest.raises(PermissionError, match="someone/model was not pushed: the token has not the right to do this"):
        push_folder(folder, "someone/model", token=READ)


def test_an_unknown_token_is_refused(folder: Path, hub: FakeHub) -> None:
    with pytest.raises(PermissionError, match="the Hub does not know the token; give token="):
        push_folder(folder, "someone/model", token="hf_other")


def test_offline_nothing_is_asked(folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="nothing can be pushed: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"):
        push_folder(folder, "someone/model", token=WRITE)
    assert hub.requests == []


def test_a_hub_that_is_not_reached_is_told(folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="someone/model was not pushed: ConnectError: "):
        push_folder(folder, "someone/model", token=WRITE)


@pytest.mark.parametrize("name", ["a/b/c", "two words", "", "a--b"])
def test_a_name_that_no_repository_can_have_is_refused(name: str, folder: Path, hub: FakeHub) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a repository"):
        push_folder(folder, name, token=WRITE)
    assert hub.requests == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nothing is not a folder, so it cannot be pushed"):
        push_folder(tmp_path / "nothing", "someone/model", token=WRITE)


def test_a_model_is_pushed_with_its_card(hub: FakeHub, tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path), dtype="float32", device="cpu")
    address = model.push_to_hub("someone/rainy", token=WRITE, train_datasets=["someone/weather"], layout="6")
    assert address == f"{hub.address}/someone/rainy/commit/{COMMIT}"
    (commit,) = hub.commits
    assert commit["summary"] == "Add new SentenceTransformer model"
    assert {"modules.json", "config.json", "tokenizer.json", "1_Pooling/config.json"} < commit["files"].keys()
    card = commit["files"]["README.md"].decode()
    assert 'SentenceTransformer("someone/rainy")' in card
    assert "someone/weather" in card
    assert b"base.modules.transformer" in commit["files"]["modules.json"]
    with pytest.raises(ValueError, match="a pickle can run code"):
        model.push_to_hub("someone/rainy", token=WRITE, safe_serialization=False)


def test_a_folder_is_pushed_instead_of_the_model(
    folder: Path, hub: FakeHub, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = SentenceTransformer(tiny_encoder(tmp_path_factory.mktemp("tiny")), device="cpu")
    model.push_to_hub("someone/model", token=WRITE, local_model_path=folder)
    assert hub.commits[0]["files"].keys() == {"config.json", "1_Pooling/config.json", "README.md"}
