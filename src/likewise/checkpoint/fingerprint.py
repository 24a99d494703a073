"""What tells one model from another: a digest of all that decides its vectors."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from likewise.checkpoint.arrays import NamedArrays
from likewise.checkpoint.write import ModuleFiles

FINGERPRINT_BYTES = 16  # 2^64 models before two of them are likely to share one


def fingerprint(modules: Sequence[ModuleFiles]) -> str:
    """32 hexadecimal digits of the settings, the tokenizer and every weight of a model, as it would be written."""
    digest = hashlib.blake2b(digest_size=FINGERPRINT_BYTES)
    for module in modules:
        _add(digest, module)
    return digest.hexdigest()


def _add(digest: Any, module: ModuleFiles) -> None:
    copied = {file.name: hashlib.blake2b(file.read_bytes()).hexdigest() for file in module.copied}
    texts = {name: text for name, text in module.texts.items() if name not in copied}  # as where they are written
    told = [module.kind, module.json, copied, texts]
    digest.update(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass"))
    arrays = NamedArrays.of(module.arrays)
    for name in sorted(arrays):
        values, kind = arrays.stored(name)
        digest.update(f"{name}, {kind}, {values.shape};".encode())
        digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    for name, part in sorted(module.parts.items()):
        digest.update(f"{name}:".encode())
        _add(digest, part)
