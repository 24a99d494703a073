"""A module's description → the torch module that computes it, with its weights."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from likewise import models
from likewise.checkpoint.arrays import check_shapes, origin_of
from likewise.checkpoint.other_settings import OtherSettings
from likewise.checkpoint.values import about
from likewise.network import encoder_class
from likewise.network.adapted_layers import adapters_of
from likewise.network.adapters import merged_copy, plain_copy
from likewise.network.classification_head import ClassificationHead
from likewise.network.dropout import Dropout
from likewise.network.encoder import Encoder
from likewise.network.heads import Dense, LayerNorm, Normalize
from likewise.network.logit_scorer import read_logit_scorer
from likewise.network.pooling import Pooling
from likewise.network.token_layers import CNN, LSTM, WeightedLayerPooling
from likewise.network.transformers import TransformersEncoder, read_encoder
from likewise.network.words import TokenMeans, WordCounts, WordTable, WordWeights


def build_part(module: models.Part, shared: bool) -> nn.Module:
    """The torch module of one description, in float32; weights that no checkpoint gives are drawn anew.

    ``shared`` lets it read the checkpoint's arrays where they are instead of copying them: it must not train.

    Raises:
        ValueError: An array is missing or has the wrong shape.
    """
    if isinstance(module, models.SequenceClassifier):
        assert isinstance(module.settings, OtherSettings)
        return read_encoder(module.settings, module.stored, module.config, module.labels)
    if isinstance(module, models.LogitScorer):
        assert isinstance(module.settings, OtherSettings)
        return read_logit_scorer(module.settings, module.stored, module.config, module.tokens)
    if isinstance(module, models.Transformer):
        return _encoder(module, shared)
    arrays: Mapping[str, NDArray[Any]] = getattr(module, "arrays", {})
    origin = origin_of(module)
    # On the meta device nothing is drawn or filled that the checkpoint replaces.
    with torch.device("meta"), about(origin):
        part = PARTS[type(module)](module)
    if arrays:
        _assign(part, arrays, origin, shared)
    elif any(True for _ in part.parameters()):
        part.to_empty(device="cpu")
        for inner in part.modules():
            draw = getattr(inner, "reset_parameters", None)
            if draw is not None:
                draw()
    return part


def arrays_of(part: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights of a part as they are now, an encoder's under the library's names, others' under their file's.

    An encoder's active adapters are merged into them.
    """
    if isinstance(part, Encoder | TransformersEncoder) and adapters_of(part):
        part = merged_copy(part)
    arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in part.state_dict().items()}
    return part.parted(arrays) if isinstance(part, Encoder | TransformersEncoder) else arrays


def is_as_stored(encoder: nn.Module, transformer: models.Transformer) -> bool:
    """Whether an encoder, but for its adapters, has the weights that its checkpoint has."""
    stored, own = build_part(transformer, shared=True).state_dict(), plain_copy(encoder).state_dict()
    # A checkpoint may lack the pooler, which no sentence embedding uses.
    return all(torch.equal(own[name].cpu(), values) for name, values in stored.items() if "pooler" not in name)


def read_again(encoder: nn.Module, transformer: models.Transformer) -> None:
    """Give an encoder without adapters the weights that its checkpoint has."""
    encoder.load_state_dict(build_part(transformer, shared=True).state_dict())


PARTS: dict[type[models.Part], Callable[[Any], nn.Module]] = {  # a description → its torch module
    models.Pooling: lambda pooling: Pooling(pooling.modes),
    models.ClassificationHead: lambda head: ClassificationHead(head.settings),
    models.Dense: lambda dense: Dense(
        dense.in_features, dense.out_features, dense.bias, dense.activation_function, dense.use_residual
    ),
    models.LayerNorm: lambda norm: LayerNorm(norm.dimension),
    models.Dropout: lambda dropout: Dropout(dropout.dropout),
    models.Normalize: lambda _: Normalize(),
    models.CNN: lambda cnn: CNN(cnn.in_embedding_dimension, cnn.out_channels, cnn.kernel_sizes),
    models.LSTM: lambda lstm: LSTM(
        lstm.embedding_dimension, lstm.hidden_dim, lstm.num_layers, lstm.dropout, lstm.bidirectional
    ),
    models.WeightedLayerPooling: lambda layers: WeightedLayerPooling(layers.num_hidden_layers, layers.layer_start),
    models.WordWeights: lambda weights: WordWeights(len(weights.vocab)),
    models.WordEmbeddings: lambda words: WordTable(*words.shape),
    models.StaticEmbedding: lambda static: TokenMeans(*static.shape),
    models.BoW: lambda bag: WordCounts(torch.tensor(bag.weights, device="cpu"), bag.cumulative_term_frequency),
}


def _encoder(transformer: models.Transformer, shared: bool) -> nn.Module:
    if isinstance(transformer.settings, OtherSettings):
        return read_encoder(transformer.settings, transformer.stored, transformer.config)
    with torch.device("meta"), about(transformer.base_folder / "config.json"):  # of an activation that is not known
        encoder = encoder_class(transformer.settings.model_type)(transformer.settings)
    origin = str(transformer.stored.origin)
    with about(origin):
        arrays = encoder.fused(transformer.arrays)
    _assign(encoder, arrays, origin, shared)
    return encoder


def _assign(part: nn.Module, arrays: Mapping[str, NDArray[Any]], origin: str, shared: bool) -> None:
    expected = {name: tuple(parameter.shape) for name, parameter in part.state_dict().items()}
    check_shapes(arrays, expected, origin)
    tensors = {}
    for name in expected:
        values = arrays[name].astype(np.float32, copy=not shared)
        tensors[name] = torch.from_numpy(np.require(values, requirements="W"))
    part.load_state_dict(tensors, assign=True)
    for parameter in part.parameters():
        parameter.requires_grad_(True)
