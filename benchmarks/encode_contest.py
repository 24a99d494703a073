"""Where the contestants of encode.py live: starting them, from nothing to a first vector, and what they weigh."""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from contestants import GRAPH_ENGINES, HERE, OURS, PEER, Contestant, Worker

NEEDS = {  # library → the packages that somebody who encodes with it installs, where it is not the one of its name
    "onnxruntime": ["onnxruntime", "tokenizers", "numpy"],
    "openvino": ["openvino", "tokenizers", "numpy"],
}


class Contest:
    def __init__(self, peer: str, engines: str | None, model: Path, scratch: Path, device: str | None = None):
        self.pythons = {PEER: peer, OURS: sys.executable}
        if engines is not None:
            self.pythons |= {contestant.library: engines for contestant in GRAPH_ENGINES}
        self.model = model
        self.device = [] if device is None else [device]
        self.scratch = scratch  # a folder for what is written on the way
        self.no_texts = scratch / "no_texts.json"
        self.no_texts.write_text("{}", encoding="utf-8")

    def export_graphs(self) -> None:
        """Write what GRAPH_ENGINES run, with our own command, in processes of its own."""
        program = str(Path(sys.executable).with_name("likewise"))
        for dtype in ("float32", "int8"):
            command = [program, "export", str(self.model), str(self.scratch / dtype), "--dtype", dtype]
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode:
                sys.exit(f"{' '.join(command)}  # failed\n{finished.stderr}")

    def start(self, contestant: Contestant, texts_file: Path) -> Worker:
        """Its process, with the model loaded."""
        folder = self.model
        if contestant in GRAPH_ENGINES:  # one that is asked for bfloat16 makes it of the graph in float32
            folder = self.scratch / ("int8" if contestant.dtype == "int8" else "float32")
        script = [self.pythons[contestant.library], str(HERE / "encode_worker.py")]
        choice = [contestant.library, contestant.engine, contestant.dtype]
        command = [*script, *choice, str(folder), str(texts_file), *self.device]
        return Worker(command, self.scratch / f"{contestant.slug}.log")

    def seconds_to_first_vector(self, contestant: Contestant) -> float:
        """From the start of a fresh process to the vector of one sentence."""
        start = perf_counter()
        worker = self.start(contestant, self.no_texts)
        worker.ask("latency 1")
        seconds = perf_counter() - start
        worker.close()
        return seconds

    def installed(self, contestant: Contestant) -> tuple[int, dict[str, str]]:
        """The bytes of all packages that it needs, and the versions of those that it is made of."""
        needed = NEEDS.get(contestant.library, [contestant.library])
        if contestant.engine == "torch":
            needed = [*needed, "torch"]
        script = [self.pythons[contestant.library], str(HERE / "installed_size.py"), *needed]
        facts = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
        return int(facts["bytes"]), facts["versions"]
