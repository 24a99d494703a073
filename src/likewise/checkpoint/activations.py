"""The activation functions that checkpoints name, each by one name: that of its class in torch.nn."""

CLASSES = {  # in config.json → in torch.nn
    "gelu": "GELU",
    "gelu_python": "GELU",
    "relu": "ReLU",
    "silu": "SiLU",
    "swish": "SiLU",
    "tanh": "Tanh",
    "mish": "Mish",
}
TANH_GELU = "GELU by tanh"  # an approximation, which has no class of its own
CLASSES |= dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), TANH_GELU)


def activation_class(name: str) -> str:
    """ "GELU", for "gelu" and for "torch.nn.modules.activation.GELU"; a name that is not known loses its path alone."""
    short = name.rpartition(".")[2]
    return CLASSES.get(short, short)
