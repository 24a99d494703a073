"""``likewise search``: the passages of files that answer a question best."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.options import DEFAULT_MODEL, ModelName
from likewise.cli.output import on_terminal, one_line, print_cut, print_hits, print_records

if TYPE_CHECKING:
    from likewise import CrossEncoder
    from likewise.passages import Passage

MANY = 1000  # passages; from here on a progress bar shows how long it takes
CANDIDATES = 50  # passages that a cross-encoder reads, a second or two of work


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for: a question or some words.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files to search, and folders of them.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="N", min=1, help="How many passages to print.")] = 5,
    model: ModelName = DEFAULT_MODEL,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of a table with the texts, if it is not clear.")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A cross-encoder that reads the closest passages and puts them in order."),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"How many passages it reads: {CANDIDATES}, if that is not said."),
    ] = None,
) -> None:
    """Find the passages that are closest to QUERY in meaning.

    The best one comes first. Folders are searched for text (.txt, .text, .rst), Markdown (.md, .markdown), HTML (.html,
    .htm, .xhtml), PDF, and tables with a column of texts (.csv, .tsv, .jsonl, .ndjson, .parquet). What cannot be read
    is told on standard error and left out. Every passage is embedded, with the headings that it stands under, and
    compared with QUERY: the result is exact.

    With --rerank, a cross-encoder reads QUERY together with each of the closest passages, and the scores are its own.

    Example: likewise search "how are the labels made?" docs/ README.md

    Example: likewise search "is it open?" docs/ --rerank ms-marco-MiniLM-L6-v2

    To a pipe or a file: one passage a line, without a header: score, file:line, headings and passage, separated by
    tabs. For PDF it is file#page=number.
    """
    if candidates is not None and rerank is None:
        raise typer.BadParameter("only a cross-encoder takes candidates: give --rerank too", param_hint="--candidates")
    if candidates is not None and candidates < top_k:
        raise typer.BadParameter(f"{candidates} are fewer than the {top_k} to print", param_hint="--candidates")

    from likewise.documents import Problem, read_documents

    passages = []
    for found in read_documents(paths, column):
        if isinstance(found, Problem):
            print(f"likewise: left out: {one_line(str(found))}", file=sys.stderr)
        else:
            passages.append(found)
    if not passages:
        raise ValueError(f"there is no text to search in {', '.join(map(str, paths))}")
    if rerank is None:
        hits = _best(query, passages, top_k, model)
    else:
        from likewise.cli.reranker import reranker

        judge = reranker(rerank)  # first, so that a mistake in its name is told before all passages are embedded
        closest = _best(query, passages, candidates or max(CANDIDATES, top_k), model)
        hits = _reranked(query, [passage for _, passage in closest], top_k, judge)
    told = ((score, _place(hit), hit.heading, hit.text) for score, hit in hits)
    if on_terminal():
        print_hits(told)
    else:
        print_records(told)


def _best(query: str, passages: "Sequence[Passage]", k: int, model_name: str) -> "list[tuple[float, Passage]]":
    """The ``k`` passages closest to ``query``, by the model's own similarity, with their scores."""
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.encoding.report import Tally
    from likewise.search.semantic import top_k
    from likewise.similarity import SimilarityFunction

    model = SentenceTransformer(model_name)
    texts = [_text(passage) for passage in passages]
    tally = Tally()
    corpus = tally.of(model.encode_document)(texts, show_progress_bar=len(texts) >= MANY)
    print_cut(tally, "passages")
    question = model.encode_query([query])
    score = SimilarityFunction.to_similarity_fn(model.similarity_fn_name)
    scores, indices = top_k(question, corpus, k, score=score)
    return [(float(score), passages[index]) for score, index in zip(scores[0], indices[0], strict=True)]


def _reranked(
    query: str, passages: "Sequence[Passage]", k: int, judge: "CrossEncoder"
) -> "list[tuple[float, Passage]]":
    """The ``k`` passages that the cross-encoder ``judge`` scores highest, with these scores."""
    ranking = judge.rank(query, [_text(passage) for passage in passages], k)
    return [(hit["score"], passages[hit["corpus_id"]]) for hit in ranking]


def _text(passage: "Passage") -> str:
    """What the models read of a passage: its headings, and below them its text."""
    return f"{passage.heading}\n{passage.text}".strip()


def _place(passage: "Passage") -> str:
    """The file with the line, or the page as browsers take it."""
    return f"{passage.source}#page={passage.page}" if passage.page else f"{passage.source}:{passage.line}"
