"""Where the time of our torch engine goes on a CPU, and how near its products come to the machine's peak.

Its threads compute a batch each, so the times are those of all threads together.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import ParamSpec, TypeVar
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch._C._profiler import _ExperimentalConfig
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from likewise import SentenceTransformer
from likewise.engine.torch import TorchEngine
from likewise.models import transformer
from likewise.network import bert
from likewise.network.attention import packed_attention
from likewise.tokens import tokenize

REGIONS = TOKENISING, EMBEDDINGS, ATTENTION, POOLING = "tokenising", "embeddings", "attention", "pooling and heads"
BATCH = "the rest: Python and numpy"  # the region around each batch: what is left of it when the others are taken out
PRODUCTS, POINTWISE, CONVERSIONS = "products", "norms, GELU, residuals", "changes of dtype"
OTHER = "other operations of torch"
KINDS = {  # operation of torch, outside the regions → what it is
    "aten::linear": PRODUCTS,
    "mkldnn::_linear_pointwise": PRODUCTS,  # with the GELU, where it is fused
    "aten::layer_norm": POINTWISE,
    "aten::gelu": POINTWISE,
    "aten::add": POINTWISE,
    "aten::add_": POINTWISE,
    "aten::to": CONVERSIONS,  # autocast calls it inside aten::linear
}
ALL_THREADS = _ExperimentalConfig(profile_all_threads=True)  # there is no public way to see more than one thread
LARGE = 4096  # rows, columns and depth of a bare product that shows the machine's peak
TRIES = 7

P = ParamSpec("P")
R = TypeVar("R")


def breakdown(folder: Path, texts: list[str]) -> str:
    """A table in Markdown of the parts of one ``encode`` of ``texts``, and the rate of its products."""
    model = SentenceTransformer(folder, engine="torch")
    engine = model.engine
    if not isinstance(engine, TorchEngine) or engine.device != "cpu":
        return f"no breakdown for {engine.name} on {engine.device}: it reads the operations of torch on a CPU"
    plain = min(timed(lambda: model.encode(texts)) for _ in range(3))  # the first one warms up
    network = engine.network
    with (  # marked from outside: the library itself carries no code for the profiler
        patch.object(transformer, "tokenize", marked(TOKENISING, tokenize)),
        patch.object(network.encoder.embeddings, "forward", marked(EMBEDDINGS, network.encoder.embeddings.forward)),
        patch.object(bert, "packed_attention", marked(ATTENTION, packed_attention)),
        patch.object(network, "pooled", marked(POOLING, network.pooled)),
        patch.object(engine, "_sentence_vectors", marked(BATCH, engine._sentence_vectors)),
        profile(activities=[ProfilerActivity.CPU], experimental_config=ALL_THREADS) as profiler,
    ):
        profiled = timed(lambda: model.encode(texts))
    microseconds, others = Counter[str](), Counter[str]()
    for event in profiler.events():
        kind = kind_of(event)
        microseconds[kind] += event.self_cpu_time_total
        if kind == OTHER:
            others[event.name] += event.self_cpu_time_total
    total = microseconds.total()
    lines = [f"| {engine.dtype} | milliseconds | share |", "|---|---:|---:|"]
    lines += [f"| {kind} | {time / 1e3:.0f} | {time / total:.1%} |" for kind, time in microseconds.most_common()]
    lines.append(f"| together | {total / 1e3:.0f} | |")
    lines.append(
        f"\n{engine.threads} threads took {profiled * 1e3:.0f} ms for it, {plain * 1e3:.0f} ms without the profiler. "
        f"{OTHER.capitalize()}: {', '.join(name for name, _ in others.most_common(5)) or 'none'}."
    )
    tokens = int(model.tokenize(texts).lengths.sum())
    rate = tokens * operations_per_token(folder) / (microseconds[PRODUCTS] / engine.threads) / 1e3
    peak = large_product(getattr(torch, engine.dtype))
    lines.append(
        f"\nThe products run at {rate:.0f} GFLOP/s on all threads, {rate / peak:.0%} of what a bare product of "
        f"{LARGE} × {LARGE} × {LARGE} reaches in this run ({peak:.0f} GFLOP/s, best of {TRIES})."
    )
    return "\n".join(lines)


def marked(region: str, work: Callable[P, R]) -> Callable[P, R]:
    """``work``, whose calls the profiler sees as ``region``."""

    def run(*arguments: P.args, **named: P.kwargs) -> R:
        with record_function(region):
            return work(*arguments, **named)

    return run


def kind_of(event: FunctionEvent) -> str:
    """The region that ``event`` lies in, else the innermost of KINDS that it is part of."""
    if event.name == BATCH:
        return BATCH
    kind = None
    place: FunctionEvent | None = event
    while place is not None:
        if place.name in REGIONS:
            return str(place.name)
        kind = kind or KINDS.get(place.name)
        place = place.cpu_parent
    return kind or OTHER


def operations_per_token(folder: Path) -> int:
    """Additions and multiplications in the products of all layers: the four of attention, the two of feed-forward."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    return int(config["num_hidden_layers"] * 2 * hidden * (4 * hidden + 2 * intermediate))


def large_product(dtype: torch.dtype) -> float:
    """GFLOP/s of one large product."""
    left, right = (torch.randn(LARGE, LARGE).to(dtype) for _ in range(2))
    with torch.inference_mode():
        best = min(timed(lambda: F.linear(left, right)) for _ in range(TRIES))
    return 2 * LARGE**3 / best / 1e9


def timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
