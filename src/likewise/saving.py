"""A model's live representation → a folder that sentence-transformers and we can read."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.adapter import SETTINGS, WEIGHTS, Adapter
from likewise.checkpoint.arrays import FLOATS
from likewise.checkpoint.fingerprint import fingerprint
from likewise.checkpoint.model_card import ModelFacts, Score, TrainingFacts, is_generated, model_card
from likewise.checkpoint.model_files import CALIBRATION, encoder_folders
from likewise.checkpoint.model_settings import ModelSettings
from likewise.checkpoint.write import LAYOUTS, Layout, ModuleFiles, write_checkpoint
from likewise.engine.adapters import adapter_of
from likewise.engine.calibration import calibrate, is_calibrated
from likewise.engine.live import LiveModel
from likewise.engine.native import reason_against, unknown_to_kernels
from likewise.engine.packed_weights import pack
from likewise.files import whole_folder


@dataclass(frozen=True)
class Card:
    """What a model card says beside what the model itself knows."""

    model_name: str | None = None  # what loads the model; by default the folder's name
    training: TrainingFacts | None = None
    scores: Sequence[Score] = ()


@dataclass(frozen=True)
class StoredForm:
    """How weights are stored."""

    # None: as the checkpoint has them, or in float32 once the network is the model. "int8": the same, to be computed in
    # int8, with what the inputs of the products become with some texts beside them.
    dtype: str | None = None
    calibration: Sequence[str] = ()  # these texts, instead of those that ship with the package
    packed: bool = False  # whether they also lie there as the kernels read them

    def check(self, live: LiveModel) -> None:
        """Check, before anything is written, that a model can be stored so.

        Raises:
            ValueError: There is no such dtype, texts are given for another one than int8, or the kernels, which alone
                read what is to be written, do not compute the model.
        """
        if self.dtype is not None and self.dtype not in (*FLOATS, "int8"):
            raise ValueError(f"weights cannot be stored in {self.dtype!r}; use one of {', '.join(FLOATS)}, int8")
        if self.calibration and self.dtype != "int8":
            raise ValueError(f'texts to calibrate with are for dtype="int8", not for dtype={self.dtype!r}')
        if self.dtype == "int8" or self.packed:
            asked = 'dtype="int8"' if self.dtype == "int8" else "packed=True"
            sources = {
                chain.source: unknown_to_kernels(chain)
                for chain in live.routes.chains.values()
                if isinstance(chain.source, models.Transformer)
            }
            if not sources:
                raise ValueError(f"{asked} is for transformers, and the model has none")
            for source, against in sources.items():
                if source.is_merged:
                    against = "the weights are an adapter's, which takes merge_adapters() first"
                if against:
                    raise ValueError(f"{asked} is for the native engine, but {against}")

    @property
    def weights(self) -> str | None:
        """What the floats of the checkpoint are stored in; None: as they are."""
        return None if self.dtype == "int8" else self.dtype

    def add_files_of_kernels(self, folder: Path) -> None:
        """Write what only the kernels read beside the weights of the model in ``folder``."""
        for encoder in encoder_folders(folder):
            if self.dtype == "int8":
                calibrate(encoder, self.calibration)
            if self.packed:
                pack(encoder)


def save_model(
    modules: Sequence[models.Module],
    live: LiveModel,
    settings: ModelSettings,
    path: str | os.PathLike[str],
    layout: Layout,
    form: StoredForm,
    card: Card | None,
) -> None:
    """Write the model into the folder ``path``, whole or not at all; without a ``card`` none is written.

    Raises:
        ValueError: There is no such layout or dtype, or what ``form`` asks for is not to be had.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not known; use one of {', '.join(map(repr, LAYOUTS))}")
    form.check(live)

    def of_module(module: Any) -> ModuleFiles:  # any module but a Router
        adapter = adapter_of(live, module)
        if adapter is None:
            files = module.files(live.arrays(module), layout)
            return with_calibration(files, module, live) if form.dtype is None else files
        assert isinstance(module, models.Transformer)
        if module.base_folder.resolve() == Path(os.path.realpath(path)):
            raise ValueError(f"{path} is the base model that the adapter needs; save it into another folder")
        return with_adapter(module.files({}, layout), adapter)

    written = _files_of(modules, layout, of_module)
    is_adapter = any(SETTINGS in files.json for files in written)
    with whole_folder(path, dropped=["config.json"] * is_adapter) as folder:
        write_checkpoint(folder, written, _json(settings, layout), layout, form.weights)
        form.add_files_of_kernels(folder)
        if card is not None and not has_own_card(path):
            facts = _facts(modules, live.routes, settings, card, Path(os.path.realpath(path)).name)
            (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def write_copy(modules: Sequence[models.Module], live: LiveModel, folder: Path, for_cpu: bool) -> None:
    """Write into the empty ``folder`` what another process of this machine loads to compute the same vectors.

    Adapters are merged. ``for_cpu`` adds, where the kernels compute the model, its weights as they read them.
    """

    def of_module(module: Any) -> ModuleFiles:  # any module but a Router
        return with_calibration(module.files(live.arrays(module), "legacy"), module, live)

    write_checkpoint(folder, _files_of(modules, "legacy", of_module), _json(ModelSettings(), "legacy"), "legacy", None)
    if for_cpu:
        add_packed(folder, live)


def with_calibration(files: ModuleFiles, module: models.Part, live: LiveModel) -> ModuleFiles:
    """``files``, of ``module``, with what its conversion to int8 left beside its weights while these are the same."""
    if live.has_network or not isinstance(module, models.Transformer) or not is_calibrated(module):
        return files
    return replace(files, copied=[*files.copied, module.location.folder / CALIBRATION])


def add_packed(folder: Path, live: LiveModel) -> None:
    """Put beside the weights in ``folder`` the same as the kernels read them, where they are what computes them."""
    sources = [chain for chain in live.routes.chains.values() if isinstance(chain.source, models.Transformer)]
    if live.has_network or live.wanted == "torch" or any(reason_against(chain, live.dtype) for chain in sources):
        return
    for encoder in encoder_folders(folder):
        pack(encoder, live.dtype)


def fingerprint_of(modules: Sequence[models.Module], live: LiveModel) -> str:
    """What tells this model, with its weights as they are now, from every other: 32 hexadecimal digits."""

    return fingerprint(_files_of(modules, "legacy", lambda module: module.files(live.arrays(module), "legacy")))


def has_own_card(path: str | os.PathLike[str]) -> bool:
    """Whether the folder ``path`` has a model card that somebody has written."""
    readme = Path(path) / "README.md"
    return readme.is_file() and not is_generated(readme.read_text(encoding="utf-8", errors="replace"))


def with_adapter(files: ModuleFiles, adapter: Adapter) -> ModuleFiles:
    """What an encoder's folder holds where its base model is in another one."""
    # With a config.json beside the adapter, Transformers would look for the base model's weights there too.
    json = {name: value for name, value in files.json.items() if name != "config.json"}
    return replace(files, json=json | {SETTINGS: adapter.settings}, arrays=adapter.arrays, weights=WEIGHTS)


def _files_of(
    modules: Sequence[models.Module], layout: Layout, of_module: Callable[[Any], ModuleFiles]
) -> list[ModuleFiles]:
    """What the folders of ``modules`` hold; ``of_module`` tells it of each, those within a Router included."""

    def each(module: models.Module) -> ModuleFiles:
        return module.files(each, layout) if isinstance(module, models.Router) else of_module(module)

    return list(map(each, modules))


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
