"""The activation functions, by the names that a configuration uses ("gelu") and by their torch classes ("GELU")."""

import math
from collections.abc import Callable

from likewise.export.graph import Graph


def gelu(graph: Graph, x: str) -> str:
    """x · Φ(x), exactly (Hendrycks & Gimpel 2016)."""
    error = graph.add("Erf", graph.add("Div", x, graph.number(math.sqrt(2))))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", error, graph.number(1))), graph.number(0.5))


def tanh_gelu(graph: Graph, x: str) -> str:
    """GELU by its approximation: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", cube, graph.number(0.044715)))
    waves = graph.add("Tanh", graph.add("Mul", inner, graph.number(math.sqrt(2 / math.pi))))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", waves, graph.number(1))), graph.number(0.5))


def silu(graph: Graph, x: str) -> str:
    """x · σ(x)."""
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def mish(graph: Graph, x: str) -> str:
    """x · tanh(log(1 + eˣ))."""
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "elu": lambda graph, x: graph.add("Elu", x, alpha=1.0),
    "gelu": gelu,
    "gelu_fast": tanh_gelu,
    "gelu_new": tanh_gelu,
    "gelu_python": gelu,
    "gelu_pytorch_tanh": tanh_gelu,
    "identity": lambda graph, x: x,
    "leakyrelu": lambda graph, x: graph.add("LeakyRelu", x, alpha=0.01),
    "mish": mish,
    "relu": lambda graph, x: graph.add("Relu", x),
    "selu": lambda graph, x: graph.add("Selu", x),
    "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
    "silu": silu,
    "swish": silu,
    "tanh": lambda graph, x: graph.add("Tanh", x),
}


def activated(graph: Graph, x: str, name: str) -> str:
    """``x`` through the activation called ``name``, such as "gelu" or "torch.nn.modules.activation.Tanh".

    Raises:
        ValueError: The name is not known.
    """
    short = name.rpartition(".")[2].lower()
    if short not in ACTIVATIONS:
        raise ValueError(f"the activation function {name!r} is not known; known are {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[short](graph, x)
