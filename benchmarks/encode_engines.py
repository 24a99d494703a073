"""How each contestant of encode.py is loaded. Nothing is imported before it is asked for: each has its own Python."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GRAPH_BATCH = 32  # texts that a graph is given together


@dataclass
class Padding:
    """How many tokens a network was given, and how many of them stood for text."""

    computed: int = 0
    real: int = 0

    def count(self, mask: Any) -> None:
        """Count a mask (texts, longest of them), 1 where a token is real."""
        self.computed += mask.size if isinstance(mask.size, int) else mask.numel()
        self.real += int(mask.sum())

    def __call__(self, module: object, arguments: tuple[dict[str, Any]]) -> None:
        """See what the incumbent hands to its network; a static embedding has no mask, and pads nothing."""
        if (mask := arguments[0].get("attention_mask")) is not None:
            self.count(mask)

    @property
    def share(self) -> float:
        """Tokens added for each real one."""
        return self.computed / self.real - 1 if self.real else 0.0


@dataclass
class Loaded:
    encode: Callable[[list[str]], Any]  # texts → (texts, dim)
    dtype: str  # what it computes in, by its own word
    threads: int | str
    device: str = "cpu"
    padding: Padding = field(default_factory=Padding)


def load(library: str, engine: str, dtype: str, folder: str, device: str | None) -> Loaded:
    """The contestant of this name; ``folder`` holds the model or, for the engines of graphs, what was exported.

    ``device`` is "cpu", "cuda", …; None is what the library takes by itself. Graphs are computed on the CPU.
    """
    if library == "likewise":
        return likewise(folder, dtype, engine, device)
    if library == "sentence-transformers":
        return sentence_transformers(folder, dtype, device)
    return LOADERS[library](folder, dtype)


def likewise(folder: str, dtype: str, engine: str, device: str | None) -> Loaded:
    from likewise import SentenceTransformer

    model: Any = SentenceTransformer(folder, dtype=dtype, engine=engine, device=device)  # type: ignore[arg-type]
    made = model.engine  # made here, like the incumbent's: loading is no part of encoding
    return Loaded(model.encode, made.dtype, made.threads, made.device)


def sentence_transformers(folder: str, dtype: str, device: str | None) -> Loaded:
    import torch
    from sentence_transformers import SentenceTransformer

    options = {"torch_dtype": getattr(torch, dtype), "attn_implementation": "sdpa"} if dtype != "default" else {}
    model = SentenceTransformer(folder, device=device, model_kwargs=options)
    loaded = Loaded(
        model.encode, str(model.dtype).removeprefix("torch."), torch.get_num_threads(), device=str(model.device)
    )
    model.register_forward_pre_hook(loaded.padding)
    return loaded


def onnxruntime(folder: str, dtype: str) -> Loaded:
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    padding = Padding()
    encode = graph_encoder(folder, lambda feed: session.run(None, feed)[0], padding)
    return Loaded(encode, dtype, "its default", padding=padding)


def openvino(folder: str, dtype: str) -> Loaded:
    import openvino

    hint = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    graph = openvino.Core().compile_model(f"{folder}/model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": hint})
    # Asked for bfloat16 on a processor without it, it takes float32, and says so here.
    taken = graph.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    names = {"f32": "float32", "bf16": "bfloat16"}
    padding = Padding()
    encode = graph_encoder(folder, lambda feed: graph(feed)[0], padding)
    return Loaded(encode, names.get(taken, taken), graph.get_property("INFERENCE_NUM_THREADS"), padding=padding)


def fastembed(folder: str, dtype: str) -> Loaded:
    import numpy as np
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="exported",
        pooling=PoolingType.DISABLED,  # the graph has it inside, and the normalisation
        normalization=False,
        sources=ModelSource(hf="no/download"),  # asked for, and not read where a folder is given
        dim=0,
        model_file="model.onnx",
    )
    model = TextEmbedding("exported", specific_model_path=folder)
    padding = Padding()
    session: Any = model.model.model
    run = session.run

    def counted(outputs: Any, feed: dict[str, Any], *others: Any) -> Any:
        padding.count(feed["attention_mask"])
        return run(outputs, feed, *others)

    session.run = counted
    return Loaded(lambda texts: np.array(list(model.embed(texts))), dtype, "its default", padding=padding)


def graph_encoder(folder: str, run: Callable[[dict[str, Any]], Any], padding: Padding) -> Callable[[list[str]], Any]:
    """Texts → vectors, sorted by their number of tokens and padded to the longest of each batch."""
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))  # it cuts texts at the model's limit
    tokenizer.no_padding()

    def encode(texts: list[str]) -> Any:
        encodings = tokenizer.encode_batch_fast(texts)
        lengths = np.array([len(encoding) for encoding in encodings])
        order = np.argsort(-lengths, kind="stable")  # longest first
        parts = []
        for start in range(0, len(texts), GRAPH_BATCH):
            chosen = order[start : start + GRAPH_BATCH]
            ids = np.zeros((len(chosen), lengths[chosen[0]]), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, text in enumerate(chosen):
                ids[row, : lengths[text]] = encodings[text].ids
                mask[row, : lengths[text]] = 1
            padding.count(mask)
            parts.append(run({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}))
        vectors = np.concatenate(parts)
        vectors[order] = vectors.copy()
        return vectors

    return encode


LOADERS: dict[str, Callable[[str, str], Loaded]] = {  # engine of graphs → what loads it: (folder, dtype) → Loaded
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "fastembed": fastembed,
}
