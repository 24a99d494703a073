"""Bare large products by every library at hand, in a process of its own: what the cores can do at best.

    python bare_products_worker.py

It says in a line of JSON which products there are, as "DTYPE LIBRARY", and answers each further line, the name of one,
with its seconds and the arithmetic of it.
"""

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
from encode_worker import say

from likewise.engine.library import Encoder, Settings, instruction_set
from likewise.engine.processor import available_cores, has_native_bfloat16, has_torch
from likewise.engine.workers import in_threads

SIZE = 2048  # rows, columns and depth
DRAW = np.random.default_rng(0)


def by_numpy() -> Callable[[], object]:
    left, right = (DRAW.normal(size=(SIZE, SIZE)).astype(np.float32) for _ in range(2))
    return lambda: left @ right


def by_torch(dtype: str) -> Callable[[], object]:
    import torch

    left, right = (torch.randn(SIZE, SIZE).to(getattr(torch, dtype)) for _ in range(2))
    return lambda: left @ right


def by_torch_int8() -> Callable[[], object]:
    """Rows of float32, rounded on the way, by weights in int8: oneDNN's or FBGEMM's kernels."""
    import torch

    scales, zeros = torch.full((SIZE,), 0.03), torch.zeros(SIZE, dtype=torch.long)
    weight = torch.quantize_per_channel(torch.randn(SIZE, SIZE), scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight, None)
    rows = torch.randn(SIZE, SIZE)
    return lambda: torch.ops.quantized.linear_dynamic(rows, packed, True)


def by_kernels(dtype: str) -> Callable[[], object]:
    """Our own kernels, a block of rows in each thread at a time."""
    settings = Settings(
        vocabulary=1, embedding_width=64, hidden=64, layers=1, heads=1, intermediate=64, longest=1, positions=1,
        segment_types=1, activation=1, norm_epsilon=1e-12,
    )  # fmt: skip
    encoder = Encoder(settings, instruction_set())
    encoder.set_product("head", 0, dtype, DRAW.normal(size=(SIZE, SIZE)))
    blocks = np.split(DRAW.normal(size=(SIZE, SIZE)).astype(np.float32), 16)
    return lambda: list(in_threads(lambda rows: encoder.multiply(0, rows, SIZE), blocks, available_cores()))


def main() -> None:
    dtypes = ["float32", *["bfloat16"] * has_native_bfloat16(), "int8"]
    products = {"float32 numpy": by_numpy()}
    if has_torch():
        products |= {f"{dtype} torch": by_torch(dtype) for dtype in dtypes if dtype != "int8"}
        products["int8 torch"] = by_torch_int8()
    products |= {f"{dtype} likewise": by_kernels(dtype) for dtype in dtypes}
    say(products=list(products))
    for line in sys.stdin:
        start = perf_counter()
        products[line.strip()]()
        say(seconds=perf_counter() - start, operations=2 * SIZE**3)


if __name__ == "__main__":
    main()
