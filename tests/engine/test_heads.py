"""The heads in numpy against the same heads in torch."""

import numpy as np
import pytest
import torch

from likewise import models
from likewise.engine.heads import ACTIVATIONS, is_known, step
from likewise.network.heads import ACTIVATIONS as IN_TORCH
from likewise.network.parts import build_part
from tests.models.made import dense, drawn, with_weights

VECTORS = np.concatenate([20 * drawn(30, 8), drawn(30, 8), np.zeros((1, 8), np.float32)])


def assert_same(head: models.Head, atol: float = 1e-5) -> None:
    with torch.no_grad():
        expected = build_part(head, shared=False).eval()(torch.from_numpy(VECTORS)).numpy()
    actual = step(head)(VECTORS)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=atol)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("residual", [False, True])
def test_dense_with_each_activation(name: str, residual: bool) -> None:
    assert_same(dense(8, 8, activation_function=f"torch.nn.modules.activation.{name}", use_residual=residual), 1e-4)


def test_every_class_of_torch_that_a_checkpoint_may_name_is_there() -> None:
    assert {kind.__name__ for kind in IN_TORCH.values()} == ACTIVATIONS.keys()
    assert is_known(models.Dense(8, 8))
    assert not is_known(models.Dense(8, 8, activation_function="gelu_new"))


def test_dense_of_other_widths_without_a_bias() -> None:
    head = models.Dense(8, 3, bias=False, use_residual=True)
    assert_same(with_weights(head, linear__weight=(3, 8), residual__weight=(3, 8)), 1e-4)


def test_the_other_heads() -> None:
    assert_same(with_weights(models.LayerNorm(8), norm__weight=(8,), norm__bias=(8,)))
    assert_same(models.Normalize())
    assert_same(models.Dropout(0.5))
