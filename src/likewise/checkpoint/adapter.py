"""A LoRA adapter (Hu et al. 2021), as peft saves it → its base model's arrays with the adapter merged in."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.names import PROJECTIONS, other_place
from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import about, number, shortened

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
MAGNITUDE = "lora_magnitude_vector"  # of DoRA
ENDINGS = re.compile(  # a layer, and what of it: parts of an adapter, or weights that were trained whole
    r"(.+?)\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B"
    rf"|{MAGNITUDE}|(?:base_layer\.)?(?:weight|bias))"
)


@dataclass(frozen=True)
class Adapter:
    """What is saved of an adapter."""

    settings: Mapping[str, Any]  # adapter_config.json
    arrays: Mapping[str, NDArray[Any]]  # under peft's names


def base_model_name(folder: Path) -> str | None:
    """The name or folder of the model that the adapter in ``folder`` belongs to; None without an adapter.

    Raises:
        ValueError: The adapter is of a kind that cannot be merged.
    """
    file = folder / SETTINGS
    if not file.is_file():
        return None
    settings = read_object(file)
    if settings.get("peft_type") != "LORA":
        kind = shortened(settings.get("peft_type"))
        raise ValueError(f"{file}: an adapter of the kind {kind} is not supported, only LORA is")
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{file}: base_model_name_or_path must name the base model, not {shortened(name)}")
    return name


def read_adapter(folder: Path) -> NamedArrays:
    """The weights of the adapter in ``folder``, without peft's prefix of their names.

    Raises:
        FileNotFoundError: They are missing.
        ValueError: The file is damaged.
    """
    arrays = read_arrays(folder, ("adapter_model", "adapter_model"))
    names = {name: name.removeprefix(PREFIX) for name in arrays}
    return arrays.renamed({name: own.replace(f".{MAGNITUDE}.weight", f".{MAGNITUDE}") for name, own in names.items()})


def saved_name(name: str) -> str:
    """What peft's weight ``name`` is called in a file.

    peft leaves off the last part of a magnitude's name but reads it with it too, and Transformers 5 only with it.
    """
    return f"{PREFIX}{name}.weight" if name.endswith(f".{MAGNITUDE}") else f"{PREFIX}{name}"


def merged(base: NamedArrays, folder: Path, model_type: str) -> NamedArrays:
    """The arrays of ``base`` with the adapter in ``folder`` added: W + (α / r) B A (Hu et al. 2021, section 4.1).

    Raises:
        FileNotFoundError: The adapter's weights are missing.
        ValueError: They do not fit the base model.
    """
    settings = read_object(folder / SETTINGS)
    adapter = read_adapter(folder)
    layers: dict[str, dict[str, NDArray[Any]]] = {}
    for name in adapter:
        match = ENDINGS.fullmatch(name)
        if match is None:
            raise ValueError(f"{adapter.origin}: {PREFIX}{name} is no part of a LoRA adapter that can be merged")
        if "pooler" not in name.split("."):  # it computes what no sentence embedding uses
            layers.setdefault(match[1], {})[match[2].removeprefix("base_layer.")] = adapter[name]
    changed: dict[str, NDArray[Any]] = {}
    for layer, parts in layers.items():
        kinds = ["bias"] if parts.keys() == {"bias"} else ["weight", "bias"] if "bias" in parts else ["weight"]
        for kind in kinds:
            target, rows = _target(base, f"{layer}.{kind}", adapter.origin, model_type)
            whole = changed.setdefault(target, base[target].astype(np.float32))
            with about(folder):
                whole[rows] = _changed(whole[rows], layer, kind, parts, settings)
    return base.with_changed(changed)


def _changed(
    weight: NDArray[np.float32], layer: str, kind: str, parts: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
) -> NDArray[np.float32]:
    """One array of the base model, as the adapter changes it."""
    if kind in parts:  # trained whole: a module to save, or a bias
        if parts[kind].shape != weight.shape:
            raise ValueError(f"{layer}.{kind} is {parts[kind].shape}, but the base model's is {weight.shape}")
        return parts[kind].astype(np.float32)
    is_table = "lora_embedding_A" in parts or "lora_embedding_B" in parts
    needed = ["lora_embedding_A", "lora_embedding_B"] if is_table else ["lora_A.weight", "lora_B.weight"]
    has_magnitude = bool(settings.get("use_dora"))
    if lacking := [part for part in [*needed, *[MAGNITUDE] * has_magnitude] if part not in parts]:
        raise ValueError(f"{WEIGHTS} lacks the array {PREFIX}{layer}.{lacking[0]}")
    first, second = (parts[part].astype(np.float32) for part in needed)
    is_turned = is_table or bool(settings.get("fan_in_fan_out"))  # the weight is (inputs, outputs)
    shape = weight.shape[::-1] if is_turned else weight.shape
    if first.ndim != 2 or second.ndim != 2 or shape != (len(second), first.shape[1]) or len(first) != second.shape[1]:
        raise ValueError(f"{layer} has parts of {second.shape} and {first.shape}, but the base model's is {shape}")
    with about(SETTINGS):
        scale = np.float32(_scale(settings, layer, len(first)))
    delta = scale * (second @ first)
    changed: NDArray[np.float32] = weight + (delta.T if is_turned else delta)
    if has_magnitude:  # of each output, DoRA (Liu et al. 2024, equation 5)
        axis = 0 if is_turned else 1
        lengths = np.linalg.norm(changed, axis=axis, keepdims=True)
        changed *= np.expand_dims(parts[MAGNITUDE].astype(np.float32), axis) / lengths
    return changed


def _target(base: NamedArrays, wanted: str, origin: Path, model_type: str) -> tuple[str, slice]:
    """The array of ``base`` that ``wanted`` is, or is a part of, and which rows of it."""
    found = [name for name in base if name == wanted or name.endswith(f".{wanted}") or wanted.endswith(f".{name}")]
    if len(found) == 1:
        return found[0], slice(None)
    if place := other_place(model_type, base, wanted):
        name, third = place
        rows = base.stored(name)[0].shape[0] // len(PROJECTIONS)
        return name, slice(None) if third is None else slice(third * rows, (third + 1) * rows)
    layer = wanted.rpartition(".")[0]
    raise ValueError(f"{origin}: the adapter changes {layer}, which the base model {base.origin} has not")


def _scale(settings: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = number(settings.get("lora_alpha", 8), "lora_alpha", 0)
    patterns = settings.get("alpha_pattern") or {}
    for pattern, own in patterns.items() if isinstance(patterns, Mapping) else ():
        if len(re.findall(r"[*+{]", pattern)) > 2 or re.search(r"\)[*+?{]", pattern):
            raise ValueError(f"alpha_pattern {shortened(pattern)} is too intricate: to match it might take for ever")
        if re.fullmatch(rf"(.*\.)?({pattern})", module):
            alpha = number(own, "alpha_pattern", 0)
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
