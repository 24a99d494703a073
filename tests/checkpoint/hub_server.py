"""A Hugging Face Hub on this machine, as much of it as loading and pushing a model uses, and its cache."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

MODEL = ("config.json", "model.safetensors", "tokenizer.json")
WITH_MODULES = ("modules.json", *MODEL)
OLD_MODEL = ("config.json", "vocab.txt", "pytorch_model.bin")
COMMIT, OLDER_COMMIT = "a" * 40, "b" * 40
READ, WRITE = "hf_read", "hf_write"  # the tokens it knows
PULL_REQUEST = {
    "num": 1,
    "isPullRequest": True,
    "title": "",
    "status": "draft",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "events": [],
    "changes": {"base": "refs/heads/main"},
    "filesWithConflicts": [],
}


@dataclass
class Repository:
    files: dict[str, bytes]
    older_files: dict[str, bytes] | None = None  # of OLDER_COMMIT, where they differ
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    private: bool = False
    gated: bool = False
    failing: str | None = None  # this file cannot be sent

    def files_of(self, commit: str) -> dict[str, bytes]:
        return self.older_files if commit == OLDER_COMMIT and self.older_files is not None else self.files


@dataclass
class FakeHub:
    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, token
    commits: list[dict[str, Any]] = field(default_factory=list)

    def downloaded(self) -> list[str]:
        """The files whose contents were asked for."""
        paths = [path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]
        return sorted({path.split("/resolve/")[1].split("/", 1)[1] for path in paths})


class Refusal(Exception):  # noqa: N818
    def __init__(self, status: int, code: str = "", body: object = None):
        self.status, self.code, self.body = status, code, json.dumps(body or {}).encode()


def identity(file: str, content: bytes) -> str:
    """A hash that differs between files of the same content, so that each of them is asked for."""
    return sha1(file.encode() + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer("HEAD")

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def answer(self, method: str) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        path = unquote(self.path.split("?")[0])
        self.hub.requests.append((method, path, token))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if path.startswith("/api/"):
                self.send(json.dumps(self.asked(method, path, token, body)).encode())
            else:
                self.resolved(path, token)
        except Refusal as refusal:
            self.send(
                refusal.body, refusal.status, {"X-Error-Code": refusal.code, "X-Error-Message": refusal.code or "no"}
            )

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def repository(self, name: str, token: str | None) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and token not in (READ, WRITE)):
            raise Refusal(404 if token else 401, "RepoNotFound")
        return repository

    def commit_of(self, repository: Repository, revision: str) -> str:
        if revision in repository.revisions.values():
            return revision
        if revision not in repository.revisions:
            raise Refusal(404, "RevisionNotFound")
        return repository.revisions[revision]

    def asked(self, method: str, path: str, token: str | None, body: bytes) -> Any:
        if path == "/api/repos/create":
            return self.create(json.loads(body), token)
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        found = re.fullmatch(
            r"/api/models/(.+?)(?:/(revision|tree|branch|preupload|commit|discussions)(?:/(.+))?)?", path
        )
        assert found is not None, f"the fake Hub does not know {method} {path}"
        name, action, revision = found.groups()
        repository = self.repository(name, token)
        if action == "discussions":
            repository.revisions["refs/pr/1"] = COMMIT
            return PULL_REQUEST | {"repo": {"name": name, "type": "model"}} | (json.loads(body) if body else {})
        if method == "GET":
            commit = self.commit_of(repository, revision or "main")
            files = repository.files_of(commit)
            if action == "tree":
                return [
                    {"type": "file", "path": file, "size": len(content), "oid": identity(file, content)}
                    for file, content in files.items()
                ]
            return {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]}
        if token != WRITE:
            raise Refusal(403)
        if action == "branch":
            repository.revisions.setdefault(revision, COMMIT)
            return {}
        if action == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}
        assert action == "commit"
        self.commit_of(repository, revision)
        header, *lines = [json.loads(line) for line in body.splitlines()]
        added = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines}
        self.hub.commits.append({**header["value"], "files": added, "revision": revision})
        if not revision.startswith("refs/pr/"):
            repository.files |= added
        return {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.hub.address}/{name}/commit/{COMMIT}"}

    def create(self, asked: dict[str, Any], token: str | None) -> dict[str, str]:
        if token not in (READ, WRITE):
            raise Refusal(401)
        if token != WRITE:
            raise Refusal(403)
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        if name in self.hub.repositories:
            raise Refusal(409, body={"url": f"{self.hub.address}/{name}"})
        self.hub.repositories[name] = Repository({".gitattributes": b""}, private=asked.get("visibility") == "private")
        return {"url": f"{self.hub.address}/{name}"}

    def resolved(self, path: str, token: str | None) -> None:
        name, _, rest = path[1:].partition("/resolve/")
        repository = self.repository(name, token)
        known = [*repository.revisions, *repository.revisions.values()]
        revision = next((name for name in known if rest.startswith(f"{name}/")), rest.partition("/")[0])
        file = rest.removeprefix(f"{revision}/")
        if repository.gated and token is None:
            raise Refusal(401, "GatedRepo")
        commit = self.commit_of(repository, revision)
        if file == repository.failing:
            raise Refusal(403)  # for a failure of its own, huggingface_hub would try again for 20 s
        if file not in repository.files_of(commit):
            self.send(b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        content = repository.files_of(commit)[file]
        self.send(content, headers={"ETag": f'"{identity(file, content)}"', "X-Repo-Commit": commit})


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """The Hub, empty, until the end of the block."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def model(*files: str, **settings: Any) -> Repository:
    """A repository on the Hub; each of its files is "{}" unless given in ``settings`` by its name without .json."""
    contents = dict.fromkeys(files or WITH_MODULES, b"{}")
    return Repository(contents | {f"{name}.json": json.dumps(value).encode() for name, value in settings.items()})


def rows(*modules: str) -> list[dict[str, str]]:
    """modules.json: "2_Dense" has a folder of its own, "Transformer" is in the root."""
    return [
        {"path": name if "_" in name else "", "type": f"sentence_transformers.models.{name.rpartition('_')[2]}"}
        for name in modules
    ]


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
