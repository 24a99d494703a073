"""A model of each kind, tiny and with random weights, for tests that hold for all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from likewise import SentenceTransformer, models
from likewise.models.word_tokenizers import WhitespaceTokenizer
from tests.tiny_checkpoints import vocabulary

WORDS = ["PADDING", "the", "kettle", "boils", "rain", "winter", "green", "tea", "late", "train", "station", "garden"]
IDF = {"kettle": 2.0, "tea": 0.5, "rain": 1.5}
TEXTS = [
    "The kettle boils.",
    "It was late, and the TRAIN was not in the station.",
    "tea",
    "",
    "rain, rain; winter rain!",
]


def drawn(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Random numbers around zero."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def words() -> models.WordEmbeddings:
    """A table of vectors for WORDS; "the" is left out of every text."""
    return models.WordEmbeddings(WhitespaceTokenizer(WORDS, ["the"]), drawn(len(WORDS), 6))


def dense(inputs: int, outputs: int, seed: int = 0, **settings: Any) -> models.Dense:
    """A Dense with weights."""
    weight, bias = drawn(outputs, inputs, seed=seed), drawn(outputs, seed=seed + 1)
    return models.Dense(inputs, outputs, init_weight=weight, init_bias=bias, **settings)


def static(folder: Path, width: int) -> models.StaticEmbedding:
    """A table of token vectors."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return models.StaticEmbedding(tokenizer, drawn(len(vocabulary()), width))


def with_weights(module: Any, **shapes: tuple[int, ...]) -> Any:
    """The module, with random arrays of these shapes; a double underscore in a name is a dot."""
    module.arrays = {name.replace("__", "."): drawn(*shape, seed=len(name)) for name, shape in shapes.items()}
    return module


def cnn() -> models.CNN:
    """Kernels of 1, 3 and 5 words."""
    shapes: dict[str, tuple[int, ...]] = {
        f"convs__{place}__weight": (4, 6, size) for place, size in enumerate((1, 3, 5))
    }
    shapes |= {f"convs__{place}__bias": (4,) for place in range(3)}
    cnn: models.CNN = with_weights(models.CNN(6, 4), **shapes)
    return cnn


def lstm() -> models.LSTM:
    """Two layers, both directions."""
    torch.manual_seed(3)
    made = torch.nn.LSTM(6, 5, 2, bidirectional=True)
    arrays = {f"encoder.{name}": weight.detach().numpy() for name, weight in made.named_parameters()}
    return models.LSTM(6, 5, num_layers=2, arrays=arrays)


def router(folder: Path) -> models.Router:
    """Queries by a table, documents by a transformer."""
    documents: list[models.Module] = [models.Transformer(folder, 20), models.Pooling(32), dense(32, 8)]
    return models.Router.for_query_document([static(folder, 8)], documents)


def asym() -> models.Router:
    """Two layers behind one encoder."""
    return models.Asym({"query": [dense(32, 8)], "doc": [dense(32, 8, seed=5)]}, allow_empty_key=False)


MADE: dict[str, Callable[[Path], list[models.Module]]] = {  # name → its modules, from the folder of a tiny encoder
    "static": lambda folder: [static(folder, 8), models.Normalize()],
    "static and heads": lambda folder: [
        static(folder, 8),
        dense(8, 6, use_residual=False),
        with_weights(models.LayerNorm(6), norm__weight=(6,), norm__bias=(6,)),
        models.Dropout(0.5),
    ],
    "words": lambda folder: [words(), models.Pooling(6, ["mean", "max"])],
    "weighted words": lambda folder: [words(), models.WordWeights(WORDS, IDF, 0.25), models.Pooling(6)],
    "cnn": lambda folder: [words(), cnn(), models.Pooling(12)],
    "lstm": lambda folder: [words(), lstm(), models.Pooling(10)],
    "bag of words": lambda folder: [models.BoW(WORDS, IDF), dense(len(WORDS), 5)],
    "bag of words, each once": lambda folder: [models.BoW(WORDS, IDF, 3.0, False)],
    "router": lambda folder: [router(folder), models.Normalize()],
    "asym": lambda folder: [models.Transformer(folder), models.Pooling(32), asym()],
    "dense before the pooling": lambda folder: [
        models.Transformer(folder),
        dense(32, 8, module_input_name="token_embeddings"),
        models.Normalize(module_input_name="token_embeddings"),
        models.Pooling(8, "max"),
    ],
}


def made(name: str, folder: Path) -> SentenceTransformer:
    """The model of that name, of the tiny encoder in ``folder``."""
    return SentenceTransformer(modules=MADE[name](folder), dtype="float32", device="cpu")


def all_vectors(model: SentenceTransformer) -> NDArray[np.float32]:
    """The vectors of TEXTS, by every route."""
    tasks = model.description.routes or (None,)
    return np.stack([model.encode(TEXTS, task=task) for task in tasks])
