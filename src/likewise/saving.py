"""A model's live representation → a folder that sentence-transformers and we can read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.names import stored_name
from likewise.checkpoint.write import EncoderFiles, ModuleFiles, write_checkpoint
from likewise.engine.live import LiveModel
from likewise.files import whole_folder


def save_model(live: LiveModel, settings: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the model into the folder ``path``, whole or not at all; ``settings`` are its prompts and the like.

    Weights are written as the checkpoint has them, or in float32 once the network is the model.
    """
    transformer, *others = live.modules
    assert isinstance(transformer, models.Transformer)
    model_type = transformer.settings.model_type
    unrounded = () if live.has_network else transformer.arrays
    encoder = EncoderFiles(
        config=transformer.config,
        settings={"max_seq_length": transformer.max_seq_length, "do_lower_case": transformer.do_lower_case},
        arrays={stored_name(model_type, name): array for name, array in live.encoder_arrays().items()},
        bfloat16=[stored_name(model_type, n) for n in unrounded if transformer.arrays.dtype(n) == "bfloat16"],
        tokenizer_folder=transformer.tokenizer_folder,
        tokenizer_json=transformer.tokenizer.to_str(),
    )
    modules = []
    for module, weights in zip(others, [{}, *live.head_arrays()], strict=True):  # the pooling has none
        assert not isinstance(module, models.Transformer)
        modules.append(ModuleFiles(type(module).__name__, module.saved_settings(), weights))
    with whole_folder(Path(path)) as folder:
        write_checkpoint(folder, encoder, modules, settings)
