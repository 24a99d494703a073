"""``likewise augment``: scored pairs → more, which a cross-encoder scores, and a bi-encoder trained on all of them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.output import on_terminal, one_line, print_records, warnings_in_a_line

if TYPE_CHECKING:
    from likewise.augment import Learning, Neighbours, Pair, ScoredPairs

Sampling = Literal["bm25", "semantic", "both"]


def augment(
    gold_file: Annotated[
        Path,
        typer.Argument(metavar="GOLD_FILE", help="A .csv, .tsv, .jsonl or .parquet file: two texts and a score a row."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder for all results.")],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="The bi-encoder: a folder, or a name on the Hub.")
    ] = "all-MiniLM-L6-v2",
    cross_encoder: Annotated[
        str, typer.Option(metavar="MODEL", help="A folder, or a name on the Hub.")
    ] = "cross-encoder/ms-marco-MiniLM-L12-v2",
    epochs: Annotated[float, typer.Option(metavar="N", help="Passes through the data, of each training.")] = 1.0,
    sampling: Annotated[
        Sampling, typer.Option(help="How neighbours are found: by words, in meaning, or both.")
    ] = "bm25",
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="N", min=1, help="Neighbours of each text.")] = 3,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="The two columns of text; otherwise all but the score.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="The score's column; otherwise label, labels, score or scores.")
    ] = None,
    label_scale: Annotated[
        float, typer.Option(metavar="N", help="Divide the scores by N: 5 for scores from 0 to 5.")
    ] = 1.0,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, and keep the weights in float32.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides all that is drawn.")] = 42,
) -> None:
    """Train on scored pairs, and on more that a model scores.

    1. New pairs are sampled among the texts of GOLD_FILE: each with those nearest to it by words, or in meaning, as a
    bi-encoder sees it that has learnt the gold pairs. 2. The cross-encoder learns the gold pairs. 3. It scores the new
    ones; they are called silver. 4. The bi-encoder learns gold and silver.

    FOLDER gets silver.csv, cross-encoder and bi-encoder.

    Example: likewise augment pairs.csv -o out --label-scale 5

    To a pipe or a file: one line each for the number of gold and of silver pairs and for the three places, with a tab.
    """
    if epochs <= 0:
        raise typer.BadParameter(f"{epochs:g} is not above 0", param_hint="--epochs")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} is there already and not an empty folder; remove it, or give another output")
    with warnings_in_a_line():
        from likewise.augment import Learning, gold_pairs

        gold = gold_pairs(gold_file, columns.split(",") if columns else None, label, label_scale)
        learning = Learning(epochs, bf16=bf16, seed=seed, shows_progress=True)
        try:
            pairs = _sampled(gold, sampling, top_k, model, learning)
            silver = _silver(gold, pairs, cross_encoder, learning, output)
            _train(gold.and_also(silver), model, learning, output)
        except FloatingPointError as error:  # the loss was NaN; the message says what may help
            raise ValueError(str(error)) from error
    _print_summary(output, gold, silver)


def _tell(step: int, what: str) -> None:
    print(f"{step} of 4: {what}", file=sys.stderr, flush=True)


def _sampled(gold: "ScoredPairs", sampling: Sampling, top_k: int, model: str, learning: "Learning") -> "list[Pair]":
    """The new pairs; this comes first, for it is what can fail because of the data."""
    from likewise.augment import lexical_neighbours, new_pairs, semantic_neighbours, train_bi_encoder

    texts = gold.texts
    found: list[Neighbours] = []
    if sampling in ("bm25", "both"):
        _tell(1, f"BM25 finds the nearest of {len(texts):,} texts")
        found.append(lexical_neighbours(texts, top_k))
    if sampling in ("semantic", "both"):
        from likewise import SentenceTransformer

        _tell(1, f"a bi-encoder learns the gold pairs, and finds the nearest of {len(texts):,} texts")
        sampler = SentenceTransformer(model)
        train_bi_encoder(sampler, gold, learning)
        found.append(semantic_neighbours(texts, top_k, sampler, shows_progress=True))
    pairs = new_pairs(gold, found)
    if not pairs:
        raise ValueError(
            f"no new pair was found among {len(texts):,} texts: all neighbours are gold pairs; raise --top-k, or try "
            "--sampling both"
        )
    return pairs


def _silver(
    gold: "ScoredPairs", pairs: "list[Pair]", cross_encoder: str, learning: "Learning", output: Path
) -> "ScoredPairs":
    """The new pairs with their scores; they and the cross-encoder are written."""
    import torch

    from likewise import CrossEncoder
    from likewise.augment import labelled, train_cross_encoder

    _tell(2, f"the cross-encoder learns {len(gold):,} gold pairs, each also swapped")
    torch.manual_seed(learning.seed)  # an encoder without a head gets a new one
    scorer = CrossEncoder(cross_encoder)
    train_cross_encoder(scorer, gold, learning)
    scorer.save_pretrained(output / "cross-encoder")
    _tell(3, f"it scores {len(pairs):,} new pairs")
    silver = labelled(scorer, pairs, shows_progress=True)
    _write(output / "silver.csv", silver)
    return silver


def _train(pairs: "ScoredPairs", model: str, learning: "Learning", output: Path) -> None:
    """Train and write the bi-encoder."""
    from likewise import SentenceTransformer
    from likewise.augment import train_bi_encoder

    _tell(4, f"the bi-encoder learns {len(pairs):,} pairs, gold and silver")
    bi_encoder = SentenceTransformer(model)
    train_bi_encoder(bi_encoder, pairs, learning)
    bi_encoder.save_pretrained(output / "bi-encoder")


def _write(path: Path, pairs: "ScoredPairs") -> None:
    """Write a CSV file that ``likewise train`` reads."""
    import csv

    from likewise.files import whole_file

    columns = pairs.columns()
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _print_summary(output: Path, gold: "ScoredPairs", silver: "ScoredPairs") -> None:
    places = [(name.partition(".")[0], output / name) for name in ("silver.csv", "cross-encoder", "bi-encoder")]
    if not on_terminal():
        print_records([("gold pairs", len(gold)), ("silver pairs", len(silver)), *places])
        return
    for name, pairs in (("gold", gold), ("silver", silver)):
        print(f"{len(pairs):,} {name} pairs, their scores {pairs.scores.mean():.2f} on average")
    for name, place in places:
        print(f"{name:<15}{one_line(str(place))}")
