"""Checkpoints of a run: written whole or not at all, and all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likewise.training.callbacks import TrainerState

STATE, TENSORS, ARGUMENTS = "trainer_state.json", "training_state.pt", "training_arguments.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def checkpoint_folder(output_dir: str, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return Path(output_dir) / f"checkpoint-{step}"


def checkpoints_in(output_dir: str) -> list[Path]:
    """The checkpoints in ``output_dir``, oldest first."""
    found = {
        int(match[1]): folder
        for folder in Path(output_dir).glob("checkpoint-*")
        if (match := _NAME.fullmatch(folder.name)) and folder.is_dir()
    }
    return [found[step] for step in sorted(found)]


def checkpoint_to_resume(given: str | os.PathLike[str] | bool, output_dir: str) -> Path:
    """The checkpoint that ``given`` names; True means the newest one in ``output_dir``.

    Raises:
        FileNotFoundError: There is none, or it cannot be resumed from.
    """
    if given is True:
        found = checkpoints_in(output_dir)
        if not found:
            raise FileNotFoundError(f"there is no checkpoint in {output_dir}; start with train()")
        folder = found[-1]
    else:
        folder = Path(str(given))
    for name in (STATE, TENSORS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} cannot be resumed from: it has no {name} (save_only_model leaves it out)"
            )
    return folder


def remove_half_written(output_dir: str) -> None:
    """Remove what a process that was killed had begun to write."""
    for folder in Path(output_dir).glob(".checkpoint-*.part"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_old(output_dir: str, limit: int, best: str | None) -> None:
    """Keep the newest ``limit`` checkpoints; the ``best`` one takes the place of the oldest of them, not of the newest.

    The newest one stays whatever ``limit`` is, for a run to go on from.
    """
    found = checkpoints_in(output_dir)
    kept = found[-limit:]
    if best is not None and Path(best) in found and Path(best) not in kept:
        kept = [Path(best), *(kept[1:] or kept)]
    for folder in found:
        if folder not in kept:
            shutil.rmtree(folder)


def random_states() -> dict[str, Any]:
    """The states of all generators that this process may draw from."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, next_gauss = random.getstate()
    return {
        "python": [version, torch.tensor(internal, dtype=torch.int64), next_gauss],
        "numpy": [kind, torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Set all generators to ``states``."""
    version, internal, next_gauss = states["python"]
    random.setstate((version, tuple(internal.tolist()), next_gauss))
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def write_state(folder: Path, state: TrainerState, tensors: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Write into ``folder`` what a run needs to go on."""
    (folder / STATE).write_text(state.to_json(), encoding="utf-8")
    (folder / ARGUMENTS).write_text(json.dumps(arguments, indent=2, default=str), encoding="utf-8")
    torch.save(dict(tensors), folder / TENSORS)


def read_state(folder: Path) -> tuple[TrainerState, dict[str, Any]]:
    """What ``write_state`` wrote; no code in it is run.

    Raises:
        ValueError: A file is damaged.
    """
    state = TrainerState.from_json(folder / STATE)
    try:
        tensors = torch.load(folder / TENSORS, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise ValueError(f"{folder / TENSORS} is damaged ({error}); resume from another checkpoint") from error
    return state, tensors
