"""An encoder's description and its arrays → an encoder of the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.activations import activation_class
from likewise.checkpoint.arrays import NamedArrays, check_shapes
from likewise.checkpoint.distance_buckets import distance_buckets
from likewise.checkpoint.encoder_settings import BertSettings, EncoderSettings
from likewise.checkpoint.names import with_projections_joined
from likewise.checkpoint.rotary_settings import ModernBertSettings, NomicBertSettings
from likewise.checkpoint.values import about
from likewise.engine.library import ACTIVATIONS, LAYER_PRODUCTS, Encoder, Settings
from likewise.models import Transformer

Arrays = Mapping[str, NDArray[Any]]
KnownSettings = BertSettings | ModernBertSettings | NomicBertSettings
InputScales = Mapping[tuple[int, str], NDArray[np.float32]]  # (layer, product) → (inputs,)


def not_known(settings: EncoderSettings) -> str | None:
    """What of an encoder the kernels do not compute; None where they compute all of it."""
    if not isinstance(settings, KnownSettings):
        return f"the architecture {settings.model_type}"
    if activation_class(settings.activation) not in ACTIVATIONS:
        return f"the activation function {settings.activation}"
    return None


def kernel_encoder(
    transformer: Transformer,
    dtype: str,
    instructions: str,
    *,
    input_scales: InputScales | None = None,
    packed: NamedArrays | None = None,
) -> Encoder:
    """The encoder of ``transformer``, the products of its layers in ``dtype`` and packed for an instruction set.

    ``input_scales`` is what each input of an int8 product is multiplied by before it is rounded.
    ``packed`` holds the products of the layers as they were packed before, "layers.0.qkv": their weights are not read.

    Raises:
        ValueError: An array is missing or has the wrong shape.
    """
    settings, origin = transformer.settings, transformer.stored.origin
    assert isinstance(settings, KnownSettings)
    with about(origin):
        shapes = dict(_shapes(settings))
        arrays: Arrays = transformer.arrays if packed is not None else joined_arrays(transformer)
        read = shapes if packed is None else {name: shapes[name] for name in shapes if not _is_of_layer_product(name)}
        check_shapes(arrays, read, str(origin))
        encoder = Encoder(_settings(settings), instructions)
        _set_around_layers(encoder, settings, arrays)
        _set_norms(encoder, settings, arrays)
        if packed is None:
            for layer, kind in layer_products(settings):
                name, scales = f"layers.{layer}.{kind}", None if input_scales is None else input_scales[layer, kind]
                weight, bias = arrays[f"{name}.weight"], arrays.get(f"{name}.bias")
                encoder.set_product(kind, layer, dtype, weight, bias, scales)
    if packed is not None:
        _set_packed_products(encoder, settings, dtype, packed)
    return encoder


def _set_packed_products(encoder: Encoder, settings: KnownSettings, dtype: str, packed: NamedArrays) -> None:
    shapes = dict(_shapes(settings))
    with about(packed.origin):
        for layer, kind in layer_products(settings):
            name = f"layers.{layer}.{kind}"
            if name not in packed:
                raise ValueError(f"{name} is missing")
            rows, columns = shapes[f"{name}.weight"]
            encoder.set_packed(kind, layer, dtype, packed[name], (rows, columns))


def layer_products(settings: EncoderSettings) -> Iterator[tuple[int, str]]:
    """Each product of each layer."""
    assert isinstance(settings, KnownSettings)
    return product(range(settings.layers), LAYER_PRODUCTS)


def joined_arrays(transformer: Transformer) -> Arrays:
    """The arrays of ``transformer``, those of products that are computed as one joined.

    Raises:
        ValueError: One of several that belong together is missing, or their shapes differ.
    """
    arrays = with_projections_joined(transformer.arrays)
    return _with_gates_joined(arrays) if isinstance(transformer.settings, NomicBertSettings) else arrays


def _is_of_layer_product(name: str) -> bool:
    return name.startswith("layers.") and name.split(".")[2] in LAYER_PRODUCTS


def _set_around_layers(encoder: Encoder, settings: KnownSettings, arrays: Arrays) -> None:
    """The embeddings, and what knows of distances."""
    for name in ("tokens.weight", "positions.weight", "segments.weight", "norm.weight", "norm.bias"):
        if (stored := arrays.get(f"embeddings.{name}")) is not None:
            encoder.set_array(f"embeddings.{name}", -1, stored)
    if isinstance(settings, BertSettings):
        if settings.embedding_width != settings.hidden:
            name = "embeddings.project"
            encoder.set_product("project", -1, "float32", arrays[f"{name}.weight"], arrays[f"{name}.bias"])
        if settings.relative_buckets:
            encoder.set_array("distance_bias", -1, _distance_bias(settings, arrays["relative_bias.weight"]))
    else:
        _set_rotations(encoder, settings)


def _set_norms(encoder: Encoder, settings: KnownSettings, arrays: Arrays) -> None:
    is_modern = isinstance(settings, ModernBertSettings)
    if is_modern:
        _set_norm(encoder, arrays, "norm", "last_norm", -1)
    for layer in range(settings.layers):
        for theirs, ours in (MODERNBERT_NORMS if is_modern else BERT_NORMS).items():
            _set_norm(encoder, arrays, f"layers.{layer}.{theirs}", ours, layer)


BERT_NORMS = {"attention_norm": "after_attention", "output_norm": "after_feed_forward"}
MODERNBERT_NORMS = {"attention_norm": "before_attention", "feed_forward_norm": "before_feed_forward"}


def _settings(settings: KnownSettings) -> Settings:
    found = Settings(
        vocabulary=settings.vocabulary,
        embedding_width=settings.hidden,
        hidden=settings.hidden,
        layers=settings.layers,
        heads=settings.heads,
        intermediate=settings.intermediate,
        longest=settings.longest,
        padding_id=settings.padding_id,
        activation=ACTIVATIONS[activation_class(settings.activation)],
        is_gated=not isinstance(settings, BertSettings),
        norm_epsilon=settings.norm_epsilon,
    )
    if isinstance(settings, BertSettings):
        found.embedding_width = settings.embedding_width
        found.positions, found.first_position = settings.positions, settings.first_position
    if isinstance(settings, BertSettings | NomicBertSettings):
        found.segment_types = settings.segment_types
    found.rotary_width = _rotary_width(settings)
    return found


def _rotary_width(settings: KnownSettings) -> int:
    """How many of a head's dimensions are rotated."""
    if isinstance(settings, NomicBertSettings):
        return settings.rotary_width
    return settings.hidden // settings.heads if isinstance(settings, ModernBertSettings) else 0


def _shapes(settings: KnownSettings) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The name and the shape of each array that the encoder must have."""
    hidden, inner = settings.hidden, settings.intermediate
    width = settings.embedding_width if isinstance(settings, BertSettings) else hidden
    yield "embeddings.tokens.weight", (settings.vocabulary, width)
    if isinstance(settings, BertSettings):
        yield "embeddings.positions.weight", (settings.positions, width)
        if width != hidden:
            yield from _product_shapes("embeddings.project", hidden, width, True)
        if settings.relative_buckets:
            yield "relative_bias.weight", (settings.relative_buckets, settings.heads)
    if not isinstance(settings, ModernBertSettings) and settings.segment_types:
        yield "embeddings.segments.weight", (settings.segment_types, width)
    is_modern = isinstance(settings, ModernBertSettings)
    has_norm_bias = settings.norm_bias if isinstance(settings, ModernBertSettings) else True
    yield from _norm_shapes("embeddings.norm", width, has_norm_bias)
    if is_modern:
        yield from _norm_shapes("norm", hidden, has_norm_bias)
    has_attention_bias = isinstance(settings, BertSettings) or settings.attention_bias
    if isinstance(settings, NomicBertSettings):
        has_expand_bias, has_contract_bias = settings.expand_bias, settings.contract_bias
        has_attention_out_bias = settings.attention_bias
    else:
        has_expand_bias = has_contract_bias = isinstance(settings, BertSettings) or settings.feed_forward_bias
        has_attention_out_bias = has_attention_bias
    expanded = inner if isinstance(settings, BertSettings) else 2 * inner
    for layer in range(settings.layers):
        for norm in MODERNBERT_NORMS if is_modern else BERT_NORMS:
            if not (is_modern and layer == 0 and norm == "attention_norm"):
                yield from _norm_shapes(f"layers.{layer}.{norm}", hidden, has_norm_bias)
        yield from _product_shapes(f"layers.{layer}.qkv", 3 * hidden, hidden, has_attention_bias)
        yield from _product_shapes(f"layers.{layer}.attention_out", hidden, hidden, has_attention_out_bias)
        yield from _product_shapes(f"layers.{layer}.expand", expanded, hidden, has_expand_bias)
        yield from _product_shapes(f"layers.{layer}.contract", hidden, inner, has_contract_bias)


def _norm_shapes(name: str, width: int, has_bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    if has_bias:
        yield f"{name}.bias", (width,)


def _product_shapes(name: str, outputs: int, inputs: int, has_bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (outputs, inputs)
    if has_bias:
        yield f"{name}.bias", (outputs,)


def _set_norm(encoder: Encoder, arrays: Arrays, name: str, ours: str, layer: int) -> None:
    for kind in ("weight", "bias"):
        if (values := arrays.get(f"{name}.{kind}")) is not None:
            encoder.set_array(f"{ours}.{kind}", layer, values)


def _with_gates_joined(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """NomicBERT's two halves of the feed-forward part as one product; the first goes through the activation."""
    joined = {}
    for name, values in arrays.items():
        if ".gate." in name:
            expand = name.replace(".gate.", ".expand.")
            if expand not in arrays or arrays[expand].shape != values.shape:
                raise ValueError(f"the array {name} has no {expand} of its shape beside it")
            joined[expand] = np.concatenate([values, arrays[expand]])
        elif ".expand." not in name:
            joined[name] = values
    return joined


def _set_rotations(encoder: Encoder, settings: ModernBertSettings | NomicBertSettings) -> None:
    """The angles of each place, and how far the tokens of each layer see."""
    kinds: list[tuple[float, int | None]]
    if isinstance(settings, NomicBertSettings):
        kinds = [(settings.base, None)] * settings.layers
    else:
        local, everywhere = (settings.local_base, settings.reach), (settings.global_base, None)
        kinds = [local if is_local else everywhere for is_local in settings.is_local]
    width = _rotary_width(settings)
    turns = {base: _rotation(settings.longest, width, base) for base, _ in kinds}
    for layer, (base, window) in enumerate(kinds):
        if width:
            for name, values in zip(("rotary_cosines", "rotary_sines"), turns[base], strict=True):
                encoder.set_array(name, layer, values)
        if window is not None:
            encoder.set_window(layer, window)


def _rotation(places: int, width: int, base: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of place / base^(2i / width), (places, width / 2) (Su et al. 2021)."""
    powers = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    angles = np.arange(places, dtype=np.float32)[:, None] * (np.float32(1) / np.float32(base) ** powers)
    return np.cos(angles), np.sin(angles)


def _distance_bias(settings: BertSettings, table: NDArray[Any]) -> NDArray[np.float32]:
    """(buckets, heads) → (heads, 2 longest - 1): what is added to a score, by the distance from query to key."""
    distances = np.arange(1 - settings.longest, settings.longest)
    buckets = distance_buckets(distances, settings.relative_buckets)
    return np.ascontiguousarray(table[buckets].T, dtype=np.float32)
