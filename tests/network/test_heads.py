"""What follows the pooling, and the whole network, against the same thing in plain torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from likewise import models
from likewise.checkpoint.activations import CLASSES, TANH_GELU, activation_class
from likewise.network.heads import ACTIVATIONS, activation_function
from likewise.network.parts import arrays_of
from likewise.network.sentence_network import SentenceNetwork, build_network
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.network.twins import token_vectors
from tests.tiny_checkpoints import tiny_encoder

IDS = range(5, 100)
IN_PLAIN_TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "Tanh": torch.tanh,
    "Identity": lambda values: values,
    "ReLU": lambda values: values.clamp(min=0),
    "GELU": lambda values: values * (1 + torch.erf(values / 2**0.5)) / 2,
    "SiLU": lambda values: values / (1 + torch.exp(-values)),
    "Sigmoid": lambda values: 1 / (1 + torch.exp(-values)),
    "Mish": lambda values: values * torch.tanh(torch.log1p(torch.exp(values))),
    "ELU": lambda values: torch.where(values > 0, values, torch.expm1(values)),
    "SELU": F.selu,
    "LeakyReLU": lambda values: torch.where(values > 0, values, 0.01 * values),
}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> models.Transformer:
    return models.Transformer(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def network_of(transformer: models.Transformer, *heads: models.Head, shared: bool = False) -> SentenceNetwork:
    return build_network(models.chain_of([transformer, models.Pooling(32), *heads]), shared)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def weights_of(head: models.Dense | models.LayerNorm, *shapes: tuple[str, tuple[int, ...]]) -> dict[str, Any]:
    """Random weights, as a checkpoint would give them; they become the head's."""
    head.arrays = {name: drawn(*shape, seed=seed).numpy() for seed, (name, shape) in enumerate(shapes)}
    return {name: torch.from_numpy(array) for name, array in head.arrays.items()}


def test_each_activation_has_a_plain_form_here() -> None:
    assert {kind.__name__ for kind in ACTIVATIONS.values()} == IN_PLAIN_TORCH.keys()


@pytest.mark.parametrize("name", [*ACTIVATIONS, *(name for name, kind in CLASSES.items() if kind != TANH_GELU)])
@pytest.mark.parametrize("path", ["", "torch.nn.modules.activation.", "torch.nn."])
def test_dense_with_each_activation(transformer: models.Transformer, name: str, path: str) -> None:
    head = models.Dense(32, 16, activation_function=path + name)
    weights = weights_of(head, ("linear.weight", (16, 32)), ("linear.bias", (16,)))
    vectors = drawn(3, 32, seed=9)
    actual = network_of(transformer, head).heads(vectors)
    plain = IN_PLAIN_TORCH[activation_class(name)]
    torch.testing.assert_close(actual, plain(vectors @ weights["linear.weight"].T + weights["linear.bias"]))


def test_activations_mean_what_transformers_means() -> None:
    from transformers.activations import ACT2FN

    names = {*ACTIVATIONS, *CLASSES} & ACT2FN.keys()
    assert {"gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "swish"} <= names
    values = torch.linspace(-6, 6, 1001)
    for name in names:
        torch.testing.assert_close(activation_function(name)(values), ACT2FN[name](values), atol=1e-6, rtol=0)


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(ValueError, match=r"'torch\.nn\.Softsign' is not known; known are .*Tanh"):
        activation_function("torch.nn.Softsign")


def test_dense_takes_an_activation_as_a_module_or_none() -> None:
    assert models.Dense(4, 4, activation_function=nn.ReLU()).activation_function == "torch.nn.modules.activation.ReLU"
    assert models.Dense(4, 4, activation_function=None).activation_function == "torch.nn.modules.linear.Identity"


def test_dense_without_a_bias(transformer: models.Transformer) -> None:
    head = models.Dense(32, 16, bias=False)
    weights = weights_of(head, ("linear.weight", (16, 32)))
    vectors = drawn(3, 32, seed=9)
    torch.testing.assert_close(
        network_of(transformer, head).heads(vectors), torch.tanh(vectors @ weights["linear.weight"].T)
    )


def test_dense_adds_what_went_in(transformer: models.Transformer) -> None:
    head = models.Dense(32, 32, use_residual=True)
    weights = weights_of(head, ("linear.weight", (32, 32)), ("linear.bias", (32,)))
    vectors = drawn(3, 32, seed=9)
    expected = torch.tanh(vectors @ weights["linear.weight"].T + weights["linear.bias"]) + vectors
    torch.testing.assert_close(network_of(transformer, head).heads(vectors), expected)


def test_dense_projects_what_it_adds_to_another_width(transformer: models.Transformer) -> None:
    head = models.Dense(32, 16, use_residual=True)
    weights = weights_of(head, ("linear.weight", (16, 32)), ("linear.bias", (16,)), ("residual.weight", (16, 32)))
    vectors = drawn(3, 32, seed=9)
    expected = torch.tanh(vectors @ weights["linear.weight"].T + weights["linear.bias"])
    expected = expected + vectors @ weights["residual.weight"].T
    torch.testing.assert_close(network_of(transformer, head).heads(vectors), expected)


def test_dense_begins_with_the_weights_that_it_is_given(transformer: models.Transformer) -> None:
    weight, bias = drawn(16, 32), nn.Parameter(drawn(16, seed=1))
    head = models.Dense(32, 16, activation_function=nn.Identity(), init_weight=weight, init_bias=bias)
    vectors = drawn(3, 32, seed=9)
    torch.testing.assert_close(network_of(transformer, head).heads(vectors), vectors @ weight.T + bias)


def test_fresh_weights_obey_the_seed(transformer: models.Transformer) -> None:
    def weights(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        return arrays_of(network_of(transformer, models.Dense(32, 16, use_residual=True)).heads[0])

    first, again, other = weights(0), weights(0), weights(1)
    for name in ("linear.weight", "linear.bias", "residual.weight"):
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_fresh_weights_are_those_of_a_plain_linear_layer(transformer: models.Transformer) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(32, 16)
    torch.manual_seed(0)
    ours = arrays_of(network_of(transformer, models.Dense(32, 16)).heads[0])
    np.testing.assert_array_equal(ours["linear.weight"], plain.weight.detach())
    np.testing.assert_array_equal(ours["linear.bias"], plain.bias.detach())


def test_a_fresh_layer_norm_scales_by_one(transformer: models.Transformer) -> None:
    vectors = 5 * drawn(3, 32) + 2
    scaled = network_of(transformer, models.LayerNorm(32)).heads(vectors)
    torch.testing.assert_close(scaled.mean(1), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(scaled.std(1, correction=0), torch.ones(3))


def test_layer_norm(transformer: models.Transformer) -> None:
    head = models.LayerNorm(32)
    weights = weights_of(head, ("norm.weight", (32,)), ("norm.bias", (32,)))
    vectors = 5 * drawn(3, 32, seed=9) + 2
    centred = vectors - vectors.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(
        network_of(transformer, head).heads(vectors), expected * weights["norm.weight"] + weights["norm.bias"]
    )


def test_normalize_leaves_zero_alone(transformer: models.Transformer) -> None:
    scaled = network_of(transformer, models.Normalize()).heads(torch.stack([3 * drawn(32), torch.zeros(32)]))
    torch.testing.assert_close(scaled, torch.stack([drawn(32) / drawn(32).norm(), torch.zeros(32)]))


def test_dropout_is_for_training_only(transformer: models.Transformer) -> None:
    network = network_of(transformer, models.Dropout(0.25))
    vectors = torch.ones(100, 32)
    assert torch.equal(network.heads(vectors), vectors)
    torch.manual_seed(0)
    dropped = network.train().heads(vectors)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 1 / 0.75]))
    assert 0.2 < (dropped == 0).double().mean() < 0.3


def test_what_cannot_follow_the_pooling_is_named(transformer: models.Transformer) -> None:
    with pytest.raises(ValueError, match=r"then any of Dense, .* not Transformer, Pooling, Pooling"):
        models.chain_of([transformer, models.Pooling(32), models.Pooling(32)])


def test_weights_of_another_shape_are_named_with_their_head(transformer: models.Transformer) -> None:
    head = models.Dense(32, 16, init_weight=drawn(17, 32), init_bias=drawn(16))
    with pytest.raises(ValueError, match=r"Dense\(32 → 16, Tanh\).*linear\.weight has the shape \(17, 32\)"):
        network_of(transformer, head)


@settings(max_examples=20)
@given(lengths=LENGTHS, seed=SEEDS)
def test_a_whole_network(transformer: models.Transformer, lengths: list[int], seed: int) -> None:
    first, norm, last = models.Dense(64, 24), models.LayerNorm(24), models.Dense(24, 24, use_residual=True)
    weights_of(first, ("linear.weight", (24, 64)), ("linear.bias", (24,)))
    weights_of(norm, ("norm.weight", (24,)), ("norm.bias", (24,)))
    weights_of(last, ("linear.weight", (24, 24)), ("linear.bias", (24,)))
    heads: list[models.Head] = [first, models.Dropout(0.5), norm, last, models.Normalize()]
    network = build_network(models.chain_of([transformer, models.Pooling(32, ["mean", "max"]), *heads]))
    batch = packed(random_texts(lengths, seed, IDS))
    with torch.no_grad():
        actual = network(batch)
        texts = [text.double() for text in token_vectors(network.encoder, batch)]
    vectors = torch.stack([torch.cat([text.mean(0), text.max(0).values]) for text in texts])

    def linear(values: Tensor, head: models.Dense) -> Tensor:
        weight, bias = (torch.from_numpy(head.arrays[f"linear.{kind}"]).double() for kind in ("weight", "bias"))
        return values @ weight.T + bias

    vectors = torch.tanh(linear(vectors, first))
    scale, shift = (torch.from_numpy(norm.arrays[f"norm.{kind}"]).double() for kind in ("weight", "bias"))
    vectors = F.layer_norm(vectors, (24,), scale, shift)
    vectors = torch.tanh(linear(vectors, last)) + vectors
    expected = vectors / vectors.norm(dim=1, keepdim=True)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), expected, atol=1e-5, rtol=0)


def test_every_weight_of_a_whole_network_trains(transformer: models.Transformer) -> None:
    network = network_of(transformer, models.Dense(32, 16), models.LayerNorm(16)).train()
    vectors = network(packed(random_texts([5, 9, 9], seed=0, ids=IDS)))
    (vectors * drawn(3, 16)).sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


def test_training_leaves_the_checkpoint_alone(transformer: models.Transformer) -> None:
    before = {name: transformer.arrays[name].copy() for name in transformer.arrays}
    head = models.Dense(32, 16, init_weight=drawn(16, 32), init_bias=drawn(16))
    network = network_of(transformer, head)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(1)
    for name, array in before.items():
        np.testing.assert_array_equal(transformer.arrays[name], array)
        np.testing.assert_allclose(arrays_of(network.encoder)[name], array + 1)
    np.testing.assert_array_equal(head.arrays["linear.weight"], drawn(16, 32))


def test_shared_arrays_give_the_same_vectors(transformer: models.Transformer) -> None:
    batch = packed(random_texts([5, 9], seed=0, ids=IDS))
    with torch.no_grad():
        assert torch.equal(network_of(transformer, shared=True)(batch), network_of(transformer)(batch))


def test_the_encoders_weights_come_back_under_their_names(transformer: models.Transformer) -> None:
    arrays = arrays_of(network_of(transformer).encoder)
    assert arrays.keys() == transformer.arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, transformer.arrays[name])
