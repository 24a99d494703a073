"""What stands beside the graph in a folder that is deployed: the tokenizer, ready to use, and the settings."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from likewise import models
from likewise.checkpoint.tokenizer import TOKENIZER_FILES


def write_beside(folder: Path, transformer: models.Transformer, settings: Mapping[str, Any]) -> None:
    """Write tokenizer.json, config.json and the like; ``settings`` are the model's prompts and its similarity."""
    for name in TOKENIZER_FILES:
        if name != "tokenizer.json" and (transformer.tokenizer_folder / name).is_file():
            shutil.copyfile(transformer.tokenizer_folder / name, folder / name)
    (folder / "tokenizer.json").write_text(ready_tokenizer(transformer).to_str(pretty=True), encoding="utf-8")
    for name, values in (("config.json", transformer.config), ("config_sentence_transformers.json", settings)):
        (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def ready_tokenizer(transformer: models.Transformer) -> Tokenizer:
    """The tokenizer that cuts texts to the model's limit and pads a batch to its longest text."""
    tokenizer = Tokenizer.from_str(transformer.tokenizer.to_str())
    tokenizer.enable_truncation(transformer.max_seq_length)
    padding_id = transformer.settings.padding_id
    tokenizer.enable_padding(pad_id=padding_id, pad_token=tokenizer.id_to_token(padding_id) or "[PAD]")
    return tokenizer
