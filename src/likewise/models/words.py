"""The descriptions of models that know whole words: WordEmbeddings, WordWeights, BoW."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.settings import read_object
from likewise.checkpoint.tokenizer import read_tokenizer
from likewise.checkpoint.values import about, shortened, whole_number
from likewise.checkpoint.write import Layout, ModuleFiles
from likewise.models.word_tokenizers import WhitespaceTokenizer, word_weights
from likewise.tokens import TokenBatch, TokenizerError, tokenize

TABLE = "emb_layer.weight"


class WordEmbeddings:
    """A table of word vectors, such as GloVe's: text → one vector per word that it knows.

    Raises:
        ValueError: The table is no matrix, or has fewer rows than the tokenizer has words.
    """

    architecture = "word vectors"

    def __init__(
        self,
        tokenizer: WhitespaceTokenizer | Tokenizer,
        embedding_weights: Any,
        update_embeddings: bool = False,
        max_seq_length: int = 1_000_000,
    ):
        table = embedding_weights.detach().cpu() if hasattr(embedding_weights, "detach") else embedding_weights
        self.tokenizer = tokenizer
        self.folder: Path | None = None  # where it was read from
        self.arrays = NamedArrays.of({TABLE: np.asarray(table, dtype=np.float32)})
        self.update_embeddings = update_embeddings
        self.max_seq_length = whole_number(max_seq_length, "max_seq_length")
        words = len(tokenizer.vocab) if isinstance(tokenizer, WhitespaceTokenizer) else tokenizer.get_vocab_size()
        self.shape = _checked_shape(self.arrays, words)

    @classmethod
    def read(cls, folder: Path, settings: Mapping[str, Any]) -> WordEmbeddings:
        """The table and the tokenizer in ``folder``.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged, or the tokenizer is of another kind.
        """
        stored = read_arrays(folder)
        if TABLE not in stored:
            raise ValueError(f"{stored.origin} lacks the array {TABLE}")
        limit = settings.get("max_seq_length", 1_000_000)
        with about(folder):
            tokenizer = _read_tokenizer(folder, str(settings.get("tokenizer_class")).rpartition(".")[2])
            words = cls(tokenizer, stored[TABLE], bool(settings.get("update_embeddings")), limit)
        words.folder = folder
        words.arrays = stored.renamed({TABLE: TABLE})  # in the precision that the file has
        return words

    @property
    def vocabulary(self) -> int:
        """The number of words in the table."""
        return self.shape[0]

    def __repr__(self) -> str:
        return f"WordEmbeddings({self.shape[0]} words, {self.shape[1]} dimensions)"

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> TokenBatch:
        """The texts as packed word numbers, cut to ``max_seq_length``."""
        if isinstance(self.tokenizer, WhitespaceTokenizer):
            return self.tokenizer.tokenize(texts, self.max_seq_length)
        with about(self.folder or "WordEmbeddings", TokenizerError):
            return tokenize(self.tokenizer, texts, self.max_seq_length, vocabulary=self.vocabulary)

    def get_embedding_dimension(self) -> int:
        """The width of the word vectors."""
        return self.shape[1]

    get_word_embedding_dimension = get_embedding_dimension

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        is_words = isinstance(self.tokenizer, WhitespaceTokenizer)
        class_name = "WhitespaceTokenizer" if is_words else "TransformersTokenizerWrapper"
        settings = {
            "tokenizer_class": f"sentence_transformers.models.tokenizer.{class_name}",
            "update_embeddings": self.update_embeddings,
            "max_seq_length": self.max_seq_length,
        }
        json = {"wordembedding_config.json": settings}
        if isinstance(self.tokenizer, WhitespaceTokenizer):
            return ModuleFiles("WordEmbeddings", json | {WhitespaceTokenizer.file: self.tokenizer.settings()}, weights)
        return ModuleFiles("WordEmbeddings", json, weights, texts={"tokenizer.json": self.tokenizer.to_str()})


@dataclass
class WordWeights:
    """Multiplies each word's vector by a weight, such as its idf; means are divided by the sum of the weights."""

    vocab: Sequence[str] = field(repr=False)
    word_weights: Mapping[str, float] = field(repr=False)
    unknown_word_weight: float = 1

    def __post_init__(self) -> None:
        weights = word_weights(self.vocab, self.word_weights, self.unknown_word_weight)
        self.arrays: Mapping[str, NDArray[Any]] = {TABLE: weights[:, None]}  # (words, 1)

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        names = ("vocab", "word_weights", "unknown_word_weight")
        return ModuleFiles("WordWeights", {"config.json": {name: getattr(self, name) for name in names}}, weights)


@dataclass
class BoW:
    """A bag of words: one dimension for each word of ``vocab``, which holds its count times its weight."""

    vocab: Sequence[str] = field(repr=False)
    word_weights: Mapping[str, float] = field(default_factory=dict, repr=False)
    unknown_word_weight: float = 1
    cumulative_term_frequency: bool = True  # False: a word that is there counts once
    architecture = "bag of words"
    max_seq_length = math.inf

    def __post_init__(self) -> None:
        self.weights = word_weights(self.vocab, self.word_weights, self.unknown_word_weight)  # (words,)
        if not self.vocab or len(set(self.vocab)) < len(self.vocab):
            raise ValueError("vocab must hold words, each once")
        self.tokenizer = WhitespaceTokenizer(self.vocab)

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> TokenBatch:
        """The texts as packed word numbers."""
        return self.tokenizer.tokenize(texts)

    def get_embedding_dimension(self) -> int:
        """The number of words."""
        return len(self.vocab)

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        names = ("vocab", "word_weights", "unknown_word_weight", "cumulative_term_frequency")
        return ModuleFiles("BoW", {"config.json": {name: getattr(self, name) for name in names}})


def _read_tokenizer(folder: Path, class_name: str) -> WhitespaceTokenizer | Tokenizer:
    if class_name == "TransformersTokenizerWrapper":
        return read_tokenizer(folder)
    if class_name != "WhitespaceTokenizer":
        raise ValueError(
            f"the words are told apart by {shortened(class_name)}, which is not supported; supported are "
            "WhitespaceTokenizer and TransformersTokenizerWrapper"
        )
    file = folder / WhitespaceTokenizer.file
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; fetch the model again")
    settings = read_object(file)
    return WhitespaceTokenizer(
        settings.get("vocab", ()), settings.get("stop_words", ()), bool(settings.get("do_lower_case"))
    )


def _checked_shape(arrays: NamedArrays, words: int) -> tuple[int, int]:
    table = arrays[TABLE]
    if table.ndim != 2 or len(table) < words or 0 in table.shape:
        raise ValueError(
            f"a table of word vectors has a row for each of the {words} words, but this one has the shape {table.shape}"
        )
    return len(table), table.shape[1]
