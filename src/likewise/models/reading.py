"""A saved model's settings → descriptions of its modules, with their weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from likewise.checkpoint.arrays import check_shapes, read_arrays
from likewise.checkpoint.locate import Location
from likewise.checkpoint.settings import Checkpoint, ModuleEntry, architecture_of, is_model2vec, read_object
from likewise.checkpoint.values import listed, shortened
from likewise.models.chain import Module
from likewise.models.heads import Dense, Dropout, LayerNorm, Normalize
from likewise.models.pooling import OLDER_POOLING_NAMES, Pooling
from likewise.models.router import read_router
from likewise.models.static_embedding import StaticEmbedding
from likewise.models.token_layers import CNN, LSTM, WeightedLayerPooling
from likewise.models.transformer import Transformer
from likewise.models.words import BoW, WordEmbeddings, WordWeights

logger = logging.getLogger(__name__)

TRANSFORMER_KEYS = {  # what sentence_bert_config.json may hold, in all generations
    *("max_seq_length", "do_lower_case", "tokenizer_name_or_path"),
    *("model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs", "config_kwargs"),
    *("transformer_task", "modality_config", "module_output_name", "processing_kwargs", "unpad_inputs"),
}


WIDTHS = ("embedding_dimension", "word_embedding_dimension")  # the key, and its older name


def read_modules(checkpoint: Checkpoint, origin: str, encoder_only: bool = False) -> list[Module]:
    """The modules of a saved model, in order, with their weights.

    A plain encoder gets mean pooling, or the last token's vector where it was made to continue texts. So does, with
    ``encoder_only``, the encoder of another kind of model.

    Raises:
        ValueError: A module is of a kind that is not known, or its settings are not right.
        FileNotFoundError: A module's file is missing.
    """
    entries = checkpoint.modules
    if encoder_only:
        entries = tuple(ModuleEntry(entry.kind, entry.folder) for entry in entries[:1])  # its task is another one
    modules = [_read_module(entry, origin) for entry in entries]
    if len(modules) == 1 and isinstance(modules[0], Transformer):
        modules.append(Pooling(modules[0].get_embedding_dimension(), _plain_pooling(modules[0].config)))
    if isinstance(modules[0], StaticEmbedding) and _is_normalized_by_model2vec(checkpoint):
        modules.append(Normalize())
    return modules


def _is_normalized_by_model2vec(checkpoint: Checkpoint) -> bool:
    """Whether the folder is model2vec's own, without modules.json, and says that vectors are 1 long."""
    folder = checkpoint.folder
    if (folder / "modules.json").is_file() or not (folder / "config.json").is_file():
        return False
    return is_model2vec(folder) and read_object(folder / "config.json").get("normalize") is True


def _plain_pooling(config: Mapping[str, Any]) -> str:
    is_causal = config.get("is_causal") is not False
    return "lasttoken" if architecture_of(config).endswith("ForCausalLM") and is_causal else "mean"


def _read_module(entry: ModuleEntry, origin: str) -> Module:
    if entry.kind not in READERS:
        kind, known = shortened(entry.kind), ", ".join(READERS)
        raise ValueError(
            f"{entry.folder}: modules.json names a module {kind}, which is not supported; supported are {known}"
        )
    try:
        return READERS[entry.kind](entry, origin)
    except (TypeError, ValueError) as error:
        if str(entry.folder) in str(error):
            raise
        raise ValueError(f"the settings of the module {entry.kind} in {entry.folder} are not right: {error}") from error


def _transformer(entry: ModuleEntry, origin: str) -> Transformer:
    _check_task(entry.settings)
    transformer = Transformer(entry.folder, **transformer_arguments(entry))
    transformer.location = Location(entry.folder, origin)
    return transformer


def transformer_arguments(entry: ModuleEntry) -> dict[str, Any]:
    """What the settings of a Transformer say to its description.

    Raises:
        ValueError: They are not right.
    """
    settings = entry.settings
    if unknown := settings.keys() - TRANSFORMER_KEYS:
        logger.warning("%s: the settings %s are not known and have no effect", entry.folder, listed(sorted(unknown)))
    processing = settings.get("processor_kwargs") or settings.get("tokenizer_args") or {}
    changes = settings.get("config_kwargs") or settings.get("config_args") or {}
    if not isinstance(processing, dict) or not isinstance(changes, dict):
        raise ValueError("processor_kwargs and config_kwargs must be objects")
    return {
        "max_seq_length": processing.get("model_max_length", settings.get("max_seq_length")),
        "do_lower_case": bool(settings.get("do_lower_case")),
        "config_kwargs": {name: value for name, value in changes.items() if name != "trust_remote_code"},
    }


def _check_task(settings: Mapping[str, Any]) -> None:
    task = settings.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise ValueError(f"transformer_task is {shortened(task)}; a sentence embedding model has 'feature-extraction'")
    modalities = settings.get("modality_config", {"text": {}})
    text = modalities.get("text") if isinstance(modalities, dict) else None
    if not isinstance(text, dict):
        raise ValueError(f"modality_config knows no text: {shortened(modalities)}")
    output = text.get("method_output_name", "last_hidden_state")
    name = settings.get("module_output_name", "token_embeddings")
    if (text.get("method", "forward"), output, name) != ("forward", "last_hidden_state", "token_embeddings"):
        raise ValueError(
            f"the encoder's {shortened(output)} is asked for as {shortened(name)}; supported is its "
            "'last_hidden_state' as 'token_embeddings'"
        )


def _pooling(entry: ModuleEntry, origin: str) -> Pooling:
    return Pooling(**_known(entry.settings, (*WIDTHS, "pooling_mode", "include_prompt", *OLDER_POOLING_NAMES)))


def _with_arrays(kind: Callable[..., Any], *names: str) -> Callable[[ModuleEntry, str], Any]:
    def read(entry: ModuleEntry, origin: str) -> Any:
        module = kind(**_known(entry.settings, names))
        arrays = read_arrays(entry.folder)
        if isinstance(module, Dense | LayerNorm):  # these are computed without torch too, which checks all others
            check_shapes(arrays, module.shapes, arrays.origin)
        module.arrays = arrays
        return module

    return read


def _without_arrays(kind: Callable[..., Any], *names: str) -> Callable[[ModuleEntry, str], Any]:
    return lambda entry, origin: kind(**_known(entry.settings, names))


def _known(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}


READERS: dict[str, Callable[[ModuleEntry, str], Any]] = {  # a module's class, by its last name → how it is read
    "Transformer": _transformer,
    "Pooling": _pooling,
    "Dense": _with_arrays(
        Dense,
        *("in_features", "out_features", "bias", "activation_function"),
        *("module_input_name", "module_output_name", "use_residual"),
    ),
    "LayerNorm": _with_arrays(LayerNorm, "dimension"),
    "Dropout": _without_arrays(Dropout, "dropout"),
    "Normalize": _without_arrays(Normalize, "module_input_name", "module_output_name"),
    "StaticEmbedding": lambda entry, origin: StaticEmbedding.read(Location(entry.folder, origin)),
    "Router": lambda entry, origin: read_router(
        entry.settings, {name: _read_module(part, origin) for name, part in entry.parts.items()}
    ),
    "WeightedLayerPooling": _with_arrays(WeightedLayerPooling, *WIDTHS, "num_hidden_layers", "layer_start"),
    "WordEmbeddings": lambda entry, origin: WordEmbeddings.read(entry.folder, entry.settings),
    "WordWeights": _without_arrays(WordWeights, "vocab", "word_weights", "unknown_word_weight"),
    "BoW": _without_arrays(BoW, "vocab", "word_weights", "unknown_word_weight", "cumulative_term_frequency"),
    "CNN": _with_arrays(
        CNN,
        *("in_embedding_dimension", "in_word_embedding_dimension"),
        *("out_channels", "kernel_sizes", "stride_sizes"),
    ),
    "LSTM": _with_arrays(LSTM, *WIDTHS, "hidden_dim", "num_layers", "dropout", "bidirectional"),
}
