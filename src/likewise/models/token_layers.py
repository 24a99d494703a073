"""The descriptions of what may stand between the encoder and the pooling: CNN, LSTM, WeightedLayerPooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.values import whole_number
from likewise.checkpoint.write import Layout, ModuleFiles


@dataclass
class CNN:
    """Convolutions over a text's token vectors, one for each kernel size, side by side; beyond its ends are zeros."""

    in_embedding_dimension: int | None = None
    out_channels: int = 256
    kernel_sizes: Sequence[int] = (1, 3, 5)
    stride_sizes: Sequence[int] | None = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    in_word_embedding_dimension: InitVar[int | None] = None  # its older name

    def __post_init__(self, in_word_embedding_dimension: int | None) -> None:
        self.in_embedding_dimension = self.in_embedding_dimension or in_word_embedding_dimension
        whole_number(self.in_embedding_dimension, "in_embedding_dimension")
        whole_number(self.out_channels, "out_channels")
        self.kernel_sizes = _numbers(self.kernel_sizes, "kernel_sizes")
        for size in self.kernel_sizes:
            if size % 2 == 0:
                raise ValueError(f"kernel_sizes must be odd, so that each token keeps its place, not {size}")
        if self.stride_sizes is not None and set(_numbers(self.stride_sizes, "stride_sizes")) != {1}:
            raise ValueError(f"stride_sizes must be 1, so that each token keeps its place, not {self.stride_sizes}")
        self.stride_sizes = [1] * len(self.kernel_sizes)

    def get_embedding_dimension(self) -> int:
        """The width of the token vectors that come out."""
        return self.out_channels * len(self.kernel_sizes)

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        width = "in_embedding_dimension" if layout == "6" else "in_word_embedding_dimension"
        settings = {
            width: self.in_embedding_dimension,
            "out_channels": self.out_channels,
            "kernel_sizes": self.kernel_sizes,
            "stride_sizes": self.stride_sizes,
        }
        return ModuleFiles("CNN", {"cnn_config.json": settings}, weights)


@dataclass
class LSTM:
    """A recurrent network over a text's token vectors, in one or both directions."""

    embedding_dimension: int | None = None
    hidden_dim: int | None = None
    num_layers: int = 1
    dropout: float = 0
    bidirectional: bool = True
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    word_embedding_dimension: InitVar[int | None] = None  # its older name

    def __post_init__(self, word_embedding_dimension: int | None) -> None:
        self.embedding_dimension = self.embedding_dimension or word_embedding_dimension
        whole_number(self.embedding_dimension, "embedding_dimension")
        whole_number(self.hidden_dim, "hidden_dim")
        whole_number(self.num_layers, "num_layers", most=1000)

    def get_embedding_dimension(self) -> int:
        """The width of the token vectors that come out."""
        return whole_number(self.hidden_dim, "hidden_dim") * (2 if self.bidirectional else 1)

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        width = "embedding_dimension" if layout == "6" else "word_embedding_dimension"
        names = ("hidden_dim", "num_layers", "dropout", "bidirectional")
        settings = {width: self.embedding_dimension} | {name: getattr(self, name) for name in names}
        return ModuleFiles("LSTM", {"lstm_config.json": settings}, weights)


@dataclass
class WeightedLayerPooling:
    """A token's vector is the weighted mean of what the encoder's layers give, from ``layer_start`` on.

    As in the incumbent it has an effect only where config.json has ``"output_hidden_states": true``.
    """

    embedding_dimension: int | None = None
    num_hidden_layers: int = 12
    layer_start: int = 4
    layer_weights: Any = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    word_embedding_dimension: InitVar[int | None] = None  # its older name

    def __post_init__(self, word_embedding_dimension: int | None) -> None:
        self.embedding_dimension = self.embedding_dimension or word_embedding_dimension
        whole_number(self.embedding_dimension, "embedding_dimension")
        whole_number(self.num_hidden_layers, "num_hidden_layers", most=1000)
        whole_number(self.layer_start, "layer_start", least=0, most=self.num_hidden_layers)
        given = self.layer_weights
        if given is None:
            given = np.ones(self.num_hidden_layers + 1 - self.layer_start, dtype=np.float32)
        values = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given, dtype=np.float32)
        self.arrays = {"layer_weights": values} | dict(self.arrays)
        self.layer_weights = None

    def get_embedding_dimension(self) -> int:
        """The width of the token vectors."""
        return whole_number(self.embedding_dimension, "embedding_dimension")

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        width = "embedding_dimension" if layout == "6" else "word_embedding_dimension"
        settings = {
            width: self.embedding_dimension,
            "layer_start": self.layer_start,
            "num_hidden_layers": self.num_hidden_layers,
        }
        return ModuleFiles("WeightedLayerPooling", {"config.json": settings}, weights)


def _numbers(values: object, name: str) -> Sequence[int]:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"{name} must be a list of whole numbers, not {values!r}")
    return [whole_number(value, name) for value in values]
