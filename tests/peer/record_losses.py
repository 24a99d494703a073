"""Record the losses and gradients of sentence-transformers, so that tests compare where it is not installed.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers 6.2.0:
    python -m tests.peer.record_losses [--into FOLDER] [LOSS …]
Without names, all losses are recorded; each has a file of its own.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from sentence_transformers import util
from sentence_transformers.sentence_transformer import losses

from tests.peer.loss_cases import LOSSES
from tests.peer.loss_values import theirs, values, write

THEIRS = SimpleNamespace(losses=losses, util=util)


def main() -> None:
    """Write one .npz for each loss."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "losses")
    parser.add_argument("losses", nargs="*", metavar="LOSS", default=list(LOSSES))
    chosen = parser.parse_args()
    chosen.into.mkdir(exist_ok=True)
    for loss in chosen.losses:
        found = values(THEIRS, loss, theirs)
        bad = [name for name, numbers in found.items() if not np.isfinite(numbers).all()]
        if bad:
            raise SystemExit(f"{loss} is not finite for {bad}: leave these batches out, and say what likewise does")
        write(chosen.into / f"{loss}.npz", found)
        print(f"{loss}: {len(found)} cases")


if __name__ == "__main__":
    main()
