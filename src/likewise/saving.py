"""A model's live representation → a folder that sentence-transformers and we can read."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.adapter import SETTINGS, WEIGHTS, Adapter
from likewise.checkpoint.arrays import FLOATS
from likewise.checkpoint.model_card import ModelFacts, Score, TrainingFacts, is_generated, model_card
from likewise.checkpoint.model_settings import ModelSettings
from likewise.checkpoint.write import LAYOUTS, Layout, ModuleFiles, write_checkpoint
from likewise.engine.adapters import adapter_of
from likewise.engine.live import LiveModel
from likewise.files import whole_folder


@dataclass(frozen=True)
class Card:
    """What a model card says beside what the model itself knows."""

    model_name: str | None = None  # what loads the model; by default the folder's name
    training: TrainingFacts | None = None
    scores: Sequence[Score] = ()


def save_model(
    modules: Sequence[models.Module],
    live: LiveModel,
    settings: ModelSettings,
    path: str | os.PathLike[str],
    layout: Layout,
    dtype: str | None,
    card: Card | None,
) -> None:
    """Write the model into the folder ``path``, whole or not at all; without a ``card`` none is written.

    Weights are stored in ``dtype``; without it as the checkpoint has them, or in float32 once the network is the model.

    Raises:
        ValueError: There is no such layout or dtype.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not known; use one of {', '.join(map(repr, LAYOUTS))}")
    check_dtype(dtype)

    def files_of(module: models.Module) -> ModuleFiles:
        if isinstance(module, models.Router):
            return module.files(files_of, layout)
        adapter = adapter_of(live, module)
        if adapter is None:
            return module.files(live.arrays(module), layout)
        assert isinstance(module, models.Transformer)
        if module.base_folder.resolve() == Path(os.path.realpath(path)):
            raise ValueError(f"{path} is the base model that the adapter needs; save it into another folder")
        return with_adapter(module.files({}, layout), adapter)

    written = list(map(files_of, modules))
    is_adapter = any(SETTINGS in files.json for files in written)
    with whole_folder(path, dropped=["config.json"] * is_adapter) as folder:
        write_checkpoint(folder, written, _json(settings, layout), layout, dtype)
        if card is not None and not has_own_card(path):
            facts = _facts(modules, live.routes, settings, card, Path(os.path.realpath(path)).name)
            (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def check_dtype(dtype: str | None) -> None:
    """Check what weights are to be stored in; None leaves them as they are.

    Raises:
        ValueError: There is no such dtype.
    """
    if dtype is not None and dtype not in FLOATS:
        raise ValueError(f"weights cannot be stored in {dtype!r}; use one of {', '.join(FLOATS)}")


def has_own_card(path: str | os.PathLike[str]) -> bool:
    """Whether the folder ``path`` has a model card that somebody has written."""
    readme = Path(path) / "README.md"
    return readme.is_file() and not is_generated(readme.read_text(encoding="utf-8", errors="replace"))


def with_adapter(files: ModuleFiles, adapter: Adapter) -> ModuleFiles:
    """What an encoder's folder holds where its base model is in another one."""
    # With a config.json beside the adapter, Transformers would look for the base model's weights there too.
    json = {name: value for name, value in files.json.items() if name != "config.json"}
    return replace(files, json=json | {SETTINGS: adapter.settings}, arrays=adapter.arrays, weights=WEIGHTS)


def _json(settings: ModelSettings, layout: Layout) -> dict[str, Any]:
    written: dict[str, Any] = {"model_type": settings.model_type} if layout == "6" else {}
    for name in ("prompts", "default_prompt_name", "similarity_fn_name"):
        written[name] = getattr(settings, name)
    if settings.truncate_dim is not None:
        written["truncate_dim"] = settings.truncate_dim
    return written


def _facts(
    modules: Sequence[models.Module], routes: models.Routes, settings: ModelSettings, card: Card, folder: str
) -> ModelFacts:
    chain = routes.first
    limit = chain.source.max_seq_length
    return ModelFacts(
        name=card.model_name or folder,
        architecture=chain.source.architecture,
        modules=list(map(repr, modules)),
        dimension=min(chain.dimension, settings.truncate_dim or chain.dimension),
        max_seq_length=None if math.isinf(limit) else int(limit),
        similarity=settings.similarity_fn_name or "cosine",
        prompts=settings.prompts,
        routes=routes.names,
        training=card.training,
        scores=card.scores,
    )
