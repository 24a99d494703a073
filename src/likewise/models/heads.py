"""The descriptions of what may follow the pooling: Dense, LayerNorm, Dropout, Normalize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.values import number, shortened, whole_number
from likewise.checkpoint.write import Layout, ModuleFiles

SENTENCE, TOKENS = "sentence_embedding", "token_embeddings"  # what a module works on, by the incumbent's names


@dataclass
class Dense:
    """A linear layer on the sentence vector, then ``activation_function`` (a torch.nn module or its name).

    Weights are new, drawn by torch, unless ``init_weight`` (out, in), ``init_bias`` (out,) or a checkpoint give them;
    a bias that does not come with its weight begins at zero. With ``module_input_name="token_embeddings"`` the layer
    stands before the pooling and works on each token's vector.
    """

    in_features: int
    out_features: int
    bias: bool = True
    activation_function: Any = "torch.nn.modules.activation.Tanh"
    init_weight: Any = None
    init_bias: Any = None
    module_input_name: str = SENTENCE
    module_output_name: str | None = None
    use_residual: bool = False
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        whole_number(self.in_features, "in_features")
        whole_number(self.out_features, "out_features")
        self.bias, self.use_residual = bool(self.bias), bool(self.use_residual)
        self.module_output_name = _checked_names("Dense", self.module_input_name, self.module_output_name)
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

    def __repr__(self) -> str:
        facts = [f"{self.in_features} → {self.out_features}", self.activation_function.rpartition(".")[2]]
        facts += (
            ["no bias"] * (not self.bias) + ["residual"] * self.use_residual + ["on tokens"] * works_on_tokens(self)
        )
        return f"Dense({', '.join(facts)})"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its arrays."""
        shapes: dict[str, tuple[int, ...]] = {"linear.weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["linear.bias"] = (self.out_features,)
        if self.use_residual and self.in_features != self.out_features:
            shapes["residual.weight"] = (self.out_features, self.in_features)
        return shapes

    def get_embedding_dimension(self) -> int:
        """The width of the vectors that come out."""
        return self.out_features

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        names = ("in_features", "out_features", "bias", "activation_function")
        settings = {name: getattr(self, name) for name in names} | _input_and_output(self, layout)
        if self.use_residual:  # versions that do not know the key refuse it
            settings["use_residual"] = True
        return ModuleFiles("Dense", {"config.json": settings}, weights)


@dataclass
class LayerNorm:
    """Layer normalisation of the sentence vector, with learned scale and shift."""

    dimension: int
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        whole_number(self.dimension, "dimension")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its arrays."""
        return {"norm.weight": (self.dimension,), "norm.bias": (self.dimension,)}

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        return ModuleFiles("LayerNorm", {"config.json": {"dimension": self.dimension}}, weights)


@dataclass
class Dropout:
    """Sets values of the sentence vector to zero with probability ``dropout``, in training only."""

    dropout: float = 0.2

    def __post_init__(self) -> None:
        number(self.dropout, "dropout", least=0, most=1)

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        return ModuleFiles("Dropout", {"config.json": {"dropout": self.dropout}})


@dataclass
class Normalize:
    """Scales each sentence vector to length 1; before the pooling, with "token_embeddings", each token's vector."""

    module_input_name: str = SENTENCE
    module_output_name: str | None = None

    def __post_init__(self) -> None:
        self.module_output_name = _checked_names("Normalize", self.module_input_name, self.module_output_name)

    def __repr__(self) -> str:
        return "Normalize()" if self.module_input_name == SENTENCE else f"Normalize({self.module_input_name})"

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        return ModuleFiles("Normalize", {"config.json": _input_and_output(self, layout)})


def works_on_tokens(module: object) -> bool:
    """Whether a Dense or Normalize stands before the pooling."""
    return getattr(module, "module_input_name", SENTENCE) == TOKENS


def _checked_names(kind: str, input_name: object, output_name: object) -> str:
    if input_name not in (SENTENCE, TOKENS) or output_name not in (None, input_name):
        raise ValueError(
            f"{kind} reads {shortened(input_name)} and writes {shortened(output_name)}; supported is one of "
            f"{SENTENCE!r} and {TOKENS!r} for both"
        )
    return str(input_name)


def _input_and_output(module: Dense | Normalize, layout: Layout) -> dict[str, Any]:
    # The older layout knows these keys only where they say something.
    if layout == "legacy" and module.module_input_name == SENTENCE:
        return {}
    return {"module_input_name": module.module_input_name, "module_output_name": module.module_output_name}


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=np.float32)
