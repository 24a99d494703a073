"""Write a model in a layout that sentence-transformers and the inference servers read."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from likewise.checkpoint.arrays import NamedArrays, write_arrays

Layout = Literal["legacy", "6"]  # what sentence-transformers 3.4 to 6.x and servers read; what only 5.4 and later read
LAYOUTS: tuple[Layout, ...] = ("legacy", "6")

IN_THE_ROOT = ("Transformer", "StaticEmbedding", "WordEmbeddings", "Router")  # in layout 6, where they come first
SHARED_IN_6 = ("Transformer", "Dense", "Normalize", "Router")  # modules that layout 6 keeps for all kinds of models
FILES_IN_6 = {  # the last part of a module's path there, where it is not the class name in lower case
    "BoW": "bow",
    "CNN": "cnn",
    "LSTM": "lstm",
    "LayerNorm": "layer_norm",
    "LogitScore": "logit_score",
    "StaticEmbedding": "static_embedding",
    "WeightedLayerPooling": "weighted_layer_pooling",
    "WordEmbeddings": "word_embeddings",
    "WordWeights": "word_weights",
}


@dataclass(frozen=True)
class ModuleFiles:
    """What one module's folder is made of."""

    kind: str  # "Pooling"
    json: Mapping[str, Any]  # file name → what it holds
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    copied: Sequence[Path] = ()  # files that are copied as they are
    texts: Mapping[str, str] = field(default_factory=dict)  # file name → its text, where no file is copied
    weights: str = "model.safetensors"  # the file for the arrays
    parts: Mapping[str, "ModuleFiles"] = field(default_factory=dict)  # a Router's own modules, by their folders


def type_name(kind: str, layout: Layout) -> str:
    """The dotted name that ``layout`` has for a module of the class ``kind``."""
    if layout == "legacy":
        return f"sentence_transformers.models.{'Asym' if kind == 'Router' else kind}"
    package = "base" if kind in SHARED_IN_6 else "cross_encoder" if kind == "LogitScore" else "sentence_transformer"
    return f"sentence_transformers.{package}.modules.{FILES_IN_6.get(kind, kind.lower())}.{kind}"


def write_checkpoint(
    folder: Path, modules: Sequence[ModuleFiles], settings: Mapping[str, Any], layout: Layout, dtype: str | None
) -> None:
    """Write a whole model into the empty ``folder``; ``settings`` becomes config_sentence_transformers.json.

    ``dtype`` is what floats are stored in; None stores each array as it is.
    """
    rows = []
    for index, module in enumerate(modules):
        # The older layout has but an encoder in the root; a folder is not shared with another module's config.json.
        in_root = index == 0 and module.kind in (IN_THE_ROOT if layout == "6" else ("Transformer",))
        name = type_name(module.kind, layout)
        path = "" if in_root else f"{index}_{name.rpartition('.')[2]}"
        rows.append({"idx": index, "name": str(index), "path": path, "type": name})
        _write_module(folder / path, module, dtype)
    _write_json(folder / "modules.json", rows)
    _write_json(folder / "config_sentence_transformers.json", settings)


def _write_module(folder: Path, module: ModuleFiles, dtype: str | None) -> None:
    folder.mkdir(exist_ok=True)
    if module.arrays:
        arrays = NamedArrays.of(module.arrays)
        write_arrays(folder / module.weights, arrays if dtype is None else arrays.stored_in(dtype))
    for file in module.copied:
        shutil.copyfile(file, folder / file.name)
    for name, text in module.texts.items():
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    for name, value in module.json.items():
        _write_json(folder / name, value)
    for name, part in module.parts.items():
        _write_module(folder / name, part, dtype)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
