"""Which files make up a model: to fetch no others from a repository, and to tell whether a folder has them all."""

import json
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

# What the folder of a module must hold, by its class; of other classes nothing is known, and the reader refuses them.
ENCODERS = {
    "Transformer",
    *("BERT", "RoBERTa", "DistilBERT", "ALBERT", "XLNet", "XLMRoBERTa", "CamemBERT", "T5"),  # its names before 2.0
}
WITH_TOKENIZER = ENCODERS | {"StaticEmbedding"}
WITH_WEIGHTS = ENCODERS | {"StaticEmbedding", "WordEmbeddings", "Dense", "LayerNorm", "CNN", "LSTM"}
WITH_SETTINGS = ENCODERS | {
    "WordEmbeddings",
    "Dense",
    "LayerNorm",
    "CNN",
    "LSTM",
    "Pooling",
    "Dropout",
    "Router",
    "Asym",
    "LogitScore",
}
WITH_PARTS = {"Router", "Asym"}  # their folder holds one folder for each part

ROUTER_SETTINGS = ("router_config.json", "config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the reader's order: one form of the weights is enough
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
CALIBRATION = "int8_calibration.safetensors"  # of a model that was converted to int8
SMALL_FILES = (".json", ".txt", ".model", ".spm", ".codes", ".jinja")  # settings, vocabularies, chat templates
NOT_OF_THE_MODEL = ("*.index.json", "trainer_state.json", "*_results.json", "data_config.json", "requirements.txt")


def layout_files(folder: Path) -> list[str]:
    """The files that say which modules a model has, as far as those in ``folder`` tell."""
    routers = [path for kind, path in _modules(folder) if kind in WITH_PARTS]
    return [
        "modules.json",
        *(_joined(path, name) for path in routers for name in ("router_config.json", "config.json")),
    ]


def needed_files(files: Collection[str], folder: Path | None) -> list[str]:
    """Those of a repository's ``files`` that make up the model; other forms of its weights are left out.

    ``folder`` holds the ``layout_files`` of the model; None is for a repository that has none, a plain encoder.
    """
    with_weights = {path for _, path in _modules(folder)} if folder else set[str]()
    with_weights = with_weights or {""}
    needed = []
    for path in sorted({"", *with_weights}):
        names = {PurePosixPath(file).name for file in files if _parent(file) == path}
        chosen = {name for name in names if name.endswith(SMALL_FILES)}
        chosen -= {name for name in chosen if any(fnmatch(name, pattern) for pattern in NOT_OF_THE_MODEL)}
        if path in with_weights:
            chosen |= _weights(names, WEIGHTS) | _weights(names, ADAPTER_WEIGHTS) | (names & {CALIBRATION})
        if path == "":
            chosen |= names & {"README.md"}
        needed += [_joined(path, name) for name in sorted(chosen)]
    return needed


def has_weights(files: Collection[str]) -> bool:
    """Whether there are weights among the files."""
    return any(PurePosixPath(file).suffix in (".safetensors", ".bin") for file in files)


def missing_files(folder: Path) -> list[str]:
    """What the model in ``folder`` lacks, by one name for each gap; empty where it is whole or its layout is damaged.

    Only names are compared. What is in the files is for their readers to judge.
    """
    missing: list[str] = []
    for kind, path in list(_modules(folder)) or [("Transformer", "")]:
        module = folder / path
        names = {file.name for file in module.iterdir() if file.is_file()} if module.is_dir() else set[str]()
        if kind in WITH_SETTINGS and not any(_is_settings_of(kind, name) for name in names):
            missing.append(_joined(path, "config.json"))
        if kind in WITH_TOKENIZER and not any(_is_of_tokenizer(name) for name in names):
            missing.append(_joined(path, "tokenizer.json"))
        if kind in WITH_WEIGHTS:
            found = _weights(names, WEIGHTS) or _weights(names, ADAPTER_WEIGHTS)
            missing += [_joined(path, name) for name in (_missing_shards(module, found) if found else WEIGHTS[:1])]
    return missing


def encoder_folders(folder: Path) -> list[Path]:
    """The folders of the transformers of the model in ``folder``."""
    return [folder / path for kind, path in _modules(folder) if kind in ENCODERS]


def _modules(folder: Path) -> Iterator[tuple[str, str]]:
    """The class and the path of each module, "" for the root; also those inside of routers."""
    rows = _json(folder / "modules.json")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("type"), str) and isinstance(row.get("path", ""), str):
            path = PurePosixPath(row.get("path", ""))
            if not path.is_absolute() and ".." not in path.parts:  # the reader refuses such a path
                yield from _with_parts(folder, row["type"], path)


def _with_parts(folder: Path, dotted_class: str, path: PurePosixPath) -> Iterator[tuple[str, str]]:
    kind = dotted_class.rpartition(".")[2]
    yield kind, "" if path == PurePosixPath() else str(path)
    if kind not in WITH_PARTS:
        return
    settings = next(filter(None, (_json(folder / path / name) for name in ROUTER_SETTINGS)), None)
    types = settings.get("types") if isinstance(settings, dict) else None
    for name, dotted_part in (types if isinstance(types, dict) else {}).items():
        if isinstance(dotted_part, str) and name.strip(".") and "/" not in name:  # a folder of its own
            yield from _with_parts(folder, dotted_part, path / name)


def _weights(names: Collection[str], forms: tuple[str, ...]) -> set[str]:
    """One form of the weights among ``names``: a single file, or an index and its parts."""
    for form in forms:
        if form in names:
            return {form}
        index = f"{form}.index.json"
        if index in names:
            stem, suffix = form.split(".")
            return {index, *(name for name in names if fnmatch(name, f"{stem}-*.{suffix}"))}
    return set()


def _missing_shards(module: Path, weights: set[str]) -> list[str]:
    index = next((name for name in weights if name.endswith(".index.json")), None)
    settings = _json(module / index) if index else None
    shards = settings.get("weight_map") if isinstance(settings, dict) else None
    names = {name for name in shards.values() if isinstance(name, str)} if isinstance(shards, dict) else set()
    return sorted(name for name in names if not (module / name).is_file())


def _is_settings_of(kind: str, name: str) -> bool:
    if kind in ENCODERS:  # of many files with such a name, this one says what the network is
        return name in ("config.json", "adapter_config.json")
    return name.endswith("config.json")  # router_config.json, cnn_config.json, …


def _is_of_tokenizer(name: str) -> bool:
    return name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json") or name.endswith(".model")


def _json(path: Path) -> Any:
    """The JSON value in ``path``; None where there is none, for its reader to complain about."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _parent(file: str) -> str:
    return file.rpartition("/")[0]


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
