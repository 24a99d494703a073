"""Our linear layer is torch's: values and gradients against float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from likewise.network import linear
from likewise.network.linear import Linear


@settings(max_examples=30)
@given(
    st.sampled_from([1, 2, 31, 32, 33, 200]), st.integers(1, 70), st.integers(1, 70), st.booleans(), st.integers(0, 99)
)
def test_values_and_gradients_are_those_of_the_formula(
    rows: int, inputs: int, outputs: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = Linear(inputs, outputs, bias=bias)
    values = torch.randn(inputs, rows).t().requires_grad_()  # not contiguous
    direction = torch.randn(rows, outputs)
    found = layer(values)
    found.backward(direction)
    exact = values.detach().double() @ layer.weight.detach().double().t()
    if bias:
        exact = exact + layer.bias.detach().double()
        assert layer.bias.grad is not None
        torch.testing.assert_close(layer.bias.grad.double(), direction.double().sum(0), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found.detach().double(), exact, atol=1e-5, rtol=1e-5)
    of_values, of_weight = values.grad, layer.weight.grad
    assert of_values is not None
    assert of_weight is not None
    torch.testing.assert_close(
        of_values.double(), direction.double() @ layer.weight.detach().double(), atol=1e-4, rtol=1e-5
    )
    expected = direction.double().t() @ values.detach().double()
    torch.testing.assert_close(of_weight.double(), expected, atol=1e-4, rtol=1e-5)


def test_frozen_weights_get_no_gradient() -> None:
    layer = Linear(5, 3)
    layer.weight.requires_grad_(False)
    values = torch.randn(40, 5, requires_grad=True)
    layer(values).sum().backward()
    assert layer.weight.grad is None
    assert values.grad is not None
    assert layer.bias.grad is not None


def test_what_onednn_does_not_take_goes_torchs_way(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, plain = Linear(4, 6), nn.Linear(4, 6)
    plain.load_state_dict(layer.state_dict())
    for values in (torch.randn(2, 3, 4), torch.randn(0, 4)):
        torch.testing.assert_close(layer(values), plain(values))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(3, 4)).dtype == torch.bfloat16
    assert layer.double()(torch.randn(3, 4).double()).dtype == torch.float64
    monkeypatch.setattr(linear, "HAS_ONEDNN", False)
    values = torch.randn(3, 4)
    torch.testing.assert_close(layer.float()(values), plain(values))
