"""A progress bar that tells sentences per second and the time left."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray


class Bar:
    """A bar on standard error; ``size`` is that of all ``sentences`` together: their tokens or characters."""

    def __init__(self, sentences: int, size: int, description: str = "Encoding"):
        from tqdm import tqdm

        # The bar counts sizes, for the longest texts come first; sentences alone would foretell too long a time.
        shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self.bar = tqdm(desc=description, total=size, bar_format=shape)
        self.sentences = sentences
        self.done = self.skipped = 0

    def advance(self, sentences: int, size: int) -> None:
        """Count what was computed."""
        self.done += sentences
        rate = (self.done - self.skipped) / max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix_str(f"{self.done:,}/{self.sentences:,} sentences, {rate:,.0f}/s", refresh=False)
        self.bar.update(size)

    def skip(self, sentences: int, size: int) -> None:
        """Count what was there already; the time left is foretold without it."""
        self.done += sentences
        self.skipped += sentences
        self.bar.n += size
        self.bar.initial += size


_shared: ContextVar[Bar | None] = ContextVar("_shared", default=None)


@contextmanager
def one_bar(sentences: int, size: int, description: str = "Encoding") -> Iterator[Bar]:
    """Show one bar for all that is computed in this block, instead of one for each call."""
    bar = Bar(sentences, size, description)
    token = _shared.set(bar)
    try:
        with bar.bar:
            yield bar
    finally:
        _shared.reset(token)


def with_progress(
    batches: Iterable[NDArray[np.intp]], sizes: NDArray[np.integer], description: str = "Encoding"
) -> Iterator[NDArray[np.intp]]:
    """Pass on ``batches`` of text indices, with a bar on standard error; ``sizes`` (texts,): tokens or characters."""
    shared = _shared.get()
    bar = shared or Bar(len(sizes), int(sizes.sum()), description)
    try:
        for chosen in batches:
            yield chosen
            bar.advance(len(chosen), int(sizes[chosen].sum()))
    finally:
        if shared is None:
            bar.bar.close()
