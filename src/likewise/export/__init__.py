"""A model as the graph that people deploy: token ids in, one vector per text out, checked before it is there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.export.check import TEXTS, Agreement, agreement
from likewise.export.deployment import write_beside
from likewise.export.encoders import ENCODERS
from likewise.export.graph import Graph, write_graph
from likewise.export.heads import headed, normalized, truncated
from likewise.export.pooling import pooled
from likewise.export.weights import DTYPES, WeightedGraph
from likewise.extras import extra
from likewise.files import whole_file, whole_folder

if TYPE_CHECKING:
    from likewise.engine.live import LiveModel
    from likewise.sentence_transformer import SentenceTransformer

GRAPH_FILE = "model.onnx"  # in a folder
SAVED_MODEL = ("modules.json", "*.safetensors", "pytorch_model*.bin")  # what a folder with a model holds


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how near it is to the model."""

    path: Path  # the graph
    size: int  # bytes, with weights in a file of their own
    dtype: str
    difference: float  # the largest between a value of the graph and of the model in float32
    cosine: float  # the lowest between a vector of the graph and of the model in float32


def export_onnx(model: SentenceTransformer, path: str | os.PathLike[str], dtype: str = "float32") -> ExportReport:
    """Write ``model`` as an ONNX graph, whole or not at all, after onnxruntime has run it and agreed with the model.

    The inputs are ``input_ids``, ``attention_mask`` and ``token_type_ids``, each (texts, length) int64, both sizes
    free; the output is ``sentence_embedding``, (texts, dim) float32. Pooling, heads, normalisation and ``truncate_dim``
    are inside. A ``path`` that ends in .onnx is the file; any other is a folder, which gets model.onnx and, ready to
    use, the tokenizer and the settings.

    Weights are stored in ``dtype``: "float32"; "float16", half as large; "int8", a quarter, whose products are computed
    in whole numbers. The vectors of float32 are within 1e-4 of the model's own; those of "float16" and "int8" have a
    cosine to them of 0.999 and 0.9 at least.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: The model has a part that no graph is made of, or the graph gives other vectors.
        OSError: ``path`` cannot be written, or is a folder that holds a saved model.
    """
    if dtype not in DTYPES:
        raise ValueError(f"weights of a graph cannot be stored in {dtype!r}; use one of {', '.join(DTYPES)}")
    chain = _exportable(model)
    with extra("onnx", "export to ONNX"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    target = Path(path)
    is_file = target.suffix == ".onnx"
    if not is_file:
        _refuse_saved_model(target)
    expected = _float32_vectors(model)  # first: a damaged checkpoint gets the library's own error
    graph, output = _graph(chain, model.live, model.truncate_dim, dtype)
    if is_file and graph.is_large:
        raise ValueError(f"weights of over 2 GB need a second file; give a folder instead of {path}")

    def write(file: Path) -> tuple[int, Agreement]:
        write_graph(graph, output, expected.shape[1], file)
        size = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
        source = _source(chain)
        return size, agreement(file, source.tokenize(TEXTS), source.settings.padding_id, expected, dtype)

    if is_file:
        with whole_file(target) as temporary:
            size, found = write(temporary)
        return ExportReport(target, size, dtype, found.difference, found.cosine)
    with whole_folder(target) as folder:
        size, found = write(folder / GRAPH_FILE)
        write_beside(folder, _source(chain), _settings(model))
    return ExportReport(target / GRAPH_FILE, size, dtype, found.difference, found.cosine)


def _exportable(model: SentenceTransformer) -> models.Chain:
    routes = model.live.routes
    if routes.router is not None:
        raise ValueError("a model with a Router cannot be exported: a graph has no routes")
    chain = routes.first
    if not isinstance(chain.source, models.Transformer):
        raise ValueError(f"a model made of {type(chain.source).__name__} cannot be exported: only transformers can")
    kind = chain.source.settings.model_type
    if kind not in ENCODERS:
        raise ValueError(f"the architecture {kind!r} cannot be exported; those that can: {', '.join(sorted(ENCODERS))}")
    for layer in chain.token_layers:
        if not isinstance(layer, models.Dense | models.Normalize):
            raise ValueError(f"a model with {type(layer).__name__} before the pooling cannot be exported")
    prompts = [name for name, prompt in model.prompts.items() if prompt]
    if chain.pooling is not None and not chain.pooling.include_prompt and prompts:
        raise ValueError(
            f"the model's pooling leaves out the tokens of its prompts ({', '.join(prompts)}), and a graph is not told "
            "which these are; export it without prompts: SentenceTransformer(…, prompts={…: ''})"
        )
    return chain


def _source(chain: models.Chain) -> models.Transformer:
    assert isinstance(chain.source, models.Transformer)
    return chain.source


def _refuse_saved_model(folder: Path) -> None:
    if found := [entry.name for pattern in SAVED_MODEL for entry in folder.glob(pattern)]:
        raise FileExistsError(
            f"{folder} holds a model already ({found[0]}), which the export would replace; give another folder, such "
            f"as {folder / 'onnx'}"
        )


def _float32_vectors(model: SentenceTransformer) -> NDArray[np.float32]:
    """The model's own vectors of TEXTS, (texts, dim), whatever it computes in otherwise."""
    live = model.live
    before = live.dtype
    if before != "float32":
        live.move(live.device, "float32")
    try:
        return model.encode(TEXTS, prompt="", show_progress_bar=False)
    finally:
        if before != "float32":
            live.move(live.device, before)


def _graph(chain: models.Chain, live: LiveModel, truncate_dim: int | None, dtype: str) -> tuple[Graph, str]:
    """The whole graph, and the name of the tensor that is its result."""
    source = _source(chain)
    graph = WeightedGraph(live.arrays(source), dtype)
    vectors = ENCODERS[source.settings.model_type](graph, source.settings)
    for number, layer in enumerate(chain.token_layers):
        assert isinstance(layer, models.Dense | models.Normalize)
        vectors = headed(graph, vectors, layer, live.arrays(layer), f"token_layers.{number}")
    assert chain.pooling is not None
    vectors = pooled(graph, vectors, chain.pooling.modes)
    for number, head in enumerate(chain.heads):
        vectors = headed(graph, vectors, head, live.arrays(head), f"heads.{number}")
    if truncate_dim is not None and truncate_dim < chain.dimension:
        vectors = truncated(graph, vectors, truncate_dim)
        if chain.is_normalized:  # a part of a unit vector is shorter than 1
            vectors = normalized(graph, vectors)
    return graph, vectors


def _settings(model: SentenceTransformer) -> dict[str, Any]:
    return {
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        "similarity_fn_name": model.similarity_fn_name,
    }
