"""The vectors of many texts, kept in a file from one run to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.files import whole_file

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

TEXTS_AT_ONCE = 65_536  # 100 MB of vectors of 384 dimensions


def kept_vectors(file: Path, encode: Callable[[Sequence[str]], NDArray[Any]], texts: Sequence[str]) -> NDArray[Any]:
    """The vectors (texts, dim) in ``file``, memory-mapped; where it is missing they are made and written first.

    Only the vectors of TEXTS_AT_ONCE texts are in memory at once. The file appears whole or not at all.

    Raises OSError where it cannot be written.
    """
    if not file.exists():
        with whole_file(file) as temporary:
            _write(temporary, encode, texts)
    vectors: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return vectors


def key_of(model: SentenceTransformer, texts: Sequence[str], *settings: object) -> str:
    """A name for the vectors that ``model`` gives ``texts``: it changes with whatever they depend on.

    That is the model's weights as they are now and its modules' settings, its prompts, ``truncate_dim`` and the
    precision that it computes in, the ``settings`` of the call, and the texts. Weights of 1 GB take about a second.
    """
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(repr(values).encode("utf-8", "surrogatepass"))

    add(model.fingerprint, model.prompts, model.default_prompt_name, model.truncate_dim, model.dtype, settings)
    for text in texts:
        add(text)
    return digest.hexdigest()


def _write(file: Path, encode: Callable[[Sequence[str]], NDArray[Any]], texts: Sequence[str]) -> None:
    written: Any = None
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        vectors = encode(texts[start : start + TEXTS_AT_ONCE])
        if written is None:
            shape = (len(texts), vectors.shape[1])
            written = np.lib.format.open_memmap(file, mode="w+", dtype=vectors.dtype, shape=shape)
        written[start : start + len(vectors)] = vectors
    written.flush()
