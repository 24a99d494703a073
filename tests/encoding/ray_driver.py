"""A job on a local Ray cluster, as a process that a test can kill: ray_driver.py INPUT OUTPUT PROCESSES.

A text's vector holds its length, after a while; each worker leaves a file with the number of its process.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from likewise.encoding import ray_data


def load(processes: str) -> Any:
    (Path(processes) / str(os.getpid())).touch()

    def encode(texts: list[str]) -> Any:
        time.sleep(0.2)
        return np.array([[len(text), 1] for text in texts], np.float32)

    return encode


if __name__ == "__main__":
    source, output, processes = sys.argv[1:]
    ray_data.ROWS_PER_PARTITION = 10
    cluster = ray_data.Cluster(workers=2)
    # Functions of this file are sent to the workers by what they are, not by name.
    made = ray_data.encode_folder(
        source, output, None, {"model": "lengths"}, lambda _: lambda: load(processes), cluster
    )
    print(*made)
