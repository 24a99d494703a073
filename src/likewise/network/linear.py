"""Linear layers, in float32 on a CPU by oneDNN: on AMD's with AVX-512 twice as fast as by MKL, which torch takes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

# Without AVX-512 MKL was the faster one in inference (Zen 3, one thread: 1.1 times over a whole encode).
MKL_IS_FASTER = torch.backends.mkl.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX2"

ENOUGH_ROWS = 32  # for fewer, oneDNN spends more on bringing the weights into its own order than it saves


class Linear(nn.Linear):
    """``nn.Linear`` on two-dimensional inputs: the same parameters and results, but for the last bits."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's name
        """(rows, inputs) → (rows, outputs)."""
        if not _is_for_onednn(input, self.weight) or (MKL_IS_FASTER and not torch.is_grad_enabled()):
            return F.linear(input, self.weight, self.bias)
        found: Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return found


def _is_for_onednn(values: Tensor, weight: Tensor) -> bool:
    return (
        HAS_ONEDNN
        and values.device.type == "cpu"
        and values.dtype == weight.dtype == torch.float32
        and values.dim() == 2
        and values.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


class _Product(torch.autograd.Function):
    """x wᵀ + b, and its gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(rows, inputs), (outputs, inputs), (outputs,) → (rows, outputs)."""
        ctx.save_for_backward(values, weight)
        ctx.has_bias = bias is not None
        return _multiplied(values, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of what ``forward`` was given."""
        values, weight = ctx.saved_tensors
        (gradient,) = gradients
        product = _multiplied if len(values) >= ENOUGH_ROWS else F.linear
        of_values = product(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        of_weight = product(gradient.t(), values.t()) if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return of_values, of_weight, of_bias


def _multiplied(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left rightᵀ + bias: (rows, inner), (columns, inner) → (rows, columns)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return found
