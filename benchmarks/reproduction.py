"""Whole trainings: ours beside sentence-transformers' over seeds, and the paper's ablation (Table 6).

    python benchmarks/reproduction.py parity --peer .venv-peer/bin/python
    python benchmarks/reproduction.py ablation

Each run is a process (reproduction_worker.py) and leaves a file in benchmarks/runs; a run whose file is there is not
done again, so the script can be stopped and started at any time. In the end it prints what the files say.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from interleaved import peer_python

from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.files import read_rows, whole_file

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
RESULTS = HERE / "runs"
SCRATCH = HERE.parent / ".models" / "reproduction"  # made anew when it is missing
PEER = "sentence-transformers"
SEEDS = (1, 2, 3, 4, 5)
INITS = ("trained", "drawn anew")
SOURCES = ("snli_train", "mnli_train")
PAPER: dict[str, Any] = {  # Table 6: BERT-base, STSb dev
    "mean": (80.78, 87.44),
    "max": (79.07, 69.92),
    "cls": (79.80, 86.62),
    "u,v": 66.04,
    "|u-v|": 69.78,
    "u*v": 70.54,
    "|u-v|,u*v": 78.37,
    "u,v,u*v": 77.44,
    "u,v,|u-v|": 80.78,
    "u,v,|u-v|,u*v": 80.44,
}
BEST = "u,v,|u-v|"


@dataclass(frozen=True)
class Run:
    experiment: str  # "parity", "ablation"
    library: str
    task: str  # "nli", "stsb"
    init: str
    seed: int
    pairs: int
    epochs: int
    learning_rate: float
    pooling: str = "mean"
    concatenation: str = BEST

    @property
    def name(self) -> str:
        parts = [self.experiment, self.library, self.task, str(self.pairs), self.init, self.pooling]
        parts += [self.concatenation] if self.task == "nli" else []
        words = "_".join([*parts, str(self.seed)]).replace("|u-v|", "difference").replace("u*v", "product")
        return words.replace(" ", "-").replace(",", "+")

    @property
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def parity_runs(pairs: int) -> list[Run]:
    """Five seeds of each; the two libraries of a seed one after the other."""
    return [
        Run("parity", library, task, init, seed, pairs if task == "nli" else 5749, 1, rate)
        for seed in SEEDS
        for task, rate in (("nli", 2e-5), ("stsb", 2e-5))
        for init in INITS
        for library in ("likewise", PEER)
    ]


def ablation_runs(pairs: int) -> list[Run]:
    """One seed of each row of Table 6."""
    concatenations = [key for key in PAPER if key not in ("mean", "max", "cls")]
    runs = []
    for init in INITS:
        rate = 2e-5 if init == "trained" else 1e-4  # weights drawn anew do not move far at a fine-tuning rate
        for concatenation in concatenations:
            runs.append(Run("ablation", "likewise", "nli", init, 1, pairs, 1, rate, "mean", concatenation))
        runs += [Run("ablation", "likewise", "nli", init, 1, pairs, 1, rate, pooling) for pooling in ("max", "cls")]
        runs += [
            Run("ablation", "likewise", "stsb", init, 1, 5749, 4, rate, pooling) for pooling in ("mean", "max", "cls")
        ]
    return runs


def prepared(run: Run) -> Path:
    """The file that tells a worker what to do; models and data are made once."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    trained = embedded_folder()
    if trained is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    model = trained if run.init == "trained" else drawn_anew(trained)
    data = SCRATCH / f"{run.task}-{run.pairs}.json"
    if not data.is_file():
        columns = {part: sts(part) for part in ("dev", "test")}
        columns["train"] = nli(run.pairs) if run.task == "nli" else sts("train")
        with whole_file(data) as part:
            part.write_text(json.dumps(columns), encoding="utf-8")
    file = SCRATCH / f"{run.name}.json"
    file.write_text(json.dumps(asdict(run) | {"model": str(model), "data": str(data)}), encoding="utf-8")
    return file


def nli(pairs: int) -> dict[str, list[Any]]:
    """``pairs`` rows of SNLI and MultiNLI drawn from the pool, always the same."""
    rows = [r.values for r in read_rows(DATA / "nli" / "nli_train_pool.parquet") if r.values["source"] in SOURCES]
    chosen = np.random.default_rng(0).permutation(len(rows))[:pairs]
    return {name: [rows[row][name] for row in chosen] for name in ("premise", "hypothesis", "label")}


def sts(part: str) -> dict[str, list[Any]]:
    """A part of the STS benchmark, scores from 0 to 1."""
    rows = [row.values for row in read_rows(DATA / "sts" / f"stsb_{part}.parquet")]
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in ("sentence1", "sentence2")}
    return columns | {"score": [float(str(row["score"])) / 5 for row in rows]}


def drawn_anew(trained: Path) -> Path:
    """The encoder of ``trained`` with all its weights drawn as BERT's are before training."""
    folder = SCRATCH / "drawn-anew"
    if not folder.is_dir():
        from shutil import copy

        import torch
        from safetensors.torch import load_file, save_file

        from likewise.files import whole_folder

        generator = torch.Generator().manual_seed(0)
        weights = load_file(trained / "model.safetensors")
        for name, weight in weights.items():
            if not weight.is_floating_point():
                continue
            if weight.dim() == 1:
                weight.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
            else:
                weight.normal_(0.0, 0.02, generator=generator)
        with whole_folder(folder) as part:
            save_file(weights, part / "model.safetensors", {"format": "pt"})
            for file in trained.glob("*.json"):
                if file.name not in ("modules.json", "config_sentence_transformers.json"):
                    copy(file, part)
            if (vocabulary := trained / "vocab.txt").is_file():
                copy(vocabulary, part)
    return folder


def do(run: Run, peer: str | None) -> None:
    """Do ``run`` unless it is done."""
    if run.result.is_file():
        return
    python = peer if run.library == PEER else sys.executable
    assert python is not None
    with whole_file(run.result) as part:
        command = [python, str(HERE / "reproduction_worker.py"), str(prepared(run)), str(part)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{run.name} failed:\n{done.stderr[-4000:]}")
    print(f"{run.name}: test {json.loads(run.result.read_text())['test']:.2f}", file=sys.stderr, flush=True)


def scores(runs: Sequence[Run], part: str) -> list[float]:
    return [json.loads(run.result.read_text())[part] for run in runs if run.result.is_file()]


def print_parity(runs: Sequence[Run]) -> None:
    """For each task and start: both means, their difference, and Welch's 99 % confidence interval of it."""
    from scipy.stats import ttest_ind

    print("| task | start | seeds | likewise | sentence-transformers | difference | 99 % interval | holds 0 |")
    print("|---|---|---:|---:|---:|---:|---|---|")
    for task, init in dict.fromkeys((run.task, run.init) for run in runs):
        sides = [
            scores([run for run in runs if (run.task, run.init, run.library) == (task, init, library)], "test")
            for library in ("likewise", PEER)
        ]
        if min(map(len, sides)) < 2:
            continue
        ours, theirs = sides
        low, high = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.99)
        cells = [
            *(task, init, f"{len(ours)} and {len(theirs)}"),
            *(f"{mean(side):.2f} ± {stdev(side):.2f}" for side in sides),
            *(f"{mean(ours) - mean(theirs):+.2f}", f"{low:+.2f} to {high:+.2f}", "yes" if low <= 0 <= high else "NO"),
        ]
        print(f"| {' | '.join(cells)} |")


def print_ablation(runs: Sequence[Run]) -> None:
    """The paper's Table 6 beside ours, Spearman × 100 on STSb dev."""

    def cell(**wanted: object) -> str:
        found = scores([run for run in runs if wanted.items() <= asdict(run).items()], "dev")
        return f"{found[0]:.2f}" if found else ""

    print("| pooling | NLI, paper | NLI, trained | NLI, drawn anew | STSb, paper | STSb, trained | STSb, drawn anew |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for pooling in ("mean", "max", "cls"):
        cells = [pooling]
        for task, paper in zip(("nli", "stsb"), PAPER[pooling], strict=True):
            cells.append(f"{paper:.2f}")
            cells += [cell(task=task, pooling=pooling, concatenation=BEST, init=init) for init in INITS]
        print(f"| {' | '.join(cells)} |")
    print("\n| concatenation | paper | trained | drawn anew |\n|---|---:|---:|---:|")
    for name in list(PAPER)[3:]:
        ours = [cell(task="nli", pooling="mean", concatenation=name, init=init) for init in INITS]
        shown = name.replace("|", r"\|").replace("*", "∗").replace(",", ", ")
        print(f"| {' | '.join([f'({shown})', f'{PAPER[name]:.2f}', *ours])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Whole trainings beside sentence-transformers, and Table 6.")
    parser.add_argument("experiment", choices=["parity", "ablation"])
    parser.add_argument("--peer", type=peer_python, help="the Python that has sentence-transformers (parity)")
    parser.add_argument("--pairs", type=int, help="NLI pairs (default: 10,000 for parity, 20,000 for the ablation)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each on one core (default: 2)")
    parser.add_argument("--print-only", action="store_true", help="do no run")
    arguments = parser.parse_args()
    is_parity = arguments.experiment == "parity"
    if is_parity and not arguments.peer and not arguments.print_only:
        sys.exit("parity needs --peer")
    runs = parity_runs(arguments.pairs or 10_000) if is_parity else ablation_runs(arguments.pairs or 20_000)
    if not arguments.print_only:
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for _ in pool.map(lambda run: do(run, arguments.peer), runs):
                pass
    (print_parity if is_parity else print_ablation)(runs)


if __name__ == "__main__":
    main()
