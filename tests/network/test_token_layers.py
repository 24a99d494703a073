"""What may stand between encoder and pooling, against the textbook's formulas in float64, one text at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray

from likewise import models
from likewise.network.packed import packed_tokens
from likewise.network.parts import build_part
from tests.models.made import cnn, drawn, lstm
from tests.network.batches import LENGTHS, SEEDS, packed

WIDTH = 6


def computed(layer: models.TokenLayer, texts: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """What the layer makes of all texts, packed."""
    tokens = packed_tokens(packed([[0] * len(text) for text in texts]), torch.device("cpu"))
    with torch.no_grad():
        hidden = build_part(layer, shared=False).eval()(torch.from_numpy(np.concatenate(texts)), tokens)
    return [part.numpy() for part in hidden.split([len(text) for text in texts])]


def texts_of(lengths: list[int], seed: int) -> list[NDArray[np.float32]]:
    return [drawn(length, WIDTH, seed=seed + place) for place, length in enumerate(lengths)]


def convolved(text: NDArray[np.float64], layer: models.CNN) -> NDArray[np.float64]:
    """y_t = b + Σ_k W_k x_(t + k - middle), with zeros beyond the ends."""
    parts = []
    for place, size in enumerate(layer.kernel_sizes):
        weight, bias = (layer.arrays[f"convs.{place}.{kind}"].astype(float) for kind in ("weight", "bias"))
        middle = size // 2
        beyond = np.zeros((middle, text.shape[1]))
        wide = np.concatenate([beyond, text, beyond])
        parts.append(
            np.stack([bias + sum(weight[:, :, k] @ wide[t + k] for k in range(size)) for t in range(len(text))])
        )
    return np.concatenate(parts, axis=1)


def recurrent(text: NDArray[np.float64], layer: models.LSTM) -> NDArray[np.float64]:
    """Hochreiter & Schmidhuber 1997 with forget gates, as torch.nn.LSTM's documentation writes it."""
    states = text
    for number in range(layer.num_layers):
        directions = []
        for direction in ("", "_reverse"):
            name = f"l{number}{direction}"
            w_in, w_state, b_in, b_state = (
                layer.arrays[f"encoder.{kind}_{name}"].astype(float)
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            hidden = cell = np.zeros(layer.hidden_dim or 0)
            found = []
            for row in states[::-1] if direction else states:
                i, f, g, o = np.split(w_in @ row + b_in + w_state @ hidden + b_state, 4)
                cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
                hidden = np.tanh(cell) / (1 + np.exp(-o))
                found.append(hidden)
            directions.append(np.stack(found[::-1] if direction else found))
        states = np.concatenate(directions, axis=1)
    return states


@settings(max_examples=20)
@given(lengths=LENGTHS, seed=SEEDS)
def test_convolutions_do_not_reach_into_other_texts(lengths: list[int], seed: int) -> None:
    texts, layer = texts_of(lengths, seed), cnn()
    for actual, text in zip(computed(layer, texts), texts, strict=True):
        np.testing.assert_allclose(actual, convolved(text.astype(float), layer), atol=1e-4)


@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
def test_an_lstm_begins_anew_with_each_text(lengths: list[int], seed: int) -> None:
    texts, layer = texts_of(lengths, seed), lstm()
    for actual, text in zip(computed(layer, texts), texts, strict=True):
        np.testing.assert_allclose(actual, recurrent(text.astype(float), layer), atol=1e-5)


@pytest.mark.parametrize("layer", [cnn(), lstm()], ids=["cnn", "lstm"])
def test_texts_without_tokens_have_no_states(layer: models.TokenLayer) -> None:
    nothing, text = drawn(0, WIDTH), drawn(3, WIDTH)
    assert [len(part) for part in computed(layer, [nothing, text, nothing])] == [0, 3, 0]
    (alone,) = computed(layer, [nothing])
    assert alone.shape == (0, layer.get_embedding_dimension())  # type: ignore[union-attr]


def test_a_weighted_mean_of_layers() -> None:
    description = models.WeightedLayerPooling(WIDTH, num_hidden_layers=3, layer_start=1, layer_weights=[1.0, 2.0, 5.0])
    states = [torch.from_numpy(drawn(7, WIDTH, seed=seed)) for seed in range(4)]
    with torch.no_grad():
        mixed = build_part(description, shared=False)(states)
    expected = (states[1] + 2 * states[2] + 5 * states[3]) / 8
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.CNN(6, 4, [2]), "kernel_sizes must be odd"),
        (lambda: models.CNN(6, 4, []), "must be a list of whole numbers"),
        (lambda: models.CNN(6, 4, [3], [2]), "stride_sizes must be 1"),
        (lambda: models.LSTM(6, 0), "hidden_dim must be a whole number from 1"),
        (lambda: models.WeightedLayerPooling(6, 3, 4), "layer_start must be a whole number from 0 to 3, not 4"),
    ],
)
def test_settings_that_cannot_be_computed_are_told(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]
