"""Record the losses and gradients of sentence-transformers, so that tests compare where it is not installed.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers 6.2.0:
    python -m tests.cross_encoder.losses.record [FILE]
"""

import argparse
from pathlib import Path

import numpy as np

from tests.cross_encoder.losses.cases import cases
from tests.cross_encoder.losses.given_logits import their_values
from tests.peer.loss_values import write


def main() -> None:
    """Write one .npz for all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).parent / "recorded.npz")
    file = parser.parse_args().file
    found = {name: their_values(case) for name, case in cases().items()}
    bad = [name for name, numbers in found.items() if not np.isfinite(numbers).all()]
    if bad:
        raise SystemExit(f"not finite: {bad}; leave these out, and say what likewise does")
    write(file, found)
    print(f"{len(found)} cases")


if __name__ == "__main__":
    main()
