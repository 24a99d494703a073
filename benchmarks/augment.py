"""Augmented SBERT on the STS benchmark with 1,000 scored pairs: does silver help, and how good is the cross-encoder?

    python benchmarks/augment.py

For each seed, which draws the gold pairs too, a cross-encoder learns them; then bi-encoders, from all-MiniLM-L6-v2 and
from its weights drawn anew, learn gold alone, gold alone in as many steps as gold and silver take, and gold and silver.
Each run leaves a file in benchmarks/runs; a run whose file is there is not done again, so the script can be stopped and
started at any time. In the end it prints what the files say.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

import numpy as np
import torch
from reproduction import RESULTS, SCRATCH, drawn_anew, sts

from likewise import CrossEncoder, SentenceTransformer, models
from likewise.augment import (
    Learning,
    ScoredPairs,
    gold_pairs,
    labelled,
    lexical_neighbours,
    new_pairs,
    semantic_neighbours,
    train_bi_encoder,
    train_cross_encoder,
)
from likewise.checkpoint.locate import EMBEDDED_INSTALL, embedded_folder
from likewise.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from likewise.engine.processor import has_native_bfloat16
from likewise.evaluation import EmbeddingSimilarityEvaluator
from likewise.files import whole_file

CROSS_ENCODER = SCRATCH.parent / "ms-marco-MiniLM-L-12-v2"  # benchmarks/ms_marco_weights.py makes it
TRAINED = SCRATCH.parent / "augment"  # the cross-encoders that the runs train
GOLD = 1000
TOP_K = 3  # neighbours of each text: some 4,000 new pairs
RATES = {"trained": 2e-5, "drawn anew": 1e-4}  # weights drawn anew do not move far at a fine-tuning rate
WAYS = ("gold", "gold, as many steps", "gold and silver")


@dataclass(frozen=True)
class Run:
    seed: int
    model: str  # "cross-encoder", or what the bi-encoder begins with: "trained", "drawn anew"
    sampling: str = "bm25"  # or "semantic": as a bi-encoder sees it that has learnt the gold pairs

    @property
    def result(self) -> Path:
        parts = ["augment", str(GOLD), self.model.replace(" ", "-")]
        parts += [] if self.model == "cross-encoder" else [self.sampling]
        return RESULTS / f"{'_'.join([*parts, str(self.seed)])}.json"


def gold_of(seed: int) -> ScoredPairs:
    """The gold pairs of a seed, from STSb's training set."""
    everything = gold_pairs(sts("train"))
    drawn = np.random.default_rng(seed).permutation(len(everything))[:GOLD]
    return ScoredPairs([everything.pairs[row] for row in drawn], everything.scores[drawn])


def cross_encoder_of(seed: int) -> CrossEncoder:
    """The cross-encoder that the run of this seed trained."""
    return CrossEncoder(TRAINED / f"cross-encoder-{seed}", device="cpu")


def cross_encoder_run(run: Run) -> dict[str, float]:
    """Train a cross-encoder: its score before and after."""
    test = gold_pairs(sts("test"))
    evaluator = CrossEncoderCorrelationEvaluator(test.pairs, test.scores)
    model = CrossEncoder(CROSS_ENCODER, device="cpu")
    before = evaluator(model)["spearman"]
    train_cross_encoder(model, gold_of(run.seed), Learning(epochs=2, bf16=has_native_bfloat16(), seed=run.seed))
    after = evaluator(model)["spearman"]
    model.save_pretrained(TRAINED / f"cross-encoder-{run.seed}", dtype="float32")
    return {"before": 100 * before, "test": 100 * after}


def bi_encoder_run(run: Run) -> dict[str, float]:
    """Train a bi-encoder in three ways: the score of each."""
    sentences1, sentences2, scores = gold_pairs(sts("test")).columns().values()
    evaluator = EmbeddingSimilarityEvaluator(sentences1, sentences2, scores, similarity_fn_names=["cosine"])

    def score(model: SentenceTransformer) -> float:
        return 100 * evaluator(model)["spearman_cosine"]

    def taught(pairs: ScoredPairs, epochs: float) -> SentenceTransformer:
        model = new_model(run.model)
        train_bi_encoder(model, pairs, Learning(epochs, RATES[run.model], bf16=has_native_bfloat16(), seed=run.seed))
        return model

    gold = gold_of(run.seed)
    on_gold = taught(gold, 1)
    texts = gold.texts
    is_lexical = run.sampling == "bm25"
    neighbours = lexical_neighbours(texts, TOP_K) if is_lexical else semantic_neighbours(texts, TOP_K, on_gold)
    silver = labelled(cross_encoder_of(run.seed), new_pairs(gold, [neighbours]))
    both = gold.and_also(silver)
    ways = [on_gold, taught(gold, len(both) / len(gold)), taught(both, 1)]
    return {
        "before": score(new_model(run.model)),
        **{name: score(model) for name, model in zip(WAYS, ways, strict=True)},
        "silver pairs": len(silver),
        "silver mean": float(silver.scores.mean()),
    }


def new_model(start: str) -> SentenceTransformer:
    """all-MiniLM-L6-v2, or the same with its weights drawn anew, with mean pooling."""
    trained = embedded_folder()
    assert trained is not None
    encoder = models.Transformer(trained if start == "trained" else drawn_anew(trained), max_seq_length=128)
    return SentenceTransformer(modules=[encoder, models.Pooling(encoder.get_embedding_dimension())], device="cpu")


def do(run: Run) -> Run:
    """Do ``run``, in one thread: two runs at once use two cores better than one run does."""
    torch.set_num_threads(1)
    start = perf_counter()
    found: dict[str, Any] = cross_encoder_run(run) if run.model == "cross-encoder" else bi_encoder_run(run)
    told = {"run": asdict(run), **found, "seconds": perf_counter() - start}
    with whole_file(run.result) as part:
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return run


def do_all(runs: Sequence[Run], jobs: int) -> None:
    """Do what is not done yet; bi-encoders wait for the cross-encoder of their seed."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        seeds = dict.fromkeys(run.seed for run in runs)
        missing = [run for run in runs if not run.result.is_file()]
        crosses = [Run(seed, "cross-encoder") for seed in seeds]
        waited = {
            run.seed: pool.submit(do, run)
            for run in crosses
            if run in missing or not (TRAINED / f"cross-encoder-{run.seed}").is_dir()
        }
        rest = []
        for run in missing:
            if run.model != "cross-encoder":
                if run.seed in waited:
                    waited[run.seed].result()
                rest.append(pool.submit(do, run))
        for done in [*waited.values(), *rest]:
            print(f"{done.result().result.stem} is done", file=sys.stderr, flush=True)


def print_table(runs: Sequence[Run]) -> None:
    """Mean and standard deviation of the seeds, Spearman × 100 on STSb's test set."""

    def cell(chosen: Sequence[Run], key: str) -> str:
        found = [json.loads(run.result.read_text())[key] for run in chosen if run.result.is_file()]
        spread = f" ± {stdev(found):.2f}" if len(found) > 1 else ""
        return f"{mean(found):.2f}{spread}" if found else ""

    print(f"| | seeds | before | {' | '.join(WAYS)} |")
    print("|---|---:|---:|---:|---:|---:|")
    for model, sampling in dict.fromkeys((run.model, run.sampling) for run in runs):
        chosen = [run for run in runs if (run.model, run.sampling) == (model, sampling) and run.result.is_file()]
        if not chosen:
            continue
        is_cross = model == "cross-encoder"
        name = "cross-encoder" if is_cross else f"bi-encoder, {model}, {sampling}"
        scores = [cell(chosen, "test"), "", ""] if is_cross else [cell(chosen, way) for way in WAYS]
        print(f"| {' | '.join([name, str(len(chosen)), cell(chosen, 'before'), *scores])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Augmented SBERT on STSb with 1,000 scored pairs.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each on one core (default: 2)")
    parser.add_argument("--print-only", action="store_true", help="do no run")
    arguments = parser.parse_args()
    trained = embedded_folder()
    if trained is None:
        sys.exit(f"this needs the true all-MiniLM-L6-v2: {EMBEDDED_INSTALL}")
    drawn_anew(trained)  # before two runs want to make it at once
    runs = [Run(seed, "cross-encoder") for seed in arguments.seeds]
    runs += [Run(seed, start) for seed in arguments.seeds for start in RATES]
    runs += [Run(seed, start, "semantic") for seed in arguments.seeds for start in RATES]
    if not arguments.print_only:
        do_all(runs, arguments.jobs)
    print_table(runs)


if __name__ == "__main__":
    main()
