"""What the recipes share: their arguments, and their data, from the Hub or from a folder."""

import argparse
import random
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any
from zlib import crc32

from likewise.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator
from likewise.files import read_rows
from likewise.similarity import dot_score

Columns = dict[str, list[Any]]
SPLITS = {"train": "train", "dev": "validation", "test": "test"}  # ours → the Hub's
MS_MARCO = ["query", "passage", "label"]  # of the file; label 1: the passage answers the query
WIKIPEDIA = "hf://datasets/princeton-nlp/datasets-for-simcse/wiki1m_for_simcse.txt"


def arguments(
    recipe: str | None,
    given: Sequence[str] | None,
    model: str,
    epochs: float,
    output: str,
    cross_encoder: str | None = None,
) -> argparse.Namespace:
    """The arguments of a recipe, whose docstring is ``recipe``: those ``given``, or of the command line.

    A recipe that learns from a cross-encoder says which one is its default.
    """
    parser = argparse.ArgumentParser(description=recipe, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=model, help=f"a folder or a name on the Hub; by default {model}")
    if cross_encoder is not None:
        told = f"what the model learns from, as --model; by default {cross_encoder}"
        parser.add_argument("--cross-encoder", default=cross_encoder, metavar="MODEL", help=told)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="read the data from here instead of the Hub")
    parser.add_argument("--rows", type=int, metavar="N", help="train on N rows only, drawn at random")
    parser.add_argument("--epochs", type=float, default=epochs, help=f"passes through the data; by default {epochs:g}")
    parser.add_argument("--output", default=output, metavar="FOLDER", help=f"the trained model; by default {output}")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16: faster on GPUs and newer CPUs")
    return parser.parse_args(given)


def nli_pairs(folder: Path | None, rows: int | None = None) -> Columns:
    """SNLI and MultiNLI: premise, hypothesis and label, 0 entailment, 1 neutral, 2 contradiction."""
    columns = ["premise", "hypothesis", "label"]
    if folder is None:
        return drawn(from_hub("sentence-transformers/all-nli", "pair-class", "train", columns), rows)
    found = from_file(folder / "nli" / "nli_train_pool.parquet", [*columns, "source"])
    is_nli = [source in ("snli_train", "mnli_train") for source in found.pop("source")]
    return drawn(chosen(found, is_nli), rows)


def nli_triplets(folder: Path | None, rows: int | None = None) -> Columns:
    """SNLI and MultiNLI: a premise (anchor), what follows from it (positive) and what contradicts it (negative)."""
    columns = ["anchor", "positive", "negative"]
    if folder is None:
        return drawn(from_hub("sentence-transformers/all-nli", "triplet", "train", columns), rows)
    return drawn(from_file(folder / "nli" / "nli_triplets.parquet", columns), rows)


def nli_sentences(folder: Path | None, rows: int | None = None) -> list[str]:
    """Each sentence of SNLI and MultiNLI once."""
    pairs = nli_pairs(folder)
    sentences: list[str] = list(dict.fromkeys(pairs["premise"] + pairs["hypothesis"]))
    return drawn({"sentence": sentences}, rows)["sentence"]


def wikipedia_sentences(folder: Path | None, rows: int | None = None) -> list[str]:
    """A million sentences of Wikipedia, those of SimCSE's authors; with a folder, those of ``nli_sentences``."""
    if folder is not None:
        return nli_sentences(folder, rows)
    from datasets import load_dataset

    lines = load_dataset("text", data_files=WIKIPEDIA, split="train").to_dict()["text"]
    return drawn({"sentence": [line for line in lines if line.strip()]}, rows)["sentence"]


def section_triplets(folder: Path | None, split: str, rows: int | None = None) -> Columns:
    """Triplets of sentences, by the sections of Wikipedia that they stand in.

    With a folder, those of ``nli_triplets``: a tenth of the anchors is for "dev", and a tenth for "test".
    """
    if folder is None:
        columns = ["anchor", "positive", "negative"]
        return drawn(from_hub("sentence-transformers/wikipedia-sections", "triplet", SPLITS[split], columns), rows)
    found = nli_triplets(folder)
    tenths = [crc32(anchor.encode()) % 10 for anchor in found["anchor"]]
    wanted = {"train": range(2, 10), "dev": range(1), "test": range(1, 2)}[split]
    return drawn(chosen(found, [tenth in wanted for tenth in tenths]), rows)


def stsb(folder: Path | None, split: str, rows: int | None = None) -> Columns:
    """The STS benchmark, "train", "dev" or "test": sentence1, sentence2 and their score, from 0 to 1."""
    columns = ["sentence1", "sentence2", "score"]
    if folder is None:
        return drawn(from_hub("sentence-transformers/stsb", None, SPLITS[split], columns), rows)
    found = from_file(folder / "sts" / f"stsb_{split}.parquet", columns)
    found["score"] = [score / 5 for score in found["score"]]  # people gave 0 to 5
    return drawn(found, rows)


def stsb_evaluator(folder: Path | None, split: str, truncate_dim: int | None = None) -> EmbeddingSimilarityEvaluator:
    """How well cosines agree with people's scores on the STS benchmark; its name is "sts-dev" or "sts-test"."""
    columns = stsb(folder, split)
    name = f"sts-{split}" if truncate_dim is None else f"sts-{split}-{truncate_dim}"
    return EmbeddingSimilarityEvaluator(
        columns["sentence1"],
        columns["sentence2"],
        columns["score"],
        similarity_fn_names=["cosine"],
        name=name,
        truncate_dim=truncate_dim,
    )


def ms_marco_triplets(folder: Path | None, split: str, rows: int | None = None) -> Columns:
    """Questions to Bing (query), a passage that answers each (positive), and one that does not (negative).

    A tenth of the queries is for "dev", and a tenth for "test". The Hub's negatives were found by BM25, those of a
    folder are random.
    """
    columns = ["query", "positive", "negative"]
    if folder is None:
        found = from_hub("sentence-transformers/msmarco-bm25", "triplet", "train", columns)
    else:
        found = _triplets_of_labels(from_file(folder / "retrieval" / "msmarco_sample.parquet", MS_MARCO))
    tenths = [crc32(query.encode()) % 10 for query in found["query"]]
    wanted = {"train": range(2, 10), "dev": range(1), "test": range(1, 2)}[split]
    return drawn(chosen(found, [tenth in wanted for tenth in tenths]), rows)


def _triplets_of_labels(labelled: Columns) -> Columns:
    """Each query's passages with label 1, each beside one of those with label 0."""
    passages: dict[str, tuple[list[str], list[str]]] = {}  # query → passages with label 0, with label 1
    for query, passage, label in zip(*labelled.values(), strict=True):
        passages.setdefault(query, ([], []))[label].append(passage)
    rows = [
        (query, positive, negatives[place % len(negatives)])
        for query, (negatives, positives) in passages.items()
        if negatives
        for place, positive in enumerate(positives)
    ]
    return dict(zip(("query", "positive", "negative"), map(list, zip(*rows, strict=True)), strict=True))


def ms_marco_evaluator(folder: Path | None, split: str) -> InformationRetrievalEvaluator:
    """How early queries find their passage among those of 1,000 triplets; its name is "ms-marco-dev", for example."""
    triplets = ms_marco_triplets(folder, split, 1000)
    relevant: dict[str, set[str]] = {}
    for query, positive in zip(triplets["query"], triplets["positive"], strict=True):
        relevant.setdefault(query, set()).add(positive)
    texts = {text: text for text in triplets["positive"] + triplets["negative"]}  # each text is its own id
    queries = {query: query for query in relevant}
    return InformationRetrievalEvaluator(
        queries, texts, relevant, name=f"ms-marco-{split}", score_functions={"dot": dot_score}
    )


def from_hub(name: str, config: str | None, split: str, columns: list[str]) -> Columns:
    """The columns of a data set on the Hub."""
    from datasets import load_dataset

    found: Columns = load_dataset(name, config, split=split).select_columns(columns).to_dict()
    return found


def from_file(path: Path, columns: list[str]) -> Columns:
    """The columns of a Parquet, CSV, TSV or JSONL file."""
    rows = [row.values for row in read_rows(path, columns)]
    return {name: [row[name] for row in rows] for name in columns}


def chosen(columns: Columns, wanted: Sequence[bool]) -> Columns:
    """The rows that are wanted."""
    return {name: list(compress(column, wanted)) for name, column in columns.items()}


def drawn(columns: Columns, rows: int | None) -> Columns:
    """So many rows, drawn at random, the same ones each time; all without a number."""
    count = len(next(iter(columns.values())))
    if rows is None or rows >= count:
        return columns
    places = sorted(random.Random(0).sample(range(count), rows))
    return {name: [column[place] for place in places] for name, column in columns.items()}
