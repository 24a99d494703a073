"""A progress bar that tells sentences per second and the time left."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


def with_progress(
    batches: Iterable[NDArray[np.intp]], sizes: NDArray[np.integer], description: str = "Encoding"
) -> Iterator[NDArray[np.intp]]:
    """Pass on ``batches`` of text indices, with a bar on standard error; ``sizes`` (texts,): tokens or characters."""
    from tqdm import tqdm

    # The bar counts these, for the longest texts come first; sentences alone would foretell too long a time.
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(desc=description, total=int(sizes.sum()), bar_format=shape) as bar:
        done = 0
        for chosen in batches:
            yield chosen
            done += len(chosen)
            rate = done / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(f"{done:,}/{len(sizes):,} sentences, {rate:,.0f}/s", refresh=False)
            bar.update(int(sizes[chosen].sum()))
