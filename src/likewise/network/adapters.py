"""LoRA adapters (Hu et al. 2021) on an encoder, computed by the peft package.

peft finds the layers to adapt by their names, so it is shown the encoder under the names that Hugging Face gives its
layers. It replaces each layer that it adapts by one of its own, which is then put into the encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from torch import Tensor, nn

from likewise.checkpoint.values import listed, shortened
from likewise.network.adapted_layers import (
    adapters_of,
    base_of,
    is_of_peft,
    names_in_words,
    part_projections,
    put_back,
    replace_layer,
    root_of,
    view_of,
)
from likewise.network.projections import PartedProjection

if TYPE_CHECKING:
    from peft import LoraConfig

PLAIN_STARTS = (True, False, "gaussian", "orthogonal")  # of init_lora_weights; others change the base model's weights
TWICE = {"original_module", "modules_to_save"}


def add(encoder: nn.Module, config: LoraConfig, name: str, trains: bool = True) -> None:
    """Add an adapter, and compute with it alone from now on; all weights but the adapter's stop learning.

    Raises:
        TypeError: ``config`` is none of LoRA.
        ValueError: The name is taken, or ``config`` asks for what the encoder has not.
    """
    from peft import inject_adapter_in_model

    _check(encoder, config, name)
    config = copy.deepcopy(config)  # peft writes into it
    config.inference_mode = not trains
    with _undone_on_error(encoder, name):
        part_projections(encoder)
        view = view_of(encoder)
        _check_names(view, config)
        try:
            with catch_warnings():  # one that several adapters are what one may not want
                filterwarnings("ignore", "Already found a `peft_config`")
                inject_adapter_in_model(config, view, name)
        except ValueError as error:
            raise ValueError(f"{str(error).rstrip('.')}; {names_in_words(view)}") from error
        put_back(encoder, view)
    activate(encoder, [name], trains)
    encoder.train(encoder.training)  # dropouts of the new layers too


def active(encoder: nn.Module) -> list[str]:
    """The names of the adapters that compute."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layer = next(module for module in encoder.modules() if isinstance(module, BaseTunerLayer))
    return list(layer.active_adapters)


def activate(encoder: nn.Module, names: Sequence[str], trains: bool = True) -> None:
    """Compute with the adapters ``names``, added up, and with no others; they learn, where an adapter ``trains``."""
    from peft.functional import set_adapter

    set_adapter(encoder, list(names), inference_mode=not trains)


def enable(encoder: nn.Module, enabled: bool) -> None:
    """Compute with the active adapters, or as if there were none."""
    for module in encoder.modules():
        if is_of_peft(module):
            module.enable_adapters(enabled)  # type: ignore[operator]


def is_enabled(encoder: nn.Module) -> bool:
    """Whether the active adapters compute."""
    return not any(module.disable_adapters for module in encoder.modules() if is_of_peft(module))


def state(encoder: nn.Module, name: str) -> dict[str, Tensor]:
    """The adapter's weights, under the names that Hugging Face gives them."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(view_of(encoder), adapter_name=name, save_embedding_layers=False)
    # With bias="all" peft adds the biases of what it has wrapped a second time, under names that nobody reads.
    return {key: values for key, values in found.items() if not TWICE.intersection(key.split("."))}


def load_state(encoder: nn.Module, name: str, weights: Mapping[str, Tensor]) -> None:
    """Give the adapter these weights, named as ``state`` names them, with any prefix.

    Raises:
        ValueError: One is missing, has another shape, or is of a layer that the encoder has not.
    """
    from peft import set_peft_model_state_dict

    expected = state(encoder, name)
    found: dict[str, Tensor] = {}
    for given, values in weights.items():
        own = given
        while own not in expected and "." in own:  # bert.encoder.…, where it was trained below another head
            own = own.partition(".")[2]
        if own in expected:
            found[own] = values
        elif "pooler" not in given.split("."):  # it computes what no sentence embedding uses
            raise ValueError(f"the encoder has no place for {shortened(given)}")
    if missing := expected.keys() - found.keys():
        raise ValueError(f"the weights {listed(sorted(missing)[:3])} are missing")
    for own, values in found.items():
        if values.shape != expected[own].shape:
            shapes = f"{tuple(values.shape)}, but the encoder needs {tuple(expected[own].shape)}"
            raise ValueError(f"{own} has the shape {shapes}")
    set_peft_model_state_dict(view_of(encoder), found, name)


def delete(encoder: nn.Module, names: Sequence[str]) -> None:
    """Take adapters away. With the last one the encoder is as it was, and all of its weights may learn again."""
    from peft.functional import delete_adapter

    configs = adapters_of(encoder)
    left = [name for name in configs if name not in names]
    if not left:
        _unwrap(encoder, merged=False)
        return
    if kept := [name for name in active(encoder) if name in left] or left[:1]:
        activate(encoder, kept)
    for name in names:
        delete_adapter(encoder, name, prefix="lora_")
        del configs[name]


def merge(encoder: nn.Module) -> None:
    """Add the active adapters to the weights: W + (α / r) B A (Hu et al. 2021, section 4.1); none are left.

    All weights may learn again.
    """
    _unwrap(encoder, merged=True)


def merged_copy(encoder: nn.Module) -> nn.Module:
    """A plain encoder that computes the same."""
    plain = copy.deepcopy(encoder)
    merge(plain)
    return plain


def plain_copy(encoder: nn.Module) -> nn.Module:
    """The encoder without its adapters; itself, where it has none."""
    if not adapters_of(encoder):
        return encoder
    plain = copy.deepcopy(encoder)
    _unwrap(plain, merged=False)
    return plain


def trained_beside(encoder: nn.Module, name: str) -> list[str]:
    """The weights that may learn though the adapter ``name`` does not hold them, by Hugging Face's names."""
    view, held = view_of(encoder), state(encoder, name)
    added: set[int] = set()
    for module in view.modules():
        if is_of_peft(module):
            added |= set(map(id, module.parameters())) - set(map(id, base_of(module).parameters()))
    return [
        key
        for key, weight in view.named_parameters()
        if weight.requires_grad and id(weight) not in added and key not in held
    ]


# Inside


def _unwrap(encoder: nn.Module, merged: bool) -> None:
    """Take all of peft's wrappers away, leaving what they compute (``merged``) or what they have wrapped."""
    for path, module in reversed(list(encoder.named_modules())):  # the inner ones first
        if is_of_peft(module):
            replace_layer(encoder, path, _merged(module) if merged else base_of(module))
    for path, module in list(encoder.named_modules()):
        if isinstance(module, PartedProjection):
            replace_layer(encoder, path, module.fused())
    if adapters_of(encoder):
        del root_of(encoder).peft_config
    encoder.requires_grad_(True).train(encoder.training)


def _merged(module: Any) -> nn.Module:
    if module.disable_adapters:
        return base_of(module)
    if hasattr(module, "original_module"):
        own = [name for name in module.active_adapters if name in module.modules_to_save]
        layer: nn.Module = module.modules_to_save[own[0]] if own else module.original_module
        return layer
    module.merge(safe_merge=True)
    return base_of(module)


@contextmanager
def _undone_on_error(encoder: nn.Module, name: str) -> Iterator[None]:
    """On an error, take away what has been added of the adapter ``name``."""
    learned = {weight: values.requires_grad for weight, values in encoder.named_parameters()}
    computed = active(encoder) if adapters_of(encoder) else []
    try:
        yield
    except BaseException:
        adapters_of(encoder).pop(name, None)
        if computed:
            from peft.functional import delete_adapter

            activate(encoder, computed)
            delete_adapter(encoder, name, prefix="lora_")
        else:
            _unwrap(encoder, merged=False)
        for weight, values in encoder.named_parameters():
            values.requires_grad_(learned[weight])
        raise


def _check(encoder: nn.Module, config: Any, name: str) -> None:
    from peft import LoraConfig

    if not isinstance(config, LoraConfig):
        raise TypeError(f"an adapter is described by a peft.LoraConfig, not by {shortened(config)}")
    if not name or "." in name:
        raise ValueError(f"an adapter cannot be called {shortened(name)}; give a name without a dot")
    if name in adapters_of(encoder):
        raise ValueError(f"there is an adapter called {shortened(name)} already; choose another name")
    if config.init_lora_weights not in PLAIN_STARTS:
        raise ValueError(
            f"init_lora_weights={shortened(config.init_lora_weights)} changes the base model's weights, so the adapter "
            f"would not fit them once saved; use one of {', '.join(map(repr, PLAIN_STARTS))}"
        )
    for refused in ("trainable_token_indices", "target_parameters", "layer_replication"):
        if getattr(config, refused, None):
            raise ValueError(f"{refused} is not supported here; give target_modules or modules_to_save")


def _check_names(view: nn.Module, config: LoraConfig) -> None:
    """Refuse a name that is none of the encoder's: peft would pass over it as long as another one fits."""
    there = [name for name, _ in view.named_modules()]
    for key in ("target_modules", "modules_to_save"):
        wanted = getattr(config, key) or ()
        for name in () if isinstance(wanted, str) else sorted(wanted):
            is_there = any(f".{one}".endswith(f".{name}") for one in there)
            if not is_there and "pooler" not in name.split("."):
                raise ValueError(f"{key} names {shortened(name)}, which no layer is called; {names_in_words(view)}")
