"""Who takes part in the benchmarks, and the process that each of them is."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEER = "sentence-transformers"
OURS = "likewise"


@dataclass(frozen=True, slots=True)
class Contestant:
    library: str
    dtype: str
    engine: str = "auto"  # of likewise: "native", "torch" or what it takes by itself

    def __str__(self) -> str:
        return f"{self.library}{'' if self.engine == 'auto' else ' ' + self.engine}, {self.dtype}"

    @property
    def slug(self) -> str:
        """Its name in a command: "likewise-native-int8"."""
        return str(self).replace(", ", "-").replace(" ", "-")


PEER_DEFAULT = Contestant(PEER, "default")
PEER_BFLOAT16 = Contestant(PEER, "bfloat16")
OURS_DEFAULT = Contestant(OURS, "auto")
OURS_FLOAT32 = Contestant(OURS, "float32", "native")
OURS_BFLOAT16 = Contestant(OURS, "bfloat16", "native")
OURS_INT8 = Contestant(OURS, "int8", "native")
OURS_NATIVE = (OURS_FLOAT32, OURS_BFLOAT16, OURS_INT8)
OURS_IN_TORCH = (Contestant(OURS, "float32", "torch"), Contestant(OURS, "bfloat16", "torch"))
GRAPH_ENGINES = (
    Contestant("onnxruntime", "float32"),
    Contestant("onnxruntime", "int8"),
    Contestant("openvino", "float32"),
    Contestant("openvino", "bfloat16"),
    Contestant("fastembed", "float32"),
)


class Worker:
    """The process of a contestant, which says in a line of JSON what it is and answers each line with another."""

    def __init__(self, command: list[str], log: Path):
        self.command = command
        self.log = log  # its warnings and progress bars, shown only if it fails
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.facts = self.answer()

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.command)}  # ended early\n{self.log.read_text()}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def seconds(self, command: str) -> float:
        """What it took to do what ``command`` says, by its own clock."""
        return float(self.ask(command)["seconds"])

    def close(self) -> None:
        """End the process, so that its memory and threads are gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
