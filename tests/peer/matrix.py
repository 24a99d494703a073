"""What is loaded across libraries and versions, and how far the vectors differ: the numbers behind the table."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import SentenceTransformer
from tests.peer.calls import properties_of, vectors_of
from tests.peer.cases import CASES

ROOT = Path(__file__).parents[2]
VERSIONS = {  # of sentence-transformers → the environment variable that names the Python of an environment with it
    "3.4.1": "LIKEWISE_PEER_3_4",
    "5.3.0": "LIKEWISE_PEER_5_3",
    "6.2.0": "LIKEWISE_PEER",
}
READERS = {  # who reads what we save → the version and our layout
    "3.4.1": ("3.4.1", "legacy"),
    "5.3.0": ("5.3.0", "legacy"),
    "6.2.0": ("6.2.0", "legacy"),
    "6.2.0, layout 6": ("6.2.0", "6"),
}
TOLERANCE = 1e-5
KNOWN = {  # (model, who reads what we save) → why its vectors are others
    ("BoW", "3.4.1"): "it reads the vocabulary in an order of its own, another in each process",
    ("BoW, each word once, Dense", "3.4.1"): "it reads the vocabulary in an order of its own, another in each process",
}

Vectors = Mapping[str, NDArray[np.float32]]


@dataclass
class Reading:
    """How a model of one side came out at the other."""

    difference: float | None = None  # the largest between any two numbers of the vectors
    reason: str = ""  # why there is none
    properties: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # those that differ: found, expected
    model: Any = None

    @property
    def is_equal(self) -> bool:
        return self.difference is not None and self.difference < TOLERANCE


def run_peer(version: str, module: str, *arguments: object) -> None:
    """Run ``module`` with the Python of the environment that holds ``version``."""
    command = [os.environ[VERSIONS[version]], "-W", "ignore", "-m", f"tests.peer.{module}", *map(str, arguments)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def facts_of(folder: Path) -> dict[str, Any]:
    """What fabricate.py or reread.py wrote about the models in ``folder``."""
    return json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def read_by_us(folder: Path, name: str) -> Reading:
    """Load one of the models that fabricate.py wrote into ``folder``, and compare all that was recorded of it."""
    facts = facts_of(folder)[name]
    if "reason" in facts:
        return Reading(reason=facts["reason"])
    try:
        model = SentenceTransformer(folder / "models" / name, dtype="float32", device="cpu")
        reading = Reading(_difference(vectors_of(model, CASES[name].routes, by_key=False), _recorded(folder, name)))
        ours = json.loads(json.dumps(properties_of(model)))
    except Exception as error:
        return Reading(reason=_first_line(error))
    reading.properties = _differing(ours, facts)
    reading.model = model
    return reading


def read_by_them(readings: Mapping[str, Mapping[str, Reading]], made: Path, out: Path) -> dict[str, dict[str, Reading]]:
    """Save what ``read_by_us`` loaded, in both layouts, and let every version read it: reader → model → result.

    ``readings`` is version → model → reading; ``made`` holds what each version fabricated. Where several versions made
    the model, the result is the worst.
    """
    versions = [version for version in VERSIONS if VERSIONS[version] in os.environ]
    saved: dict[str, list[tuple[str, str, Path]]] = {"legacy": [], "6": []}
    for origin, of_version in readings.items():
        for name, reading in of_version.items():
            for layout, models in saved.items():
                if reading.model is not None:
                    folder = out / "models" / layout / origin / name
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    reading.model.save_pretrained(folder, layout=layout)
                    models.append((origin, name, folder))
    results: dict[str, dict[str, Reading]] = {}
    for reader, (version, layout) in READERS.items():
        if version not in versions:
            continue
        jobs = [(str(folder), CASES[name].routes, f"{origin} {name}") for origin, name, folder in saved[layout]]
        file = out / f"{reader}.json"
        file.write_text(json.dumps(jobs), encoding="utf-8")
        run_peer(version, "reread", file, out / reader)
        facts = facts_of(out / reader)
        results[reader] = {}
        for origin, name, _ in saved[layout]:
            found = facts[f"{origin} {name}"]
            if reason := CASES[name].why_not_read(version):
                reading = Reading(reason=reason)
            elif reason := found.get("reason"):
                reading = Reading(reason=f"written by {origin} at first: {reason}")
            else:
                with np.load(out / reader / f"{origin} {name}.npz") as theirs:
                    reading = Reading(_difference(dict(theirs), _recorded(made / origin, name)))
                reading.properties = _differing(found, facts_of(made / origin)[name])
            results[reader][name] = _worse(results[reader].get(name), reading)
    return results


def table(written: Mapping[str, Mapping[str, Reading]], read: Mapping[str, Mapping[str, Reading]]) -> str:
    """The whole matrix in Markdown: model × (versions that wrote what we read, versions that read what we write)."""
    columns = [f"{version} → us" for version in VERSIONS] + [f"us → {reader}" for reader in READERS]
    lines = ["| model | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    notes: list[str] = []
    for name in CASES:
        cells = [_cell(written.get(version, {}).get(name), "", notes) for version in VERSIONS]
        cells += [_cell(read.get(reader, {}).get(name), KNOWN.get((name, reader), ""), notes) for reader in READERS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [""] + [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def pack(archive: Path, folders: Iterable[Path]) -> None:
    """Write what fabricate.py wrote into ``folders`` into one compressed file, the same bytes for the same content."""

    def without_origin(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
        return entry

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for folder in folders:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                packed.add(file, f"{folder.name}/{file.relative_to(folder)}", filter=without_origin)


def _recorded(folder: Path, name: str) -> Vectors:
    with np.load(folder / "vectors" / f"{name}.npz") as arrays:
        return dict(arrays)


def _difference(found: Vectors, expected: Vectors) -> float:
    """The largest difference between numbers of the same call; infinite where shapes differ or a number is none."""
    calls = found.keys() & expected.keys()
    if not calls:
        raise ValueError(f"no call is in both: {sorted(found)}, {sorted(expected)}")
    largest = 0.0
    for call in calls:
        if found[call].shape != expected[call].shape:
            return np.inf
        difference = float(np.abs(found[call].astype(np.float64) - expected[call]).max())
        largest = max(largest, np.inf if np.isnan(difference) else difference)
    return largest


def _differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The properties that both know and that differ; older versions lack some of models without a transformer."""
    pairs = {key: (found[key], expected[key]) for key in expected}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1] and None not in pair}


def _worse(first: Reading | None, second: Reading) -> Reading:
    if first is None or _badness(second) > _badness(first):
        return second
    return first


def _badness(reading: Reading) -> tuple[bool, int, float]:
    return bool(reading.reason), len(reading.properties), reading.difference or 0


def _cell(reading: Reading | None, known: str, notes: list[str]) -> str:
    if reading is None:
        return ""
    reason = known or reading.reason
    if not reason:
        return f"{reading.difference:.0e}" if reading.difference else "0"
    if reason not in notes:
        notes.append(reason)
    return f"– [{notes.index(reason) + 1}]"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0]
