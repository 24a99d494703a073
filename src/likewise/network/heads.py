"""What may follow the pooling: Dense, Normalize, LayerNorm, Dropout."""

import torch.nn.functional as F
from torch import Tensor, nn

from likewise.checkpoint.activations import CLASSES, TANH_GELU, activation_class
from likewise.checkpoint.values import shortened

ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.Mish, nn.ReLU, nn.SELU, nn.Sigmoid, nn.SiLU, nn.Tanh)
}


def activation_function(name: str) -> nn.Module:
    """The activation called ``name`` in a configuration ("gelu") or by its class ("torch.nn.modules.activation.Tanh").

    Raises:
        ValueError: The name is not known.
    """
    kind = activation_class(name)
    if kind == TANH_GELU:
        return nn.GELU("tanh")
    if kind not in ACTIVATIONS:
        known = ", ".join(sorted([*ACTIVATIONS, *(short for short, of in CLASSES.items() if of != TANH_GELU)]))
        raise ValueError(f"the activation function {shortened(name)} is not known; known are {known}")
    return ACTIVATIONS[kind]()


class Dense(nn.Module):
    """A linear layer and its activation; with a residual, what went in is added to what comes out."""

    def __init__(self, inputs: int, outputs: int, bias: bool, activation: str, residual: bool):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.activation = activation_function(activation)
        self.adds_input = residual
        self.residual = nn.Linear(inputs, outputs, bias=False) if residual and inputs != outputs else None

    def forward(self, vectors: Tensor) -> Tensor:
        """(texts, inputs) → (texts, outputs)."""
        result: Tensor = self.activation(self.linear(vectors))
        if self.adds_input:
            result = result + (vectors if self.residual is None else self.residual(vectors))
        return result


class Normalize(nn.Module):
    """Scales each vector to length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """(texts, dim) → (texts, dim)."""
        return F.normalize(vectors, dim=-1)


class LayerNorm(nn.Module):
    """Layer normalisation of the sentence vector, with learned scale and shift."""

    def __init__(self, dimension: int):
        super().__init__()
        self.norm = nn.LayerNorm(dimension)

    def forward(self, vectors: Tensor) -> Tensor:
        """(texts, dim) → (texts, dim)."""
        result: Tensor = self.norm(vectors)
        return result
