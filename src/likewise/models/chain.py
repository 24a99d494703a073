"""What a text passes through on its way to a vector, in order: one chain of modules for each route of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from likewise.models.classification_head import ClassificationHead
from likewise.models.heads import Dense, Dropout, LayerNorm, Normalize, works_on_tokens
from likewise.models.pooling import Pooling
from likewise.models.router import Router
from likewise.models.static_embedding import StaticEmbedding
from likewise.models.token_layers import CNN, LSTM, WeightedLayerPooling
from likewise.models.transformer import Transformer
from likewise.models.words import BoW, WordEmbeddings, WordWeights

TokenSource = Transformer | WordEmbeddings  # text → one vector per token
VectorSource = StaticEmbedding | BoW  # text → one vector per text
TextSource = TokenSource | VectorSource
TokenLayer = WeightedLayerPooling | WordWeights | CNN | LSTM | Dense | Normalize
Head = Dense | LayerNorm | Dropout | Normalize
Module = TextSource | TokenLayer | Pooling | Head | Router
Part = Module | ClassificationHead  # of a chain; the last is a cross-encoder's

WHAT_A_MODEL_IS = (
    "a model is a Transformer or WordEmbeddings, then a Pooling, or a StaticEmbedding or BoW; "
    "then any of Dense, LayerNorm, Dropout, Normalize"
)
_HEADS = (Dense, LayerNorm, Dropout, Normalize)
_TOKEN_LAYERS = (WeightedLayerPooling, WordWeights, CNN, LSTM)
_DRAWN = (Dense, LayerNorm, CNN, LSTM, StaticEmbedding)  # modules that can be made without weights


@dataclass(frozen=True)
class Chain:
    """The modules that a text passes through, by what each does."""

    source: TextSource
    token_layers: tuple[TokenLayer, ...]
    pooling: Pooling | None  # None where the source gives one vector per text
    heads: tuple[Head, ...]
    classifier: ClassificationHead | None = None  # of a cross-encoder, whose vectors are scores
    reads_pairs: bool = False  # whether its texts come in pairs, as a cross-encoder's do

    @property
    def modules(self) -> tuple[Part, ...]:
        """All of them, in order."""
        pooling = () if self.pooling is None else (self.pooling,)
        classifier = () if self.classifier is None else (self.classifier,)
        return (self.source, *self.token_layers, *pooling, *self.heads, *classifier)

    @property
    def dimension(self) -> int:
        """The width of the vectors that come out."""
        return next(width for width in map(_width, reversed(self.modules)) if width is not None)

    @property
    def is_normalized(self) -> bool:
        """Whether vectors come out 1 long."""
        return any(isinstance(head, Normalize) for head in self.heads)

    @property
    def are_drawn_anew(self) -> bool:
        """Whether a module has weights that no checkpoint gives."""
        return any(isinstance(module, _DRAWN) and not module.arrays for module in self.modules)


@dataclass(frozen=True)
class Routes:
    """A model's chains by route; a model without a Router has one, called ""."""

    chains: Mapping[str, Chain]
    router: Router | None = None

    def name(self, task: str | None = None) -> str:
        """The route that a text of ``task`` takes; a model without a Router treats all tasks alike.

        Raises:
            ValueError: There is none.
        """
        return "" if self.router is None else self.router.route_for(task)

    @property
    def names(self) -> tuple[str, ...]:
        """A Router's routes; none without one."""
        return () if self.router is None else tuple(self.chains)

    @property
    def first_name(self) -> str:
        """The route that stands for the model where one has to: the default one, or the first."""
        default = None if self.router is None else self.router.default_route
        return next(iter(self.chains)) if default is None else default

    @property
    def first(self) -> Chain:
        """The chain of ``first_name``."""
        return self.chains[self.first_name]

    @property
    def modules(self) -> list[Part]:
        """Every module of every chain, each once."""
        return list({id(module): module for chain in self.chains.values() for module in chain.modules}.values())


def routes_of(modules: Sequence[Module]) -> Routes:
    """Put ``modules`` together.

    Raises:
        ValueError: They are not in the order that a model has, or their widths do not fit.
    """
    places = [place for place, module in enumerate(modules) if isinstance(module, Router)]
    if not places:
        return Routes({"": chain_of(modules)})
    if len(places) > 1:
        raise ValueError(f"a model has one Router at most, not {len(places)}")
    router = modules[places[0]]
    assert isinstance(router, Router)
    before, after = modules[: places[0]], modules[places[0] + 1 :]
    chains = {route: chain_of([*before, *own, *after]) for route, own in router.routes.items()}
    if len(widths := {chain.dimension for chain in chains.values()}) > 1:
        raise ValueError(f"the routes of a Router must give vectors of one width, not of {sorted(widths)}")
    return Routes(chains, router)


def chain_of(modules: Sequence[Module]) -> Chain:
    """Put the modules of one route together.

    Raises:
        ValueError: They are not in the order that a model has, or their widths do not fit.
    """
    names = ", ".join(type(module).__name__ for module in modules[:12]) or "nothing"
    names += ", …" if len(modules) > 12 else ""
    rest = list(modules)
    source = rest.pop(0) if rest else None
    token_layers: list[Any] = []
    pooling = None
    if isinstance(source, Transformer | WordEmbeddings):
        while rest and (isinstance(rest[0], _TOKEN_LAYERS) or works_on_tokens(rest[0])):
            token_layers.append(rest.pop(0))
        pooling = rest.pop(0) if rest else None
        is_right = isinstance(pooling, Pooling)
    else:
        is_right = isinstance(source, StaticEmbedding | BoW)
    if not is_right or not all(isinstance(head, _HEADS) and not works_on_tokens(head) for head in rest):
        raise ValueError(f"{WHAT_A_MODEL_IS}, not {names}")
    if any(isinstance(layer, WeightedLayerPooling) for layer in token_layers[1:]):
        raise ValueError("WeightedLayerPooling must follow the Transformer: it takes the states of its layers")
    chain = Chain(source, tuple(token_layers), pooling, tuple(rest))  # type: ignore[arg-type]
    _check_widths(chain)
    return chain


def _check_widths(chain: Chain) -> None:
    words = getattr(chain.source, "vocabulary", 0)
    for layer in chain.token_layers:
        if isinstance(layer, WordWeights) and len(layer.vocab) < words:
            raise ValueError(f"WordWeights has {len(layer.vocab)} words, but the encoder {words}")
    width = chain.source.get_embedding_dimension()
    kind = "the encoder" if isinstance(chain.source, Transformer) else type(chain.source).__name__
    for module in chain.modules[1:]:
        expected = _expected_width(module)
        if expected is not None and expected != width:
            name = "the pooling" if isinstance(module, Pooling) else type(module).__name__
            is_late = any(module is head for head in chain.heads)
            what = "vectors" if is_late else "token vectors"
            raise ValueError(f"{name} expects {what} of {expected} dimensions, {kind} gives {width}")
        width = _width(module) or width
        kind = type(module).__name__


def _expected_width(module: Part) -> int | None:
    for name in ("in_features", "in_embedding_dimension", "embedding_dimension", "dimension"):
        if (width := getattr(module, name, None)) is not None:
            return int(width)
    return None


def _width(module: Part) -> int | None:
    return module.get_embedding_dimension() if hasattr(module, "get_embedding_dimension") else None
