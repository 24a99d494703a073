"""Write a model in the layout that sentence-transformers 3.4 to 6.x and the inference servers read."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from likewise.checkpoint.arrays import write_arrays
from likewise.checkpoint.tokenizer import TOKENIZER_FILES


@dataclass(frozen=True)
class ModuleFiles:
    """What one module's folder is made of."""

    kind: str  # "Pooling"
    settings: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class EncoderFiles:
    """What the folder of the encoder, the model's root, is made of."""

    config: Mapping[str, Any]  # config.json
    settings: Mapping[str, Any]  # sentence_bert_config.json
    arrays: Mapping[str, NDArray[Any]]  # under the names that Hugging Face's bare encoder stores
    bfloat16: Collection[str]  # those that are stored in bfloat16
    tokenizer_folder: Path  # its files are copied
    tokenizer_json: str  # written where that folder has none


def write_checkpoint(
    folder: Path, encoder: EncoderFiles, modules: Sequence[ModuleFiles], settings: Mapping[str, Any]
) -> None:
    """Write a whole model into the empty ``folder``; ``settings`` becomes config_sentence_transformers.json."""
    rows = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    write_arrays(folder / "model.safetensors", encoder.arrays, encoder.bfloat16)
    _write_json(folder / "config.json", encoder.config)
    _write_json(folder / "sentence_bert_config.json", encoder.settings)
    for name in TOKENIZER_FILES:
        if (encoder.tokenizer_folder / name).is_file():
            shutil.copyfile(encoder.tokenizer_folder / name, folder / name)
    if not (folder / "tokenizer.json").exists():
        (folder / "tokenizer.json").write_text(encoder.tokenizer_json, encoding="utf-8")
    for index, module in enumerate(modules, 1):
        path = f"{index}_{module.kind}"
        kind = f"sentence_transformers.models.{module.kind}"
        rows.append({"idx": index, "name": str(index), "path": path, "type": kind})
        (folder / path).mkdir()
        _write_json(folder / path / "config.json", module.settings)
        if module.arrays:
            write_arrays(folder / path / "model.safetensors", module.arrays)
    _write_json(folder / "modules.json", rows)
    _write_json(folder / "config_sentence_transformers.json", settings)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
