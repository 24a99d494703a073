"""A LoRA adapter (Hu et al. 2021), as peft saves it → its base model's arrays with the adapter merged in."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import NamedArrays, read_arrays
from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import number, shortened

SETTINGS = "adapter_config.json"
PREFIX = "base_model.model."


def base_model_name(folder: Path) -> str | None:
    """The name or folder of the model that the adapter in ``folder`` belongs to; None without an adapter.

    Raises:
        ValueError: The adapter is of a kind that cannot be merged.
    """
    file = folder / SETTINGS
    if not file.is_file():
        return None
    settings = read_object(file)
    if settings.get("peft_type") != "LORA" or settings.get("use_dora"):
        kind = "DoRA" if settings.get("use_dora") else settings.get("peft_type")
        raise ValueError(f"{file}: an adapter of the kind {shortened(kind)} is not supported, only LORA is")
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{file}: base_model_name_or_path must name the base model, not {shortened(name)}")
    return name


def merged(base: NamedArrays, folder: Path) -> NamedArrays:
    """The arrays of ``base`` with the adapter in ``folder`` added: W + (α / r) B A (Hu et al. 2021, section 4.1).

    Raises:
        FileNotFoundError: The adapter's weights are missing.
        ValueError: They do not fit the base model.
    """
    settings = read_object(folder / SETTINGS)
    adapter = read_arrays(folder, ("adapter_model", "adapter_model"))
    changed: dict[str, NDArray[Any]] = {}
    for name in adapter:
        module = name.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        if name.endswith(".lora_B.weight") and name.replace("lora_B", "lora_A") in adapter:
            continue
        if not name.endswith(".lora_A.weight"):
            raise ValueError(f"{adapter.origin}: {name} is no part of a LoRA adapter that can be merged")
        other = name.replace("lora_A", "lora_B")
        if other not in adapter:
            raise ValueError(f"{adapter.origin} lacks the array {other}")
        target = _target(base, module, adapter.origin)
        first, second = adapter[name].astype(np.float32), adapter[other].astype(np.float32)
        weight = base[target].astype(np.float32)
        if first.ndim != 2 or second.ndim != 2 or weight.shape != (len(second), first.shape[1]):
            shapes = f"{second.shape} and {first.shape}"
            raise ValueError(
                f"{adapter.origin}: {module} has parts of {shapes}, but the base model's is {weight.shape}"
            )
        try:
            scale = _scale(settings, module, len(first))
        except (ValueError, re.error) as error:
            raise ValueError(f"{folder / SETTINGS}: {error}") from error
        changed[target] = weight + np.float32(scale) * (second @ first)
    return base.with_changed(changed)


def _target(base: NamedArrays, module: str, origin: Path) -> str:
    wanted = f"{module}.weight"
    found = [name for name in base if name == wanted or name.endswith(f".{wanted}") or wanted.endswith(f".{name}")]
    if len(found) != 1:
        raise ValueError(f"{origin}: the adapter changes {module}, which the base model {base.origin} has not")
    return found[0]


def _scale(settings: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = number(settings.get("lora_alpha", 8), "lora_alpha", 0)
    patterns = settings.get("alpha_pattern") or {}
    for pattern, own in patterns.items() if isinstance(patterns, Mapping) else ():
        if len(re.findall(r"[*+{]", pattern)) > 2 or re.search(r"\)[*+?{]", pattern):
            raise ValueError(f"alpha_pattern {shortened(pattern)} is too intricate: to match it might take for ever")
        if re.fullmatch(rf"(.*\.)?({pattern})", module):
            alpha = number(own, "alpha_pattern", 0)
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
