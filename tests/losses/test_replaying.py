"""Computing again gives the gradients that remembering gives, whatever the network is."""

import torch
from torch import Tensor, nn

from likewise.losses.replaying import replayed


class Sum(nn.Module):
    """Two weights, of which each gets the other's gradient; a third that nothing needs."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.unused = (nn.Parameter(torch.tensor([1.0, 2.0]) * n) for n in (1, 2, 3))

    def forward(self, factor: float) -> Tensor:
        return factor * (self.one + self.other)


def test_weights_with_one_gradient_each_have_their_own_sum() -> None:
    network = Sum()
    results = replayed(network, [2.0, 3.0, 5.0], network)
    assert [result.tolist() for result in results] == [[6, 12], [9, 18], [15, 30]]
    (results[0] + 10 * results[1] + results[2]).sum().backward()
    for weight in (network.one, network.other):
        assert weight.grad is not None
        assert weight.grad.tolist() == [37, 37]
    assert network.unused.grad is None


def test_a_result_that_is_not_used_has_no_gradient() -> None:
    network = Sum()
    replayed(network, [2.0, 3.0], network)[1].sum().backward()
    assert network.one.grad is not None
    assert network.one.grad.tolist() == [3, 3]


def test_a_result_of_frozen_weights_is_a_constant() -> None:
    network = Sum()
    network.one.requires_grad_(False)
    network.other.requires_grad_(False)
    some, others = replayed(lambda frozen: network(2.0) if frozen else network.unused * 2, [True, False], network)
    (some + others).sum().backward()
    assert network.one.grad is None
    assert network.unused.grad is not None
    assert network.unused.grad.tolist() == [2, 2]


def test_backward_within_autocast_reaches_the_weights() -> None:
    network = nn.Linear(4, 4)
    inputs = [torch.randn(3, 4), torch.randn(2, 4)]
    found = []
    for compute in (True, False):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            results = replayed(network, inputs, network) if compute else [network(part) for part in inputs]
            torch.cat(results).float().square().sum().backward()
        assert network.weight.grad is not None
        found.append(network.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0.05)  # bfloat16, summed in another order
