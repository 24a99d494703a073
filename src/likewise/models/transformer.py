"""The description of a transformer encoder with its tokenizer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from likewise.arguments import older_or_refused, only
from likewise.checkpoint.adapter import base_model_name, merged
from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.encoder_settings import EncoderSettings, encoder_settings
from likewise.checkpoint.locate import Location, locate
from likewise.checkpoint.names import our_names, stored_names
from likewise.checkpoint.other_settings import OtherSettings
from likewise.checkpoint.settings import read_object
from likewise.checkpoint.tokenizer import TOKENIZER_FILES, read_tokenizer, tokenizer_settings
from likewise.checkpoint.transformers_4 import config_for_both, tokenizer_settings_for_both
from likewise.checkpoint.values import about, shortened, whole_number
from likewise.checkpoint.write import Layout, ModuleFiles
from likewise.tokens import TokenBatch, TokenizerError, prompt_length, tokenize

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_LIMIT = 10**9  # tokenizers without a limit of their own write an even larger number


class Transformer:
    """A transformer encoder and its tokenizer, from a folder or the Hub: text → one vector per token.

    ``config_kwargs`` takes the place of entries of config.json. The older names of the incumbent's arguments
    (``config_args``, ``tokenizer_args``, ``cache_dir``) are understood.

    Raises:
        FileNotFoundError: There is no such model, or one of its files is missing.
        ValueError: The architecture is not supported, or a file is damaged.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        max_seq_length: int | None = None,
        *,
        do_lower_case: bool = False,
        tokenizer_name_or_path: str | os.PathLike[str] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        **others: Any,
    ):
        older = older_or_refused(others)
        config_kwargs = config_kwargs or older.get("config_args")
        processor_kwargs = processor_kwargs or older.get("tokenizer_args")
        cache_folder = cache_folder or older.get("cache_dir")
        length = only(processor_kwargs, "processor_kwargs", ("model_max_length",))

        def found(name: str | os.PathLike[str]) -> Location:
            return locate(os.fspath(name), cache_folder, revision, local_files_only, token)

        self.location = found(model_name_or_path)
        base = base_model_name(self.location.folder)
        # Of a LoRA adapter the encoder is another model's, and its own folder has the tokenizer.
        self._base = None if base is None else found(base)
        self.is_merged = base is not None  # whether an adapter is added to the encoder's weights
        self.tokenizer_folder = (found(tokenizer_name_or_path) if tokenizer_name_or_path else self.location).folder
        config_file = self.base_folder / "config.json"
        if not config_file.is_file():
            raise FileNotFoundError(f"{config_file} is missing; fetch the model again")
        self.config: dict[str, Any] = read_object(config_file) | dict(config_kwargs or {})
        with about(config_file):
            self.settings: EncoderSettings = encoder_settings(self.config)
        self.do_lower_case = do_lower_case
        limit = max_seq_length if length is None else length
        self.max_seq_length = self._own_limit() if limit is None else limit

    def __repr__(self) -> str:
        return f"Transformer({self.settings.model_type}, at most {self.max_seq_length} tokens)"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, without truncation or padding of its own."""
        return read_tokenizer(self.tokenizer_folder, self.do_lower_case)

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> TokenBatch:
        """The texts as packed tokens, cut to ``max_seq_length``; those of ``prompt`` at their start are marked."""
        marked = prompt_length(self.tokenizer, prompt) if prompt else 0
        with about(self.tokenizer_folder, TokenizerError):
            return tokenize(self.tokenizer, texts, self.max_seq_length, marked, vocabulary=self.vocabulary)

    def tokenize_parts(self, texts: Sequence[str]) -> TokenBatch:
        """The texts as packed tokens without special ones, as parts of pairs; cut where no pair could hold them."""
        with about(self.tokenizer_folder, TokenizerError):
            return tokenize(self.tokenizer, texts, self.max_seq_length, special=False, vocabulary=self.vocabulary)

    @property
    def has_segments(self) -> bool:
        """Whether the model is told which text of a pair a token is of."""
        names = tokenizer_settings(self.tokenizer_folder).get("model_input_names")
        if isinstance(names, list) and "token_type_ids" not in names:
            return False
        return isinstance(self.settings, OtherSettings) or getattr(self.settings, "segment_types", 0) > 1

    @property
    def base(self) -> Location:
        """Where the encoder's own weights lie, without an adapter."""
        return self._base or self.location

    @property
    def base_folder(self) -> Path:
        """The folder of ``base``."""
        return self.base.folder

    def take_adapter_off(self) -> None:
        """Be the base model's encoder from now on, where ``is_merged``."""
        self.is_merged = False
        for cached in ("stored", "arrays"):
            self.__dict__.pop(cached, None)

    @cached_property
    def stored(self) -> NamedArrays:
        """Every array of the checkpoint, under its stored name."""
        arrays = read_arrays(self.base_folder)
        return merged(arrays, self.location.folder, self.settings.model_type) if self.is_merged else arrays

    @cached_property
    def arrays(self) -> NamedArrays:
        """The encoder's arrays under the library's names; what Transformers computes keeps its own."""
        if isinstance(self.settings, OtherSettings):
            return self.stored
        with about(self.stored.origin):
            return self.stored.renamed(our_names(self.settings.model_type, self.stored))

    @property
    def max_seq_length(self) -> int:
        """The limit in tokens, special ones included; a longer text loses its end."""
        return self._max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        # Checkpoints may promise more than their position table holds; what lies beyond it cannot be computed.
        self._max_seq_length = min(whole_number(limit, "max_seq_length", most=10**40), self.settings.longest)

    @property
    def architecture(self) -> str:
        """What config.json calls it: "bert"."""
        return self.settings.model_type

    @property
    def vocabulary(self) -> int:
        """The number of tokens that the encoder knows."""
        return self.settings.vocabulary

    def get_embedding_dimension(self) -> int:
        """The width of the token vectors."""
        return self.settings.hidden

    get_word_embedding_dimension = get_embedding_dimension  # the name in most tutorials

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds; ``weights`` have the library's names."""
        stored = NamedArrays.of(weights)
        if not isinstance(self.settings, OtherSettings):
            stored = stored.renamed(stored_names(self.settings.model_type, weights))
        copied = [self.tokenizer_folder / name for name in TOKENIZER_FILES]
        json: dict[str, Mapping[str, Any]] = {"config.json": self.config}
        if layout == "6":
            # The limit moves into tokenizer_config.json, lower-casing into tokenizer.json.
            json["sentence_bert_config.json"] = {
                "transformer_task": "feature-extraction",
                "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
                "module_output_name": "token_embeddings",
            }
            limit = {"model_max_length": self.max_seq_length}
            json["tokenizer_config.json"] = tokenizer_settings(self.tokenizer_folder) | limit
        else:
            limits = {"max_seq_length": self.max_seq_length, "do_lower_case": self.do_lower_case}
            json["sentence_bert_config.json"] = limits
            json["config.json"] = config_for_both(self.config)
            tokenizer = tokenizer_settings(self.tokenizer_folder)
            if (for_both := tokenizer_settings_for_both(tokenizer)) != tokenizer:
                json["tokenizer_config.json"] = for_both
        is_rewritten = layout == "6" and self.do_lower_case
        return ModuleFiles(
            "Transformer",
            json,
            stored,
            copied=[file for file in copied if file.is_file() and not (is_rewritten and file.name == "tokenizer.json")],
            texts={"tokenizer.json": self.tokenizer.to_str()},
        )

    def _own_limit(self) -> int:
        limit = tokenizer_settings(self.tokenizer_folder).get("model_max_length")
        if limit is None:
            return self.settings.longest
        if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 1:
            file = self.tokenizer_folder / "tokenizer_config.json"
            raise ValueError(f"{file}: model_max_length must be a number of tokens, not {shortened(limit)}")
        return int(limit) if limit < NO_LIMIT else self.settings.longest
