"""How near the native engine comes to the cores' peak, and what the rest of its time is: both in one run."""

import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median

from contestants import HERE, Worker
from interleaved import interleaved

PARTS = ("encode", "tokenise", "layers", "without attention", "products")
ENCODE, TOKENISE, LAYERS, WITHOUT_ATTENTION, PRODUCTS = PARTS


def native_parts(dtypes: list[str], model: Path, texts_file: Path, name: str, rounds: int, scratch: Path) -> str:
    """Two tables in Markdown: bare products, and the parts of encoding the set ``name`` in each of ``dtypes``."""
    bare = Worker([sys.executable, str(HERE / "bare_products_worker.py")], scratch / "bare.log")
    script = [sys.executable, str(HERE / "native_parts_worker.py")]
    parts = {
        dtype: Worker([*script, dtype, str(model), str(texts_file), name], scratch / f"parts-{dtype}.log")
        for dtype in dtypes
    }
    work = {("bare", product): partial(bare.seconds, product) for product in bare.facts["products"]}
    work |= {(dtype, part): partial(worker.seconds, part) for dtype, worker in parts.items() for part in PARTS}
    seconds = interleaved(work, rounds)
    operations = bare.ask(bare.facts["products"][0])["operations"]
    peaks: defaultdict[str, float] = defaultdict(float)  # dtype → operations a second
    lines = ["| a bare product | GFLOP/s, best of the rounds |", "|---|---:|"]
    for product in bare.facts["products"]:
        rate = operations / min(seconds["bare", product])
        peaks[product.split()[0]] = max(peaks[product.split()[0]], rate)
        lines.append(f"| {product} | {rate / 1e9:,.0f} |")
    lines += [
        "",
        "| likewise native | GFLOP/s | of the peak | products | attention | other in layers | all else | tokenising |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for dtype, worker in parts.items():
        taken = {part: median(seconds[dtype, part]) for part in PARTS}
        arithmetic: dict[str, float] = worker.facts["arithmetic"]
        at_peak = sum(count / peaks[computed_in] for computed_in, count in arithmetic.items())
        attention = taken[LAYERS] - taken[WITHOUT_ATTENTION]
        spent = (
            taken[PRODUCTS],
            attention,
            taken[LAYERS] - taken[PRODUCTS] - attention,
            taken[ENCODE] - taken[LAYERS],
            taken[TOKENISE],
        )
        cells = [
            dtype,
            f"{sum(arithmetic.values()) / taken[ENCODE] / 1e9:,.0f}",
            f"{at_peak / taken[ENCODE]:.0%}",
            *(f"{part / taken[ENCODE]:.1%}" for part in spent),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for worker in (bare, *parts.values()):
        worker.close()
    return "\n".join(lines)
