"""The whole model as one torch module: encoder, pooling, heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise import models
from likewise.network import encoder_class
from likewise.network.heads import Dense, LayerNorm, Normalize
from likewise.network.packed import PackedTokens, packed_tokens
from likewise.network.pooling import Pooling
from likewise.tokens import TokenBatch


class SentenceNetwork(nn.Module):
    """TokenBatch → one vector per text, differentiable.

    Texts of a batch are computed fastest when they are sorted by length, as ``tokens.batches_by_length`` cuts them.
    """

    def __init__(self, modules: Sequence[models.Module]):
        super().__init__()
        transformer, pooling, *heads = modules
        assert isinstance(transformer, models.Transformer)
        assert isinstance(pooling, models.Pooling)
        self.encoder = encoder_class(transformer.settings.model_type)(transformer.settings)
        self.pooling = Pooling(pooling.modes, pooling.include_prompt)
        self.heads = nn.Sequential(*(_head(head) for head in heads))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def forward(self, batch: TokenBatch) -> Tensor:
        """(texts,) → (texts, dim), float32."""
        tokens = packed_tokens(batch, self.device)
        return self.pooled(self.encoder(tokens), tokens)

    def pooled(self, hidden: Tensor, tokens: PackedTokens) -> Tensor:
        """(tokens, hidden) → (texts, dim), float32: the pooling and the heads."""
        return self.heads(self.pooling(hidden, tokens)).float()


def build_network(modules: Sequence[models.Module], shared: bool = False) -> SentenceNetwork:
    """The network of ``modules`` with their weights, in float32; weights that no checkpoint gives are drawn anew.

    ``shared`` lets the network read the checkpoint's arrays where they are instead of copying them: it must not train.

    Raises:
        ValueError: An array is missing or has the wrong shape.
    """
    with torch.device("meta"):  # nothing is drawn or filled that the checkpoint replaces
        network = SentenceNetwork(modules)
    transformer, _, *heads = modules
    assert isinstance(transformer, models.Transformer)
    origin = str(transformer.stored.origin)
    try:
        arrays = network.encoder.fused(transformer.arrays)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from error
    _assign(network.encoder, arrays, origin, shared)
    for module, head in zip(network.heads, heads, strict=True):
        if given := getattr(head, "arrays", {}):
            _assign(module, given, f"the weights of {head}", shared)
        else:
            module.to_empty(device="cpu")
            for part in module.modules():
                if isinstance(part, nn.Linear | nn.LayerNorm):
                    part.reset_parameters()
    return network.eval()


def encoder_arrays(network: SentenceNetwork) -> dict[str, NDArray[Any]]:
    """The encoder's weights under the library's names."""
    return network.encoder.parted(_arrays_of(network.encoder))


def head_arrays(network: SentenceNetwork) -> list[dict[str, NDArray[Any]]]:
    """The weights of each head, under the names that its own file uses."""
    return [_arrays_of(head) for head in network.heads]


def _arrays_of(module: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in module.state_dict().items()}


def _head(head: models.Module) -> nn.Module:
    if isinstance(head, models.Dense):
        return Dense(head.in_features, head.out_features, head.bias, head.activation_function, head.use_residual)
    if isinstance(head, models.LayerNorm):
        return LayerNorm(head.dimension)
    if isinstance(head, models.Dropout):
        return nn.Dropout(head.dropout)
    if isinstance(head, models.Normalize):
        return Normalize()
    raise ValueError(f"{head} cannot follow the pooling; Dense, LayerNorm, Dropout and Normalize can")


def _assign(module: nn.Module, arrays: Mapping[str, NDArray[Any]], origin: str, shared: bool) -> None:
    expected = {name: tuple(parameter.shape) for name, parameter in module.state_dict().items()}
    if missing := expected.keys() - arrays.keys():
        raise ValueError(f"{origin} lacks {len(missing)} of the arrays the model needs, such as {min(missing)}")
    tensors = {}
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape:
            raise ValueError(f"{origin}: the array {name} has the shape {array.shape}, but config.json means {shape}")
        values = array.astype(np.float32, copy=not shared)
        tensors[name] = torch.from_numpy(np.require(values, requirements="W"))
    module.load_state_dict(tensors, assign=True)
    for parameter in module.parameters():
        parameter.requires_grad_(True)
