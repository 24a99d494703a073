"""The description of a static embedding: a table of token vectors, and their mean."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.locate import Location, locate
from likewise.checkpoint.tokenizer import read_tokenizer
from likewise.checkpoint.values import whole_number
from likewise.checkpoint.write import Layout, ModuleFiles
from likewise.tokens import TokenBatch, tokenize

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TABLE = "embedding.weight"


class StaticEmbedding:
    """The mean of a text's token vectors, which a table holds: no transformer, no special tokens, no length limit.

    ``tokenizer`` is one of the tokenizers library, or a fast one of Transformers. Vectors come from
    ``embedding_weights`` (vocabulary, dim), or are drawn anew with ``embedding_dim`` dimensions.

    Raises:
        ValueError: Neither is given, or the table has fewer rows than the tokenizer has tokens.
        TypeError: The tokenizer is of another kind.
    """

    architecture = "static"
    max_seq_length = math.inf  # as in the incumbent

    def __init__(self, tokenizer: Any, embedding_weights: Any = None, embedding_dim: int | None = None):
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not hasattr(tokenizer, "encode_batch_fast"):
            raise TypeError(f"StaticEmbedding needs a tokenizers.Tokenizer, but got {type(tokenizer).__name__}")
        self.tokenizer: Tokenizer = tokenizer
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.location: Location | None = None
        rows = tokenizer.get_vocab_size()
        if embedding_weights is not None:
            self.arrays = NamedArrays.of({TABLE: _array(embedding_weights)})
        elif embedding_dim is not None:
            self.arrays = NamedArrays.of({})
            self.shape = (rows, whole_number(embedding_dim, "embedding_dim"))
            return
        else:
            raise ValueError("StaticEmbedding needs embedding_weights=, or embedding_dim= for a table that is new")
        self.shape = _checked_shape(self.arrays, rows)

    @classmethod
    def read(cls, location: Location) -> StaticEmbedding:
        """The table and the tokenizer in a folder: saved by sentence-transformers or by model2vec.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged, or the table does not fit the tokenizer.
        """
        stored = read_arrays(location.folder)
        try:
            static = cls(read_tokenizer(location.folder), embedding_dim=1)
            static.arrays = stored.renamed({TABLE: TABLE}) if TABLE in stored else _folded(stored)
            static.shape = _checked_shape(static.arrays, static.tokenizer.get_vocab_size())
        except ValueError as error:
            raise ValueError(f"{stored.origin}: {error}") from error
        static.location = location
        return static

    @classmethod
    def from_model2vec(cls, model_id_or_path: str | os.PathLike[str]) -> StaticEmbedding:
        """The table of a model2vec model, by its folder or name; the model2vec package is not needed.

        Raises:
            FileNotFoundError: There is no such model.
            ValueError: It holds no table.
        """
        return cls.read(locate(os.fspath(model_id_or_path)))

    def __repr__(self) -> str:
        return f"StaticEmbedding({self.shape[0]} tokens, {self.shape[1]} dimensions)"

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> TokenBatch:
        """The texts as packed tokens, without special ones."""
        return tokenize(self.tokenizer, texts, special=False)

    def get_embedding_dimension(self) -> int:
        """The width of the vectors."""
        return self.shape[1]

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        return ModuleFiles("StaticEmbedding", {}, weights, texts={"tokenizer.json": self.tokenizer.to_str()})


def _array(weights: Any) -> NDArray[Any]:
    array = np.asarray(weights.detach().cpu() if hasattr(weights, "detach") else weights)
    return array if array.dtype in (np.float16, np.float32) else array.astype(np.float32)


def _checked_shape(arrays: NamedArrays, tokens: int) -> tuple[int, int]:
    table = arrays[TABLE]
    if table.ndim != 2 or len(table) < tokens or table.shape[1] == 0 or table.dtype.kind != "f":
        raise ValueError(
            f"a table of token vectors has a row for each of the tokenizer's {tokens} tokens, "
            f"but this one is {table.dtype} of the shape {table.shape}"
        )
    return len(table), table.shape[1]


def _folded(stored: NamedArrays) -> NamedArrays:
    """model2vec's arrays as one table: its row for token t is ``embeddings[mapping[t]] * weights[t]``."""
    if "embeddings" not in stored:
        raise ValueError(f"there is neither {TABLE!r} nor 'embeddings' in it, but {', '.join(list(stored)[:3])}")
    if "mapping" not in stored and "weights" not in stored:
        return stored.renamed({"embeddings": TABLE})
    table = stored["embeddings"]
    mapping = stored.get("mapping")
    if mapping is not None:
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or not _all_below(mapping, len(table)):
            raise ValueError(f"'mapping' must hold a row number below {len(table)} for each token")
        table = table[mapping]
    weights = stored.get("weights")
    if weights is not None:
        if weights.shape != table.shape[:1]:
            raise ValueError(f"'weights' must hold {len(table)} numbers, but has the shape {weights.shape}")
        table = table.astype(np.float32) * weights.astype(np.float32)[:, None]
    return NamedArrays.of({TABLE: np.ascontiguousarray(table)}, stored.origin)


def _all_below(rows: NDArray[Any], count: int) -> bool:
    return not len(rows) or (int(rows.min()) >= 0 and int(rows.max()) < count)
