"""LoRA adapters on a model's one Transformer: the methods of SentenceTransformer that have the incumbent's names."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from likewise.checkpoint.adapter import SETTINGS, Adapter, read_adapter, saved_name
from likewise.checkpoint.locate import locate
from likewise.checkpoint.values import about, listed, shortened
from likewise.engine.live import LiveModel
from likewise.extras import extra
from likewise.models import Module, Transformer

if TYPE_CHECKING:
    from torch import Tensor, nn


class Model(Protocol):
    """What may have adapters."""

    @property
    def live(self) -> LiveModel:
        """Its live representation."""


def add_adapter(model: Model, adapter_config: Any, adapter_name: str | None = None) -> None:
    """Add a new adapter, "default", by ``adapter_config``, a ``peft.LoraConfig``, and compute with it from now on.

    Of the encoder only the adapter learns from then on; heads, such as Dense, learn as before. Layers are called what
    Hugging Face calls them: ``target_modules=["query", "value"]`` or ``"all-linear"``.

    Raises:
        ImportError: The extra "lora" is not installed.
        ValueError: The model has no Transformer or several, the name is taken, or no layer is called so.
    """
    with extra("lora", "add_adapter"):
        import peft  # noqa: F401
    from likewise.network.adapters import add

    add(_base_encoder(model.live), adapter_config, adapter_name or "default")


def load_adapter(
    model: Model,
    peft_model_id: str | os.PathLike[str],
    adapter_name: str | None = None,
    *,
    is_trainable: bool = False,
    cache_folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    token: bool | str | None = None,
) -> None:
    """Add the adapter in a folder or on the Hub, beside those that are there, and compute with it from now on.

    With ``is_trainable`` it goes on learning. A model that was loaded from this very folder, and so has the adapter in
    its weights, takes it out of them first.

    Raises:
        ImportError: The extra "lora" is not installed.
        FileNotFoundError: There is no such adapter.
        ValueError: It does not fit the encoder, or the name is taken.
    """
    with extra("lora", "load_adapter"):
        from peft import PeftConfig
    import torch

    from likewise.network.adapters import add, delete, load_state

    folder = locate(os.fspath(peft_model_id), cache_folder, revision, local_files_only, token).folder
    if not (folder / SETTINGS).is_file():
        raise FileNotFoundError(f"{folder} holds no adapter: {SETTINGS} is not in it")
    weights = {name: torch.tensor(array) for name, array in read_adapter(folder).items()}
    config, name = PeftConfig.from_pretrained(str(folder)), adapter_name or "default"
    encoder = _base_encoder(model.live, folder, is_trainable)
    with about(folder):
        add(encoder, config, name, trains=is_trainable)
        try:
            load_state(encoder, name, weights)
        except ValueError:
            delete(encoder, [name])
            raise


def active_adapters(model: Model) -> list[str]:
    """The names of the adapters that are added up.

    Raises:
        ValueError: The model has no adapter.
    """
    from likewise.network.adapters import active

    return active(_adapted(model.live))


def active_adapter(model: Model) -> str:
    """The name of the adapter that computes, or of the first of several.

    Raises:
        ValueError: The model has no adapter.
    """
    return active_adapters(model)[0]


def set_adapter(model: Model, adapter_name: str | Sequence[str]) -> None:
    """Compute with this adapter, or with the sum of several, and with no other; it may learn from now on.

    Raises:
        ValueError: The model has no such adapter.
    """
    from likewise.network.adapters import activate

    encoder = _adapted(model.live)
    activate(encoder, _known(encoder, adapter_name))


def enable_adapters(model: Model) -> None:
    """Compute with the active adapters again, after ``disable_adapters``.

    Raises:
        ValueError: The model has no adapter.
    """
    from likewise.network.adapters import enable

    enable(_adapted(model.live), True)


def disable_adapters(model: Model) -> None:
    """Compute as if there were no adapters.

    Raises:
        ValueError: The model has no adapter.
    """
    from likewise.network.adapters import enable

    enable(_adapted(model.live), False)


def delete_adapter(model: Model, adapter_names: str | Sequence[str]) -> None:
    """Take an adapter away, or several. Without any left, all weights of the encoder may learn again.

    Raises:
        ValueError: The model has no such adapter.
    """
    from likewise.network.adapters import delete

    encoder = _adapted(model.live)
    delete(encoder, _known(encoder, adapter_names))


def get_adapter_state_dict(model: Model, adapter_name: str | None = None) -> dict[str, Tensor]:
    """The weights of an adapter, by default of the active one, under the names that Hugging Face gives them.

    Raises:
        ValueError: The model has no such adapter.
    """
    from likewise.network.adapters import active, state

    encoder = _adapted(model.live)
    return state(encoder, _known(encoder, adapter_name or active(encoder)[0])[0])


def merge_adapters(model: Model) -> None:
    """Add the active adapters to the encoder's weights, once and for all: the model is a plain one again.

    Adapters that are not active are lost. All weights of the encoder may learn again.

    Raises:
        ValueError: The model has no adapter, or its adapters are disabled.
    """
    from likewise.network.adapters import is_enabled, merge

    encoder = _adapted(model.live)
    if not is_enabled(encoder):
        raise ValueError("the adapters are disabled; call enable_adapters() first, or delete_adapter()")
    merge(encoder)


def adapter_of(live: LiveModel, module: Module) -> Adapter | None:
    """What is saved of ``module`` instead of its weights: its adapter, where it has one.

    Raises:
        ValueError: Several adapters are active, or weights have learned that the adapter does not hold.
    """
    if not live.has_network or not isinstance(module, Transformer):
        return None
    from likewise.network.adapted_layers import adapters_of
    from likewise.network.adapters import active, state, trained_beside

    encoder = live.part(module)
    if not adapters_of(encoder):
        return None
    names = active(encoder)
    if len(names) != 1:
        raise ValueError(
            f"one adapter can be saved, but {listed(names)} are active; call set_adapter() with one of them, or "
            "merge_adapters()"
        )
    if beside := trained_beside(encoder, names[0]):
        raise ValueError(
            f"{listed(beside)} learn beside the adapter, so saving it alone would lose them; name their layers in "
            "modules_to_save, or call merge_adapters() before saving"
        )
    with TemporaryDirectory() as folder:
        adapters_of(encoder)[names[0]].save_pretrained(folder)
        settings = json.loads((Path(folder) / SETTINGS).read_text(encoding="utf-8"))
    for key, value in settings.items():
        if key in ("target_modules", "modules_to_save") and isinstance(value, list):
            settings[key] = sorted(value)
    settings |= {"base_model_name_or_path": module.base.name, "inference_mode": True}
    arrays = {saved_name(name): tensor.detach().cpu().numpy() for name, tensor in state(encoder, names[0]).items()}
    return Adapter(settings, arrays)


# Inside


def _transformer(live: LiveModel) -> Transformer:
    found = [module for module in live.routes.modules if isinstance(module, Transformer)]
    if len(found) != 1:
        kinds = listed([type(module).__name__ for module in live.routes.modules])
        raise ValueError(
            f"adapters are for models with one Transformer, but this one, made of {kinds}, has {len(found) or 'none'}"
        )
    return found[0]


def _adapted(live: LiveModel) -> nn.Module:
    """The encoder that has adapters."""
    transformer = _transformer(live)
    if live.has_network:
        from likewise.network.adapted_layers import adapters_of

        if adapters_of(encoder := live.part(transformer)):
            return encoder
    raise ValueError("the model has no adapter; call add_adapter() or load_adapter() first")


def _known(encoder: nn.Module, names: str | Sequence[str]) -> list[str]:
    from likewise.network.adapted_layers import adapters_of

    chosen, there = [names] if isinstance(names, str) else list(names), adapters_of(encoder)
    if not chosen or (unknown := [name for name in chosen if name not in there]):
        wrong = shortened(unknown[0]) if chosen else "no name"
        raise ValueError(f"the model has no adapter called {wrong}; it has {listed(there)}")
    return chosen


def _base_encoder(live: LiveModel, adapter: Path | None = None, is_trained: bool = True) -> nn.Module:
    """The encoder, for an adapter to be added; without the ``adapter`` in this folder, where it has been merged.

    Raises:
        ValueError: The adapter will be trained, and the encoder's weights are in no folder that it could name.
    """
    transformer = _transformer(live)
    is_own = adapter is not None and transformer.is_merged and adapter.samefile(transformer.location.folder)
    is_changed = False
    if live.has_network and (is_trained or is_own):
        from likewise.network.parts import is_as_stored

        is_changed = not is_as_stored(live.part(transformer), transformer)
    if is_own and not is_changed:
        transformer.take_adapter_off()
        if live.has_network:
            from likewise.network.parts import read_again

            read_again(live.part(transformer), transformer)
    elif is_changed or (is_trained and transformer.is_merged):
        raise ValueError(
            f"the encoder's weights are not those in {transformer.base_folder}, so an adapter would be lost when saved "
            "alone; save the model with save_pretrained(), load it again, and add the adapter then"
        )
    return live.part(transformer)
