"""Descriptions of modules, put together by ``SentenceTransformer(modules=[Transformer(…), Pooling(…), …])``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.encoder_settings import EncoderSettings, encoder_settings
from likewise.checkpoint.locate import Location, locate
from likewise.checkpoint.names import our_names
from likewise.checkpoint.settings import Checkpoint, ModuleEntry, read_object
from likewise.checkpoint.tokenizer import read_tokenizer, tokenizer_settings

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")  # in order of joining
OLDER_POOLING_NAMES = {  # the booleans that 1_Pooling/config.json holds, and older code passes → the mode
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
NO_LIMIT = 10**9  # tokenizers without a limit of their own write an even larger number


class Transformer:
    """A transformer encoder and its tokenizer, from a folder or the Hub: text → one vector per token.

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
        cache_folder: str | os.PathLike[str] | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
    ):
        def found(name: str | os.PathLike[str]) -> Location:
            return locate(os.fspath(name), cache_folder, revision, local_files_only, token)

        self.location = found(model_name_or_path)
        self.tokenizer_folder = (found(tokenizer_name_or_path) if tokenizer_name_or_path else self.location).folder
        config_file = self.location.folder / "config.json"
        if not config_file.is_file():
            raise FileNotFoundError(f"{config_file} is missing; fetch the model again")
        self.config: dict[str, Any] = read_object(config_file)
        try:
            self.settings: EncoderSettings = encoder_settings(self.config)
        except ValueError as error:
            raise ValueError(f"{config_file}: {error}") from error
        self.do_lower_case = do_lower_case
        self.max_seq_length = max_seq_length if max_seq_length is not None else self._own_limit()

    def __repr__(self) -> str:
        return f"Transformer({self.settings.model_type}, at most {self.max_seq_length} tokens)"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, without truncation or padding of its own."""
        return read_tokenizer(self.tokenizer_folder, self.do_lower_case)

    @cached_property
    def stored(self) -> NamedArrays:
        """Every array of the checkpoint, under its stored name."""
        return read_arrays(self.location.folder)

    @cached_property
    def arrays(self) -> NamedArrays:
        """The encoder's arrays under the library's names."""
        try:
            return self.stored.renamed(our_names(self.settings.model_type, self.stored))
        except ValueError as error:
            raise ValueError(f"{self.stored.origin}: {error}") from error

    @property
    def max_seq_length(self) -> int:
        """The limit in tokens, special ones included; a longer text loses its end."""
        return self._max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        # Checkpoints may promise more than their position table holds; what lies beyond it cannot be computed.
        self._max_seq_length = min(limit, self.settings.longest)

    def get_embedding_dimension(self) -> int:
        """The width of the token vectors."""
        return self.settings.hidden

    get_word_embedding_dimension = get_embedding_dimension  # the name in most tutorials

    def _own_limit(self) -> int:
        limit = tokenizer_settings(self.tokenizer_folder).get("model_max_length")
        return int(limit) if isinstance(limit, int | float) and 0 < limit < NO_LIMIT else self.settings.longest


class Pooling:
    """From one vector per token to one per text: one of POOLING_MODES, or several side by side.

    ``include_prompt=False`` leaves the prompt's tokens out. The older booleans (``pooling_mode_cls_token=True``, …)
    are understood too.

    Raises:
        ValueError: A mode is not known.
        TypeError: An argument is not known.
    """

    def __init__(
        self,
        embedding_dimension: int | None = None,
        pooling_mode: str | Sequence[str] | None = None,
        include_prompt: bool = True,
        *,
        word_embedding_dimension: int | None = None,
        **older: bool,
    ):
        dimension = embedding_dimension if embedding_dimension is not None else word_embedding_dimension
        if not isinstance(dimension, int):
            raise TypeError(f"Pooling needs embedding_dimension, the width of the token vectors, but got {dimension!r}")
        if unknown := older.keys() - OLDER_POOLING_NAMES.keys():
            raise TypeError(
                f"Pooling does not know {', '.join(sorted(unknown))}; give pooling_mode= one of {POOLING_MODES}"
            )
        if pooling_mode is None:
            chosen = [mode for key, mode in OLDER_POOLING_NAMES.items() if older.get(key)]
            pooling_mode = chosen or ["mean"]
        self.modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        for mode in self.modes:
            if mode not in POOLING_MODES:
                raise ValueError(f"the pooling mode {mode!r} is not known; known are {', '.join(POOLING_MODES)}")
        self.embedding_dimension = dimension
        self.include_prompt = include_prompt

    def __repr__(self) -> str:
        return f"Pooling({' + '.join(self.modes)}{'' if self.include_prompt else ', without the prompt'})"

    def get_embedding_dimension(self) -> int:
        """The width of the sentence vectors."""
        return self.embedding_dimension * len(self.modes)

    get_sentence_embedding_dimension = get_embedding_dimension

    def saved_settings(self) -> dict[str, Any]:
        """What 1_Pooling/config.json holds, in the keys that every version of the format reads."""
        settings: dict[str, Any] = {"word_embedding_dimension": self.embedding_dimension}
        settings |= {key: mode in self.modes for key, mode in OLDER_POOLING_NAMES.items()}
        settings["include_prompt"] = self.include_prompt
        if list(self.modes) != sorted(self.modes, key=POOLING_MODES.index):
            settings["pooling_mode"] = list(self.modes)  # the booleans know one order only; 5.4 and later read this
        return settings


@dataclass
class Dense:
    """A linear layer on the sentence vector, then ``activation_function`` (a torch.nn module or its name).

    Weights are new, drawn by torch, unless ``init_weight`` (out, in), ``init_bias`` (out,) or a checkpoint give them;
    a bias that does not come with its weight begins at zero.
    """

    in_features: int
    out_features: int
    bias: bool = True
    activation_function: Any = "torch.nn.modules.activation.Tanh"
    init_weight: Any = None
    init_bias: Any = None
    use_residual: bool = False
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.activation_function is None:
            self.activation_function = "torch.nn.modules.linear.Identity"
        elif not isinstance(self.activation_function, str):
            kind = type(self.activation_function)
            self.activation_function = f"{kind.__module__}.{kind.__qualname__}"
        given = {"linear.weight": self.init_weight, "linear.bias": self.init_bias if self.bias else None}
        self.arrays = dict(self.arrays) | {name: _array(value) for name, value in given.items() if value is not None}
        if self.bias and "linear.weight" in self.arrays:
            self.arrays.setdefault("linear.bias", np.zeros(self.out_features, dtype=np.float32))
        self.init_weight = self.init_bias = None

    def get_embedding_dimension(self) -> int:
        """The width of the vectors that come out."""
        return self.out_features

    def saved_settings(self) -> dict[str, Any]:
        """What the module's config.json holds."""
        settings = {
            name: getattr(self, name) for name in ("in_features", "out_features", "bias", "activation_function")
        }
        return settings | ({"use_residual": True} if self.use_residual else {})


@dataclass
class LayerNorm:
    """Layer normalisation of the sentence vector, with learned scale and shift."""

    dimension: int
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def saved_settings(self) -> dict[str, Any]:
        """What the module's config.json holds."""
        return {"dimension": self.dimension}


@dataclass
class Dropout:
    """Sets values of the sentence vector to zero with probability ``dropout``, in training only."""

    dropout: float = 0.2

    def saved_settings(self) -> dict[str, Any]:
        """What the module's config.json holds."""
        return {"dropout": self.dropout}


@dataclass
class Normalize:
    """Scales each sentence vector to length 1."""

    def saved_settings(self) -> dict[str, Any]:
        """What the module's config.json holds: nothing."""
        return {}


Head = Dense | LayerNorm | Dropout | Normalize
Module = Transformer | Pooling | Head
HEADS: dict[str, type[Head]] = {"Dense": Dense, "LayerNorm": LayerNorm, "Dropout": Dropout, "Normalize": Normalize}


def read_modules(checkpoint: Checkpoint, origin: str) -> list[Module]:
    """The modules of a saved model, in order, with their weights.

    Raises:
        ValueError: A module is of a kind that is not known, or its settings are not right.
        FileNotFoundError: A module's weights are missing.
    """
    modules = [_read_module(entry, origin) for entry in checkpoint.modules]
    if len(modules) == 1 and isinstance(modules[0], Transformer):
        modules.append(Pooling(modules[0].get_embedding_dimension()))  # a plain encoder
    return modules


def are_drawn_anew(modules: Iterable[Module]) -> bool:
    """Whether a module has weights that no checkpoint gives."""
    return any(isinstance(module, Dense | LayerNorm) and not module.arrays for module in modules)


def _read_module(entry: ModuleEntry, origin: str) -> Module:
    settings = entry.settings
    try:
        if entry.kind == "Transformer":
            transformer = Transformer(
                entry.folder, settings.get("max_seq_length"), do_lower_case=bool(settings.get("do_lower_case"))
            )
            transformer.location = Location(entry.folder, origin)
            return transformer
        if entry.kind == "Pooling":
            names = ("embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt")
            return Pooling(**_known(settings, (*names, *OLDER_POOLING_NAMES)))
        if entry.kind in HEADS:
            kind = HEADS[entry.kind]
            head = kind(**_known(settings, kind.__dataclass_fields__.keys() - {"arrays"}))
            if isinstance(head, Dense | LayerNorm):
                head.arrays = dict(read_arrays(entry.folder))
            return head
    except TypeError as error:
        raise ValueError(f"the settings of the module {entry.kind} in {entry.folder} are not right: {error}") from error
    known = ", ".join(["Transformer", "Pooling", *HEADS])
    raise ValueError(f"modules.json names a module {entry.kind}, which is not supported; supported are {known}")


def _known(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=np.float32)
