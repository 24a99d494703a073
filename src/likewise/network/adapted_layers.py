"""The layers of an encoder under the names that Hugging Face gives them, for peft to find and to wrap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from likewise.checkpoint.names import has_parted_projections, stored_names
from likewise.network.encoder import Encoder
from likewise.network.projections import PartedProjection

if TYPE_CHECKING:
    from peft import LoraConfig


def root_of(encoder: nn.Module) -> Any:
    """The module that keeps peft's configurations."""
    return encoder if isinstance(encoder, Encoder) else encoder.backbone


def adapters_of(encoder: nn.Module) -> dict[str, LoraConfig]:
    """The configurations of the encoder's adapters, by their names."""
    found: dict[str, LoraConfig] = getattr(root_of(encoder), "peft_config", {})
    return found


def is_of_peft(module: nn.Module) -> bool:
    """Whether peft has wrapped a layer in ``module``."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper)


def base_of(module: Any) -> nn.Module:
    """What peft has wrapped."""
    base: nn.Module = module.original_module if hasattr(module, "original_module") else module.get_base_layer()
    return base


def layers_of(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that hold weights themselves, wrapped by peft or not, by their paths."""
    for name, child in module.named_children():
        if is_of_peft(child) or next(child.parameters(recurse=False), None) is not None:
            yield prefix + name, child
        else:
            yield from layers_of(child, f"{prefix}{name}.")


def _names(encoder: Any) -> dict[str, str]:
    """The path of each layer → Hugging Face's name of it."""
    weights = {path: path.replace(".qkv.", ".") + ".weight" for path, _ in layers_of(encoder)}
    stored = stored_names(encoder.settings.model_type, weights.values())
    return {path: stored[weight].removesuffix(".weight") for path, weight in weights.items()}


def view_of(encoder: nn.Module) -> Any:
    """The encoder's own layers in a tree with Hugging Face's names."""
    if not isinstance(encoder, Encoder):
        return root_of(encoder)
    view: Any = nn.Module()
    view.config = {"model_type": encoder.settings.model_type}  # by which peft knows what to adapt by default
    if configs := adapters_of(encoder):
        view.peft_config = configs
    for path, name in _names(encoder).items():
        parent = view
        *containers, last = name.split(".")
        for container in containers:
            if container not in dict(parent.named_children()):
                parent.add_module(container, nn.Module())
            parent = getattr(parent, container)
        parent.add_module(last, encoder.get_submodule(path))
    return view


def put_back(encoder: nn.Module, view: Any) -> None:
    """Take over the layers that peft has replaced in the view, and its configurations.

    Raises:
        ValueError: It has replaced something that is no layer.
    """
    if not isinstance(encoder, Encoder):
        return
    names = _names(encoder)
    for name, module in view.named_modules():
        if is_of_peft(module) and name not in names.values():
            raise ValueError(f"modules_to_save takes single layers, and {name} is several; {names_in_words(view)}")
    for path, name in names.items():
        replace_layer(encoder, path, view.get_submodule(name))
    root_of(encoder).peft_config = view.peft_config


def replace_layer(encoder: nn.Module, path: str, layer: nn.Module) -> None:
    """Put ``layer`` in the place of the one at ``path``."""
    parent, _, last = path.rpartition(".")
    setattr(encoder.get_submodule(parent), last, layer)


def part_projections(encoder: nn.Module) -> None:
    """Part each fused projection whose parts are layers of their own with Hugging Face."""
    if isinstance(encoder, Encoder) and has_parted_projections(encoder.settings.model_type):
        for path, module in list(encoder.named_modules()):
            if path.endswith(".qkv") and isinstance(module, nn.Linear):
                replace_layer(encoder, path, PartedProjection(module))


def names_in_words(view: nn.Module) -> str:
    """What the layers are called, for an error message."""
    names = sorted({path.rpartition(".")[2] for path, _ in layers_of(view)})
    return f"its layers are called {', '.join(names)}"
