"""The native engine taken apart, in a process of its own: what encoding takes, and what its parts take alone.

    python native_parts_worker.py DTYPE MODEL_FOLDER TEXTS.json SET

It says in a line of JSON how much arithmetic the texts of the set are, and answers each further line with the seconds
of one part: "encode" (all of it), "tokenise", "layers" (embeddings, all layers, pooling), "without attention" (the
same, each token seeing itself alone) or "products" (those of all layers and nothing else, by rows drawn at random).
"""

import json
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from encode_worker import say

from likewise import SentenceTransformer, models
from likewise.checkpoint.encoder_settings import BertSettings
from likewise.engine import TOKEN_BUDGET
from likewise.engine.library import LAYER_PRODUCTS, Encoder
from likewise.engine.native import NativeEngine
from likewise.engine.workers import in_threads
from likewise.tokens import TokenBatch, batches_by_length

GROUP = 96  # tokens that a thread of the kernels computes together


class Parts:
    """The parts of encoding ``texts``, each a method that does it once."""

    def __init__(self, dtype: str, folder: str, texts: list[str]):
        self.texts = texts
        self.model = SentenceTransformer(folder, dtype=dtype, engine="native")
        chain = self.model.live.routes.first
        assert isinstance(chain.source, models.Transformer)
        self.engine, self.narrow = NativeEngine(chain, dtype), NativeEngine(chain, dtype)
        settings = chain.source.settings
        assert isinstance(settings, BertSettings)
        self.dtype, self.layers, self.hidden = dtype, settings.layers, settings.hidden
        for layer in range(self.layers):
            self.narrow._encoder.set_window(layer, 0)
        tokens = self.model.tokenize(texts)
        self.lengths = tokens.lengths
        self.batches = [tokens.take(chosen) for chosen in batches_by_length(tokens.lengths, TOKEN_BUDGET)]
        inner = settings.intermediate
        hidden = self.hidden
        shapes = ((3 * hidden, hidden), (hidden, hidden), (inner, hidden), (hidden, inner))
        self.shapes = dict(zip(LAYER_PRODUCTS, shapes, strict=True))  # (outputs, inputs)
        draw = np.random.default_rng(0)
        self.bare = Encoder(self.engine._encoder.settings, self.engine.instructions)
        self.rows = {}
        for number, (name, shape) in enumerate(self.shapes.items()):
            self.bare.set_product("head", number, dtype, draw.normal(size=shape))
            self.rows[name] = draw.normal(size=(GROUP, shape[1])).astype(np.float32)

    def arithmetic(self) -> dict[str, float]:
        """Additions and multiplications of all layers, by what they are computed in."""
        counted: Counter[str] = Counter()
        for outputs, inputs in self.shapes.values():
            counted[self.dtype] += 2 * outputs * inputs * self.layers * int(self.lengths.sum())
        # Attention is float32 in every dtype: each token with each of its text, once for scores and once for values.
        counted["float32"] += 4 * self.hidden * self.layers * int((self.lengths.astype(np.int64) ** 2).sum())
        return dict(counted)

    def encode(self) -> object:
        return self.model.encode(self.texts)

    def tokenise(self) -> object:
        return self.model.tokenize(self.texts)

    def all_layers(self) -> object:
        return list(self.engine.embed(iter(self.batches)))

    def without_attention(self) -> object:
        return list(self.narrow.embed(iter(self.batches)))

    def products(self) -> object:
        return list(in_threads(self._products_of, self.batches, self.engine.threads))

    def _products_of(self, batch: TokenBatch) -> None:
        borders = [*range(0, len(batch.ids), GROUP), len(batch.ids)]
        for start, stop in pairwise(borders):
            for _ in range(self.layers):
                for number, (name, (outputs, _inputs)) in enumerate(self.shapes.items()):
                    self.bare.multiply(number, self.rows[name][: stop - start], outputs)


def main(dtype: str, folder: str, texts_file: str, name: str) -> None:
    parts = Parts(dtype, folder, json.loads(Path(texts_file).read_text(encoding="utf-8"))[name])
    say(arithmetic=parts.arithmetic(), tokens=int(parts.lengths.sum()))
    work: dict[str, Callable[[], object]] = {
        "encode": parts.encode,
        "tokenise": parts.tokenise,
        "layers": parts.all_layers,
        "without attention": parts.without_attention,
        "products": parts.products,
    }
    for line in sys.stdin:
        start = perf_counter()
        work[line.strip()]()
        say(seconds=perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
