"""The JSON files of a checkpoint: what the model is made of, in which order, with which settings."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

# The file beside config.json that holds the length limit; the older names are those of sentence-transformers 0.x.
TRANSFORMER_SETTINGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)


@dataclass(frozen=True)
class ModuleEntry:
    """One module of a model: a row of modules.json and the settings in the module's own folder."""

    kind: str  # the class, by its last name: "Transformer", "Pooling", "Dense"
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The settings of a saved model; its arrays are read where they are needed."""

    folder: Path
    modules: tuple[ModuleEntry, ...]
    settings: dict[str, Any]  # config_sentence_transformers.json: prompts, similarity, …


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the settings of the model in ``folder``: saved by sentence-transformers, or a plain Hugging Face encoder.

    A plain encoder, without modules.json, gets mean pooling.

    Raises:
        ValueError: A file holds no JSON or not what it should, or a module's path leaves the folder.
        FileNotFoundError: The folder holds no model.
    """
    modules_file = folder / "modules.json"
    if modules_file.is_file():
        rows = read_json(modules_file)
        if not isinstance(rows, list) or not rows:
            raise ValueError(f"{modules_file} must hold a list of modules, but holds {_shortened(rows)}")
        modules = tuple(_module_entry(modules_file, row) for row in rows)
    elif (folder / "config.json").is_file():
        modules = (ModuleEntry("Transformer", folder, _transformer_settings(folder)),)
    else:
        raise FileNotFoundError(f"{folder} holds no model: neither modules.json nor config.json is in it")
    settings_file = folder / "config_sentence_transformers.json"
    return Checkpoint(folder, modules, read_object(settings_file) if settings_file.is_file() else {})


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ValueError: The file holds no JSON, or something other than an object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, but holds {_shortened(value)}")
    return value


def read_json(path: Path) -> Any:
    """The JSON value in ``path``.

    Raises:
        ValueError: The file holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}; it may be damaged, fetch it again") from error


def _module_entry(modules_file: Path, row: object) -> ModuleEntry:
    if not isinstance(row, dict) or not isinstance(row.get("type"), str) or not isinstance(row.get("path", ""), str):
        raise ValueError(f"{modules_file}: a module needs a 'type' and a 'path', but one is {_shortened(row)}")
    path = row.get("path", "")
    if "\0" in path or ".." in PurePosixPath(path.replace("\\", "/")).parts or PureWindowsPath(path).anchor:
        raise ValueError(f"{modules_file}: the module path {path!r} leads out of the model's folder")
    kind = row["type"].rpartition(".")[2]
    folder = modules_file.parent / path
    if kind == "Transformer":
        return ModuleEntry(kind, folder, _transformer_settings(folder))
    settings_file = folder / "config.json"  # git drops empty folders, so that of a module without settings may lack
    return ModuleEntry(kind, folder, read_object(settings_file) if settings_file.is_file() else {})


def _transformer_settings(folder: Path) -> dict[str, Any]:
    for name in TRANSFORMER_SETTINGS:
        if (folder / name).is_file():
            return read_object(folder / name)
    return {}


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
