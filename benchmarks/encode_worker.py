"""One contestant of encode.py, in a process of its own: loads its model once, then does what each line of input says.

    python encode_worker.py LIBRARY ENGINE DTYPE FOLDER TEXTS.json [DEVICE]

TEXTS.json holds texts by the name of their set. It says in a line of JSON what it is, and answers each further line:

    encode SET     the seconds that all texts of a set took
    save FILE.npy  the padding of the last encode, when its vectors are written there
    latency COUNT  the milliseconds of so many calls with one sentence
    memory         the bytes that the process holds, and the most that it held
"""

import json
import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from encode_engines import load

SENTENCE = "The kettle is boiling, and tea is nearly ready."
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage counts in kilobytes, on macOS in bytes
STATUS = Path("/proc/self/status")


def main(library: str, engine: str, dtype: str, folder: str, texts_file: str, device: str | None = None) -> None:
    loaded = load(library, engine, dtype, folder, device)
    say(dtype=loaded.dtype, device=loaded.device, threads=loaded.threads)
    sets: dict[str, list[str]] = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    vectors: Any = None
    for line in sys.stdin:
        command, _, value = line.rstrip("\n").partition(" ")
        if command == "encode":
            loaded.padding.computed = loaded.padding.real = 0
            start = perf_counter()
            vectors = loaded.encode(sets[value])
            say(seconds=perf_counter() - start)
        elif command == "save":
            import numpy as np

            np.save(value, vectors)
            say(padding=loaded.padding.share)
        elif command == "latency":
            say(milliseconds=[milliseconds_of_one(loaded.encode) for _ in range(int(value))])
        elif command == "memory":
            resident, peak = memory()
            say(resident=resident, peak=peak)


def milliseconds_of_one(encode: Any) -> float:
    start = perf_counter()
    encode([SENTENCE])
    return (perf_counter() - start) * 1e3


def memory() -> tuple[int | None, int]:
    """Bytes that this process holds now, where the system says so, and the most that it held.

    Linux has both in /proc; its getrusage counts what the process that started this one held, too.
    """
    if STATUS.is_file():
        facts = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        if "VmRSS" in facts and "VmHWM" in facts:
            return int(facts["VmRSS"].split()[0]) * 1024, int(facts["VmHWM"].split()[0]) * 1024
    return None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
