"""A model's one live representation: an engine made from its checkpoint or, once asked for, its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from likewise import models
from likewise.engine import Engine

if TYPE_CHECKING:
    from likewise.network.sentence_network import SentenceNetwork


class LiveModel:
    """Makes what computes when it is first needed, and keeps one of it, so that nothing has to be kept in step."""

    def __init__(self, modules: Sequence[models.Module], device: str | None, dtype: str):
        self.modules = modules
        self.device = device  # None: the best there is
        self.dtype = dtype
        self._engine: Engine | None = None
        self._network: SentenceNetwork | None = None
        self._lock = RLock()  # several threads may ask first
        if models.are_drawn_anew(modules):
            _ = self.network  # weights that are in no file live in the network from the start

    @property
    def engine(self) -> Engine:
        """What computes vectors."""
        with self._lock:
            if self._engine is None:
                from likewise.engine.torch import torch_engine

                self._engine = torch_engine(self.modules, self.device, self.dtype)
            return self._engine

    @property
    def network(self) -> SentenceNetwork:
        """The model as a torch module, in float32; from then on it is the model."""
        with self._lock:
            if self._network is None:
                from likewise.network.sentence_network import build_network

                self._network = build_network(self.modules)
                self.move(self.device, self.dtype)
            return self._network

    @property
    def has_network(self) -> bool:
        """Whether the network is the model."""
        return self._network is not None

    def move(self, device: str | None, dtype: str) -> None:
        """Compute on ``device`` and in ``dtype`` from now on.

        Raises:
            ValueError: The device is not there.
        """
        with self._lock:
            engine = None
            if self._network is not None:
                from likewise.engine.torch import network_engine

                engine = network_engine(self._network, device, dtype)
            elif device is not None:
                from likewise.engine.torch import check_device

                check_device(device)  # before anything changes: the model stays usable where it was
            self.device, self.dtype, self._engine = device, dtype, engine

    def encoder_arrays(self) -> Mapping[str, NDArray[Any]]:
        """The encoder's weights as they are now, unrounded, under the library's names."""
        if self._network is not None:
            from likewise.network.sentence_network import encoder_arrays

            return encoder_arrays(self._network)
        transformer = self.modules[0]
        assert isinstance(transformer, models.Transformer)
        return transformer.arrays

    def head_arrays(self) -> Sequence[Mapping[str, NDArray[Any]]]:
        """The weights of each head behind the pooling as they are now, under the names that its own file uses."""
        if self._network is not None:
            from likewise.network.sentence_network import head_arrays

            return head_arrays(self._network)
        return [getattr(head, "arrays", {}) for head in self.modules[2:]]

    def __repr__(self) -> str:
        if self._engine is None:
            return f"not made yet, dtype {self.dtype}"
        return f"{self._engine.name} in {self._engine.dtype} on {self._engine.device}"
