"""The JSON files of a checkpoint: what the model is made of, in which order, with which settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from likewise.checkpoint.values import LONGEST_NAME, is_plain_name, reason, shortened

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


SETTINGS_FILES = {  # where a kind of module keeps its settings; all others in config.json
    "Transformer": TRANSFORMER_SETTINGS,
    "CNN": ("cnn_config.json",),
    "LSTM": ("lstm_config.json",),
    "Router": ("router_config.json", "config.json"),
    "WordEmbeddings": ("wordembedding_config.json",),
}
OLDER_KINDS = {"Asym": "Router"} | dict.fromkeys(  # the names that sentence-transformers 0.x and 1.x had for encoders
    ("BERT", "RoBERTa", "DistilBERT", "ALBERT", "XLNet", "XLMRoBERTa", "CamemBERT", "T5"), "Transformer"
)


@dataclass(frozen=True)
class ModuleEntry:
    """One module of a model: a row of modules.json and the settings in the module's own folder."""

    kind: str  # the class, by its last name: "Transformer", "Pooling", "Dense"
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    parts: Mapping[str, "ModuleEntry"] = field(default_factory=dict)  # a Router's own modules, by their folders' names


@dataclass(frozen=True)
class Checkpoint:
    """What a saved model is made of; its arrays are read where they are needed."""

    folder: Path
    modules: tuple[ModuleEntry, ...]
    layout: str  # "legacy", "6", or without modules.json "plain encoder", "model2vec"


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read what the model in ``folder`` is made of: saved by sentence-transformers, or a plain Hugging Face encoder.

    Raises:
        ValueError: A file holds no JSON or not what it should, or a module's path leaves the folder.
        FileNotFoundError: The folder holds no model.
    """
    modules_file = folder / "modules.json"
    if modules_file.is_file():
        rows = read_json(modules_file)
        if not isinstance(rows, list) or not rows:
            raise ValueError(f"{modules_file} must hold a list of modules, but holds {shortened(rows)}")
        modules = tuple(_row(modules_file, row) for row in rows)
        layout = "6" if any(".modules." in row["type"] for row in rows) else "legacy"
    elif (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        is_static = (folder / "config.json").is_file() and is_model2vec(folder)
        modules = (_module_entry("StaticEmbedding" if is_static else "Transformer", folder),)
        layout = "model2vec" if is_static else "plain encoder"
    else:
        raise FileNotFoundError(f"{folder} holds no model: neither modules.json nor config.json is in it")
    return Checkpoint(folder, modules, layout)


def is_model2vec(folder: Path) -> bool:
    """Whether ``folder`` was saved by model2vec: a table of token vectors, and no transformer."""
    config = read_object(folder / "config.json")
    return (
        config.get("model_type", "model2vec" if "normalize" in config else None) == "model2vec"
    )  # newer ones name none


def architecture_of(config: Mapping[str, Any]) -> str:
    """The class in Transformers that a config.json names first: "BertModel"; empty without one."""
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else ""
    return first if isinstance(first, str) else ""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ValueError: The file holds no JSON, or something other than an object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, but holds {shortened(value)}")
    return value


def read_json(path: Path) -> Any:
    """The JSON value in ``path``.

    Raises:
        ValueError: The file holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number of thousands of digits, too deep
        raise ValueError(f"{path} is not valid JSON: {reason(error)}; it may be damaged, fetch it again") from error


def _row(modules_file: Path, row: object) -> ModuleEntry:
    if not isinstance(row, dict) or not isinstance(row.get("type"), str) or not isinstance(row.get("path", ""), str):
        raise ValueError(f"{modules_file}: a module needs a 'type' and a 'path', but one is {shortened(row)}")
    path = row.get("path", "")
    if ".." in PurePosixPath(path.replace("\\", "/")).parts or PureWindowsPath(path).anchor:
        raise ValueError(f"{modules_file}: the module path {shortened(path)} leads out of the model's folder")
    if not path.isprintable() or len(path) > LONGEST_NAME:
        raise ValueError(f"{modules_file}: the module path {shortened(path)} is no path")
    return _module_entry(_kind(modules_file, row["type"]), modules_file.parent / path)


def _kind(file: Path, type_name: str) -> str:
    """The class by its last name: "sentence_transformers.models.Dense.Dense" and all other generations → "Dense"."""
    package, _, path = type_name.partition(".")
    if package != "sentence_transformers" or not path:
        raise ValueError(
            f"{file}: the module type {shortened(type_name)} is none of sentence-transformers' own; "
            "a model never runs code of its own here"
        )
    kind = path.rpartition(".")[2]
    return OLDER_KINDS.get(kind, kind)


def _module_entry(kind: str, folder: Path) -> ModuleEntry:
    # git drops empty folders, so that of a module without settings may lack
    files = [folder / name for name in SETTINGS_FILES.get(kind, ("config.json",))]
    found = next((file for file in files if file.is_file()), None)
    if kind == "Router":
        if found is None:
            raise FileNotFoundError(f"{files[0]} is missing; fetch the model again")
        settings = read_object(found)
        return ModuleEntry(kind, folder, settings, _parts(found, settings))
    if found is None or kind == "StaticEmbedding":  # a config.json beside a table of vectors is somebody else's
        return ModuleEntry(kind, folder)
    return ModuleEntry(kind, folder, read_object(found))


def _parts(file: Path, settings: dict[str, Any]) -> dict[str, ModuleEntry]:
    types = settings.get("types")
    if not isinstance(types, dict) or not all(isinstance(kind, str) for kind in types.values()):
        raise ValueError(f"{file} must hold 'types', the class of each module by its folder")
    for name in types:
        if not is_plain_name(name):
            raise ValueError(f"{file}: the module folder {shortened(name)} is no plain name")
    kinds = {name: _kind(file, kind) for name, kind in types.items()}
    if "Router" in kinds.values():  # through a link it could even hold itself
        raise ValueError(f"{file}: a Router within a Router is not supported")
    return {name: _module_entry(kind, file.parent / name) for name, kind in kinds.items()}
