"""The whole model as one torch module: encoder, pooling, heads."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from likewise import models
from likewise.network.packed import PackedTokens, packed_tokens
from likewise.network.parts import build_part
from likewise.network.token_layers import CNN, LSTM, WeightedLayerPooling
from likewise.network.words import WordWeights
from likewise.tokens import TokenBatch


class SentenceNetwork(nn.Module):
    """TokenBatch → one vector per text, differentiable: the modules of one chain.

    Texts of a batch are computed fastest when they are sorted by length, as ``tokens.batches_by_length`` cuts them.
    """

    encoder: Any  # packed tokens → token states, or text vectors where there is no pooling

    def __init__(
        self, encoder: nn.Module, token_layers: list[nn.Module], pooling: nn.Module | None, heads: list[nn.Module]
    ):
        super().__init__()
        self.encoder = encoder
        self.token_layers = nn.ModuleList(token_layers)
        self.pooling = pooling
        self.heads = nn.Sequential(*heads)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters(), torch.empty(0)).device

    def forward(self, batch: TokenBatch, route: str = "") -> Tensor:
        """(texts,) → (texts, dim), float32."""
        tokens = packed_tokens(batch, self.device)
        if self.pooling is None:
            return self.heads(self.encoder(tokens)).float()
        return self.pooled(*self.token_states(tokens))

    def token_states(self, tokens: PackedTokens) -> tuple[Tensor, PackedTokens]:
        """(tokens,) → (tokens, hidden): the encoder and the layers between it and the pooling."""
        layers = list(self.token_layers)
        if layers and isinstance(layers[0], WeightedLayerPooling):
            hidden = layers.pop(0)(self.encoder.all_layers(tokens))
        else:
            hidden = self.encoder(tokens)
        for layer in layers:
            if isinstance(layer, WordWeights):
                hidden, tokens = layer(hidden, tokens)
            elif isinstance(layer, CNN | LSTM):  # they look at a token's neighbours
                hidden = layer(hidden, tokens)
            else:
                hidden = layer(hidden)
        return hidden, tokens

    def pooled(self, hidden: Tensor, tokens: PackedTokens) -> Tensor:
        """(tokens, hidden) → (texts, dim), float32: the pooling and the heads."""
        assert self.pooling is not None
        return self.heads(self.pooling(hidden, tokens)).float()


class RoutedNetwork(nn.Module):
    """A network for each route of a Router; parts that routes share are shared."""

    def __init__(self, networks: Mapping[str, SentenceNetwork]):
        super().__init__()
        self.routes = nn.ModuleDict(networks)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters(), torch.empty(0)).device

    def forward(self, batch: TokenBatch, route: str) -> Tensor:
        """(texts,) → (texts, dim), float32, by the modules of ``route``."""
        vectors: Tensor = self.routes[route](batch)
        return vectors


def build_network(
    chain: models.Chain, shared: bool = False, parts: dict[int, nn.Module] | None = None
) -> SentenceNetwork:
    """The network of ``chain`` with its weights, in float32; weights that no checkpoint gives are drawn anew.

    ``shared`` lets the network read the checkpoint's arrays where they are instead of copying them: it must not train.
    ``parts`` remembers the torch module of each description, by its id, for other chains that share it.

    Raises:
        ValueError: An array is missing or has the wrong shape.
    """
    parts = {} if parts is None else parts
    for module in chain.modules:
        if id(module) not in parts:
            parts[id(module)] = build_part(module, shared)

    def part(module: models.Part) -> nn.Module:
        return parts[id(module)]

    # Where config.json does not ask for the states of all layers, the incumbent's WeightedLayerPooling does nothing.
    has_states = isinstance(chain.source, models.Transformer) and bool(chain.source.config.get("output_hidden_states"))
    layers = [part(m) for m in chain.token_layers if has_states or not isinstance(m, models.WeightedLayerPooling)]
    pooling = None if chain.pooling is None else part(chain.pooling)
    heads = [part(head) for head in chain.heads] + ([] if chain.classifier is None else [part(chain.classifier)])
    return SentenceNetwork(part(chain.source), layers, pooling, heads).eval()
