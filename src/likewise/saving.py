"""A model's live representation → a folder that sentence-transformers and we can read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.arrays import FLOATS
from likewise.checkpoint.write import LAYOUTS, Layout, ModuleFiles, write_checkpoint
from likewise.engine.live import LiveModel
from likewise.files import whole_folder


def save_model(
    modules: list[models.Module],
    live: LiveModel,
    settings: Mapping[str, Any],
    path: str | os.PathLike[str],
    layout: Layout = "legacy",
    dtype: str | None = None,
) -> None:
    """Write the model into the folder ``path``, whole or not at all; ``settings`` are its prompts and the like.

    Weights are stored in ``dtype``; without it as the checkpoint has them, or in float32 once the network is the model.

    Raises:
        ValueError: There is no such layout or dtype.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not known; use one of {', '.join(map(repr, LAYOUTS))}")
    if dtype is not None and dtype not in FLOATS:
        raise ValueError(f"weights cannot be stored in {dtype!r}; use one of {', '.join(FLOATS)}")

    def files_of(module: models.Module) -> ModuleFiles:
        if isinstance(module, models.Router):
            return module.files(files_of, layout)
        return module.files(live.arrays(module), layout)

    if layout == "6":
        settings = {"model_type": "SentenceTransformer", **settings}
    written = list(map(files_of, modules))
    with whole_folder(Path(path)) as folder:
        write_checkpoint(folder, written, settings, layout, dtype)
