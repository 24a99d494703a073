"""The kernels as an engine: encoder, pooling and heads on the CPU, without torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.engine import TOKEN_BUDGET, heads
from likewise.engine.calibration import dtype_of
from likewise.engine.kernel_encoder import not_known
from likewise.engine.library import are_there, instruction_set
from likewise.engine.packed_weights import encoder_of
from likewise.engine.processor import available_cores
from likewise.engine.workers import in_threads
from likewise.tokens import TokenBatch

Vectors = NDArray[np.float32]

TOKENS_OF_A_PART = 192  # that a thread takes at once: two groups of the kernels', so that all threads end together


def reason_against(chain: models.Chain, dtype: str) -> str | None:
    """Why the kernels cannot compute the vectors of ``chain`` in ``dtype``; None where they can."""
    if dtype == "float16":
        return "the kernels do not compute in float16"
    return unknown_to_kernels(chain) or ("some of its weights are in no file" if chain.are_drawn_anew else None)


def unknown_to_kernels(chain: models.Chain) -> str | None:
    """Why the kernels cannot compute ``chain`` once all its weights are in files; None where they can."""
    if not are_there():
        return "this installation has no kernels"
    if not isinstance(chain.source, models.Transformer):
        return f"the kernels do not compute a {type(chain.source).__name__}"
    if what := not_known(chain.source.settings):
        return f"the kernels do not know {what}"
    if chain.token_layers or chain.pooling is None:
        return "the kernels know nothing between the encoder and the pooling"
    if unknown := [head for head in chain.heads if not heads.is_known(head)]:
        return f"the kernels do not know {unknown[0]}"
    if chain.classifier is not None and not heads.knows_classifier(chain.classifier):
        return f"the kernels do not know the activation of {chain.classifier}"
    return None


class NativeEngine:
    """Computes with the kernels: the same bits for a text, whatever shares its batch, in any order and budget."""

    name = "native"
    device = "cpu"
    by_length = True
    token_budget = TOKEN_BUDGET

    def __init__(self, chain: models.Chain, dtype: str = "auto", threads: int | None = None):
        assert isinstance(chain.source, models.Transformer)
        assert chain.pooling is not None
        self.instructions = instruction_set()
        self.dtype = dtype_of(chain.source, dtype, self.instructions)
        self.threads = threads or available_cores()
        self._modes = chain.pooling.modes
        self._encoder, packed = encoder_of(chain.source, self.dtype, self.instructions)
        self.note = f"{self.instructions}, {self.threads} threads" + (f", weights from {packed.name}" if packed else "")
        self._heads = 0
        self.finish = heads.finisher(chain, self._product)

    def deterministic(self) -> NativeEngine:
        """Itself."""
        return self

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[Vectors]:
        """For each batch one vector per text, (texts, dim)."""
        return self._computed(batches, lambda batch: self.finish(self._encoder.encode(batch, self._modes)))

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[Vectors]:
        """For each batch one vector per token, before the pooling, (tokens, hidden)."""
        return self._computed(batches, lambda batch: self._encoder.encode(batch, ["tokens"]))

    def _computed(self, batches: Iterable[TokenBatch], compute: Callable[[TokenBatch], Vectors]) -> Iterator[Vectors]:
        counts: deque[int] = deque()  # in how many parts each batch is computed

        def all_parts() -> Iterator[TokenBatch]:
            for batch in batches:
                found = parts(batch, -(-len(batch.ids) // TOKENS_OF_A_PART))
                counts.append(len(found))
                yield from found

        computed: list[Vectors] = []
        for vectors in in_threads(compute, all_parts(), self.threads):
            computed.append(vectors)
            if len(computed) == counts[0]:
                yield np.concatenate(computed)
                computed.clear()
                counts.popleft()

    def _product(self, weight: NDArray[np.floating], bias: NDArray[np.floating] | None) -> Callable[[Vectors], Vectors]:
        """rows → rows weightᵀ + bias, in float32: each row's bits are its own, which a BLAS does not promise."""
        number, outputs = self._heads, len(weight)
        self._heads += 1
        self._encoder.set_product("head", number, "float32", weight, bias)
        return lambda rows: self._encoder.multiply(number, rows, outputs)


def parts(batch: TokenBatch, count: int) -> list[TokenBatch]:
    """``batch`` in ``count`` parts or fewer, of whole texts and about as many tokens each; at least one."""
    if count < 2:
        return [batch]
    wanted = np.arange(1, count) * (len(batch.ids) / count)
    borders = [0, *np.searchsorted(batch.offsets, wanted).tolist(), len(batch)]
    return [batch.take(np.arange(start, stop)) for start, stop in pairwise(borders) if start < stop]
