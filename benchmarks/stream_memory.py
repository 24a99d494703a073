"""The resident memory of a process that encodes many short sentences: as a stream, and all at once; drawn as a PNG.

    python benchmarks/stream_memory.py docs/guides/stream-memory.png [--sentences 1000000] [--at-once 200000]

The sentences are generated, 3 to 5 tokens each with the special ones, so that a million takes minutes. Each way is a
process of its own, with the true all-MiniLM-L6-v2; a thread of it notes its resident memory twice a second, and how
many sentences are done. As a stream, each vector is dropped; all at once, the sentences are a list
and the vectors one array, as `encode` gives it.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from interleaved import describe_machine

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder

WORDS = ("tea", "rain", "the", "late", "train", "river", "was", "warm", "cold", "garden", "by", "night", "we", "sang")
SECONDS_BETWEEN = 0.5
WAYS = ("stream", "all at once")
MEGABYTE = 1 << 20


def sentences(count: int) -> Iterator[str]:
    """Sentences of 1 to 3 words, which are as many tokens."""
    draw = random.Random(0)
    for _ in range(count):
        yield " ".join(draw.choices(WORDS, k=draw.randint(1, 3)))


def resident() -> int:
    """What this process has in memory, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def work(way: str, count: int, dtype: str) -> None:
    """Encode in this process; print the samples [sentences, bytes], the seconds and the dtype as a line of JSON."""
    from likewise import SentenceTransformer
    from likewise.progress import one_bar

    model = SentenceTransformer("all-MiniLM-L6-v2", dtype=dtype)
    model.encode(list(sentences(100)))
    samples = []
    stop = threading.Event()
    start = perf_counter()
    with one_bar(count, sum(map(len, sentences(count)))) as bar:

        def sample() -> None:
            while not stop.wait(SECONDS_BETWEEN):
                samples.append((bar.done, resident()))

        watch = threading.Thread(target=sample)
        watch.start()
        if way == "stream":
            for _ in model.encode_stream(sentences(count), show_progress_bar=True):
                pass
            vectors = None
        else:
            vectors = model.encode(list(sentences(count)), show_progress_bar=True)
        samples.append((count, resident()))
        stop.set()
        watch.join()
        del vectors
    seconds = perf_counter() - start
    print(json.dumps({"samples": samples, "seconds": seconds, "dtype": model.dtype}))


def draw(found: dict[str, dict[str, list[list[int]]]], output: Path, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="sentences encoded", ylabel="resident memory, MB")
    axes.set_title(title, fontsize=10)
    for way, label in zip(WAYS, ("encode_stream", "encode, all at once"), strict=True):
        done, memory = zip(*found[way]["samples"], strict=True)
        axes.plot(done, [bytes_ / MEGABYTE for bytes_ in memory], label=label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(output, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the memory of a stream over its length.")
    parser.add_argument("output", type=Path, help="the PNG to write")
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--at-once", type=int, help="sentences of the second way, where they should be fewer")
    parser.add_argument("--dtype", default="int8")
    arguments = parser.parse_args()
    if embedded_folder() is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    print(describe_machine())
    found = {}
    for way, count in zip(WAYS, (arguments.sentences, arguments.at_once or arguments.sentences), strict=True):
        command = [sys.executable, __file__, "--work", way, str(count), arguments.dtype]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[way] = json.loads(done.stdout)
        memory = [sample[1] / MEGABYTE for sample in found[way]["samples"]]
        tenth = len(memory) // 10
        print(
            f"{way}: {count:,} sentences in {found[way]['seconds']:,.0f} s, in {found[way]['dtype']}; "
            f"resident {min(memory):,.0f} to {max(memory):,.0f} MB, highest of the second tenth "
            f"{max(memory[tenth : 2 * tenth]):,.0f} MB, of the last {max(memory[-tenth:]):,.0f} MB"
        )
    title = f"{arguments.sentences:,} sentences of 3 to 5 tokens, all-MiniLM-L6-v2, {found['stream']['dtype']}"
    draw(found, arguments.output, title)
    print(f"{arguments.output}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main()
