"""A model's one live representation: engines made from its checkpoint or, once asked for, its network."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from likewise import models
from likewise.engine import Engine
from likewise.engine.calibration import rounding_of
from likewise.engine.library import are_there, instruction_set
from likewise.engine.native import NativeEngine, reason_against
from likewise.engine.processor import has_torch, may_have_gpu
from likewise.engine.static import StaticEngine, computes

if TYPE_CHECKING:
    from torch import nn

    from likewise.network.sentence_network import RoutedNetwork, SentenceNetwork


NO_KERNELS = (
    "likewise cannot compute here: it was installed where no C++ compiler was, so it has no kernels, and torch is not "
    "there either; install a compiler and then likewise again, for example with: apt install g++ && "
    "pip install --force-reinstall --no-deps --no-cache-dir --no-binary likewise likewise, or install torch with: "
    "pip install 'likewise[torch]'"
)


def without_torch(against: str) -> str:
    """What is wrong, and what to do, where the kernels do not compute a model and torch is not installed."""
    if not are_there():
        return NO_KERNELS
    command = "pip install 'likewise[torch]'"
    return f"{against}, and torch, which would compute it, is not installed; install it with: {command}"


class LiveModel:
    """Makes what computes when it is first needed, and keeps one of it, so that nothing has to be kept in step."""

    def __init__(
        self, routes: models.Routes, device: str | None, dtype: str, wanted: str = "auto", threads: int | None = None
    ):
        self.routes = routes
        self.device = device  # None: the best there is
        self.dtype = dtype
        self.wanted = wanted  # "native" or "torch"; "auto": whichever computes the model, the faster one first
        self.threads = threads  # None: as many as there are cores
        self.why: dict[str, str] = {}  # route → why its engine is not the native one, or what that one is
        self._engines: dict[str, Engine] = {}
        self._network: SentenceNetwork | RoutedNetwork | None = None
        self._parts: dict[int, nn.Module] = {}  # the torch module of each description, by its id
        self._lock = RLock()  # several threads may ask first
        if any(chain.are_drawn_anew for chain in routes.chains.values()):
            _ = self.network  # weights that are in no file live in the network from the start

    def engine(self, route: str) -> Engine:
        """What computes the vectors of ``route``."""
        with self._lock:
            if route not in self._engines:
                self._engines[route] = self._new_engine(route)
            return self._engines[route]

    def rounding(self, route: str) -> str:
        """What decides how the vectors of ``route`` are rounded, such as "bfloat16"; told without making its engine."""
        with self._lock:
            chain = self.routes.chains[route]
            if self._network is None and self._is_static(chain):
                return StaticEngine.dtype
            if self._network is None and self._reason_against_native(chain) is None:
                return rounding_of(chain.source, self.dtype, instruction_set())  # type: ignore[arg-type]
            is_torchs = self.wanted != "native" and self.dtype != "int8" and has_torch()
            if self._network is None and is_torchs:
                from likewise.engine.torch import chosen_dtype, default_device

                return chosen_dtype(self.dtype, self.device or default_device())
            return self.engine(route).dtype  # there already, or it tells why it cannot be made

    def is_deterministic(self, route: str) -> bool:
        """Whether any engine of ``route`` gives a text the same bits in any batch; told without making one."""
        with self._lock:
            chain = self.routes.chains[route]
            return self._network is None and (self._is_static(chain) or self._reason_against_native(chain) is None)

    @property
    def network(self) -> SentenceNetwork | RoutedNetwork:
        """The model as a torch module, in float32; from then on it is the model."""
        with self._lock:
            if self._network is None:
                from likewise.network.sentence_network import RoutedNetwork, build_network

                self._parts = {}  # an engine's may have rounded weights
                networks = {
                    route: build_network(chain, parts=self._parts) for route, chain in self.routes.chains.items()
                }
                self._network = networks[""] if self.routes.router is None else RoutedNetwork(networks)
                self.move(self.device, self.dtype)
            return self._network

    @property
    def has_network(self) -> bool:
        """Whether the network is the model."""
        return self._network is not None

    def move(self, device: str | None, dtype: str) -> None:
        """Compute on ``device`` and in ``dtype`` from now on.

        Raises:
            ValueError: The device is not there, or the network, which is the model now, does not compute in ``dtype``.
        """
        with self._lock:
            engines: dict[str, Engine] = {}
            if self._network is not None:
                from likewise.engine.torch import network_engine

                if dtype == "int8":
                    raise ValueError(
                        'dtype="int8" is for models as they were loaded, but the network of this one has been asked '
                        "for, to be trained or changed; save it and load it again in int8, or use float32"
                    )
                for route, network in self._networks().items():
                    engines[route] = network_engine(network, device, dtype)
                    self.why[route] = "the network has been asked for"
            else:
                if device not in (None, "cpu"):
                    from likewise.engine.torch import check_device

                    check_device(device)  # before anything changes: the model stays usable where it was
                self._parts = {}
            self.device, self.dtype, self._engines = device, dtype, engines

    def part(self, module: models.Part) -> nn.Module:
        """What computes one of the model's modules within the network."""
        _ = self.network
        return self._parts[id(module)]

    def arrays(self, module: models.Part) -> Mapping[str, NDArray[Any]]:
        """The weights of one of the model's modules as they are now, unrounded.

        An encoder's have the library's names, all others those that their own file uses. Adapters are merged into them.
        """
        if self._network is not None:
            from likewise.network.parts import arrays_of

            return arrays_of(self._parts[id(module)])
        return getattr(module, "arrays", {})

    def _networks(self) -> dict[str, SentenceNetwork]:
        if self.routes.router is None:
            return {"": self._network}  # type: ignore[dict-item]
        return dict(self._network.routes)  # type: ignore[union-attr, arg-type]

    def _new_engine(self, route: str) -> Engine:
        chain = self.routes.chains[route]
        if self._is_static(chain):
            self.why[route] = "it has no transformer"
            return StaticEngine(chain)
        against = self._reason_against_native(chain)
        if against is None:
            engine = NativeEngine(chain, self.dtype, self.threads)
            self.why[route] = engine.note
            return engine
        self.why[route] = against
        if self.wanted == "native" or self.dtype == "int8":
            asked = 'engine="native"' if self.wanted == "native" else 'dtype="int8"'
            raise ValueError(f"{asked} needs the native engine, but {against}")
        if not has_torch():
            raise ImportError(without_torch(against))
        from likewise.engine.torch import torch_engine

        return torch_engine(chain, self.device, self.dtype, self._parts, self.threads)

    def _is_static(self, chain: models.Chain) -> bool:
        return self.device in (None, "cpu") and computes(chain)

    def _reason_against_native(self, chain: models.Chain) -> str | None:
        """Why the kernels do not compute ``chain`` here; None where they do."""
        if self.wanted == "torch":
            return 'engine="torch" was asked for'
        if self.device not in (None, "cpu"):
            return f"the kernels do not run on {self.device}"
        if self.device is None and self.wanted == "auto" and self.dtype != "int8" and may_have_gpu() and has_torch():
            from likewise.engine.torch import default_device

            if (device := default_device()) != "cpu":
                return f"there is a GPU ({device})"
        return reason_against(chain, self.dtype)

    def __repr__(self) -> str:
        made = {
            f"{engine.name} in {engine.dtype} on {engine.device} ({self.why[route]})"
            for route, engine in self._engines.items()
        }
        return ", ".join(sorted(made)) or f"not made yet, dtype {self.dtype}"
