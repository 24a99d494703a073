"""``likewise index``: an index that is kept, so that a search need not embed everything again."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.options import DEFAULT_MODEL, Column, ModelName
from likewise.cli.output import on_terminal, one_line, print_cut, print_hits, print_records

if TYPE_CHECKING:
    from likewise import SentenceTransformer
    from likewise.documents import Problem
    from likewise.encoding.report import Tally
    from likewise.passages import Passage
    from likewise.search.index import Changed, Hit

index = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AnIndex = Annotated[Path, typer.Argument(metavar="INDEX", help="The folder of the index.")]
Paths = Annotated[
    list[str], typer.Argument(metavar="PATH", help="Files, and folders of them: text, Markdown, HTML, PDF, tables.")
]


@index.callback()
def about() -> None:
    """Keep an index of your files, embedded once.

    Example: likewise index build docs/ README.md -o my.index

    Example: likewise index search my.index "how are the labels made?"
    """


@index.command(no_args_is_help=True)
def build(
    paths: Paths,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="INDEX", help="The new folder.")],
    column: Column = None,
    model: ModelName = DEFAULT_MODEL,
    tables: Annotated[
        str | None, typer.Option(metavar="URI", help="Object storage for what is large, such as s3://bucket/my.index")
    ] = None,
) -> None:
    """Make an index of all passages of the files.

    It keeps in mind which files and folders it was made from: update reads them again. Where building is interrupted,
    what was written is whole, and update goes on.

    Example: likewise index build docs/ README.md -o my.index
    """
    from likewise.search.index import Index

    _check_paths(paths)
    whole = [_whole(path) for path in paths]
    with _embedding(model) as counted, Index.create(output, counted, whole, tables, column) as made:
        _tell(output, made.add(_passages(paths, column, set()), show_progress_bar=True))


@index.command(no_args_is_help=True)
def add(path: AnIndex, paths: Paths) -> None:
    """Add the passages of more files.

    What is there already is not embedded again. To add a file's changes, and to take out what it has no more, update.

    Example: likewise index add my.index letters/
    """
    from likewise.search.index import Index

    _check_paths(paths)
    with _embedding(_model_of(path)) as counted, Index.open(path, counted) as opened:
        opened.set_paths([*opened.paths, *map(_whole, paths)])
        _tell(path, opened.add(_passages(paths, opened.column, set()), show_progress_bar=True))


@index.command(no_args_is_help=True)
def remove(
    path: AnIndex,
    sources: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Files, and folders of them.")] = None,
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="Those that it is true of.")] = None,
) -> None:
    """Take out the passages of files, or of a condition.

    An update puts a file back that is still there, in a folder that the index was made from.

    Example: likewise index remove my.index notes/old.md

    Example: likewise index remove my.index --where "year < 1990"
    """
    from likewise.search.index import Index

    if not sources and where is None:
        raise typer.BadParameter("say what to remove: files, or --where", param_hint="FILE")
    with Index.open(path) as opened:
        roots = [_whole(given) for given in sources or ()]
        removed = opened.remove(*(source for source in opened.sources() if _is_in(source, roots)), where=where)
        opened.set_paths(kept for kept in opened.paths if not _is_in(kept, roots))
    if not removed:
        raise ValueError(f"{path} has no such passages; likewise index search prints how its files are called")
    typer.echo(f"{path}: {_passage_count(removed)} removed", err=True)


@index.command(no_args_is_help=True)
def update(
    path: AnIndex,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only these files and folders; else all that it has.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Embed everything again by this model, from the stored texts.")
    ] = None,
) -> None:
    """Embed what is new or changed, take out what is gone.

    With --model, no file is read: every passage is embedded again from the text that the index holds. The old vectors
    answer until the new ones are whole. Where this was interrupted, the same command goes on.

    Example: likewise index update my.index
    """
    from likewise.search.index import Index

    if model is not None:
        if paths:
            raise typer.BadParameter("--model reads no files: update them in a second step", param_hint="PATH")
        with Index.open(path) as opened, _embedding(model) as counted:
            opened.update(model=counted, show_progress_bar=True)
        typer.echo(f"{path}: embedded by {model}", err=True)
        return
    with _embedding(_model_of(path)) as counted, Index.open(path, counted) as opened:
        roots = [_whole(given) for given in paths or opened.paths]
        if not roots:
            raise ValueError(f"{path} does not know its files, as it was made in Python; name them: PATH…")
        for root in roots:
            if not Path(root).exists():
                _tell_left(path, root, "is not there")
        there = [root for root in roots if Path(root).exists()]
        seen: set[str] = set()
        changed = opened.update(_passages(there, opened.column, seen), show_progress_bar=True)
        unread = [problem.source for problem in changed.problems]  # folders too
        missing = [own for own in opened.sources() if own not in seen and _is_in(own, there)]
        gone = [own for own in missing if not _is_in(own, unread)]
        empty = [root for root in there if Path(root).is_dir() and not any(_is_in(own, [root]) for own in seen)]
        for root in empty:
            _tell_left(path, root, "holds nothing to read")
        _tell(path, changed, opened.remove(*(own for own in gone if not _is_in(own, empty))))


@index.command(no_args_is_help=True)
def search(
    path: AnIndex,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for: a question or some words.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="N", min=1, help="How many passages to print.")] = 5,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Look for its words too, and join both rankings.")] = False,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only passages that it is true of, such as: year >= 2020")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A cross-encoder that reads the best passages and puts them in order."),
    ] = None,
) -> None:
    """Find the passages that are closest to QUERY in meaning.

    The best one comes first, with its score: that of the model, with --hybrid that of reciprocal rank fusion, with
    --rerank that of the cross-encoder. A condition speaks of source, line, page, heading and the files' own columns.

    Example: likewise index search my.index "who may use it?" --hybrid -k 3

    To a pipe or a file: one passage a line, without a header: score, file:line, headings and passage, separated by
    tabs.
    """
    from likewise.search.index import Index

    judge = None
    if rerank is not None:
        from likewise.cli.reranker import reranker

        judge = reranker(rerank)
    with Index.open(path) as opened:
        hits = opened.search(query, top_k, where, hybrid, judge)
    told = ((hit.score, _place(hit), hit.heading, hit.text) for hit in hits)
    if on_terminal():
        print_hits(told)
    else:
        print_records(told)


@index.command(no_args_is_help=True)
def info(path: AnIndex) -> None:
    """Print what an index holds, its model, and how it is searched.

    Example: likewise index info my.index
    """
    from likewise.search.index import Index

    with Index.open(path) as opened:
        facts = opened.info()
        kept = opened.paths
    approximate = facts.approximation
    way = "exact"
    if approximate is not None:
        way = f"approximate, recall@10 {approximate.recall:.3f} against exact search ({approximate.sample} searches)"
    typer.echo(f"passages    {facts.passages:,} of {facts.sources:,} files, {facts.size / 1e6:,.1f} MB")
    if facts.tables is not None:
        typer.echo(f"tables      {one_line(facts.tables)}")
    typer.echo(f"model       {facts.model} ({facts.fingerprint}), {facts.dimension} dimensions, {facts.similarity}")
    typer.echo(f"search      {way}")
    for name, kind in facts.metadata.items():
        typer.echo(f"column      {one_line(name)}: {kind}")
    for given in kept:
        typer.echo(f"made from   {one_line(given)}")
    if facts.unfinished:
        typer.echo("unfinished  the vectors of another model; the same likewise index update --model goes on")


class _Counted:
    """A model that counts what it cut off, so that it is told once for all batches."""

    def __init__(self, model: "SentenceTransformer", tally: "Tally"):
        self.name, self.fingerprint = model.name, model.fingerprint
        self.similarity_fn_name = model.similarity_fn_name
        self.encode_query = model.encode_query
        self.encode_document = tally.of(model.encode_document)


@contextmanager
def _embedding(model: str) -> "Iterator[_Counted]":
    """The model called so; what it cut off is told in the end."""
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.encoding.report import Tally

    tally = Tally()
    yield _Counted(SentenceTransformer(model), tally)
    print_cut(tally, "passages")


def _model_of(path: Path) -> str:
    from likewise.search.index.store import read_record

    return read_record(path).model


def _tell_left(path: Path, root: str, reason: str) -> None:
    """Perhaps a disk is not mounted: that is no reason to forget what was on it."""
    typer.echo(
        f"likewise: {one_line(root)} {reason}, so its passages stay; "
        f"to take them out: likewise index remove {path} {one_line(root)}",
        err=True,
    )


def _passages(paths: Iterable[str], column: str | None, seen: set[str]) -> "Iterator[Passage | Problem]":
    """What is read of the files, under their whole paths, so that each has one name; ``seen`` are their files.

    A file that cannot be read is told on standard error, and is seen: it may be readable again next time.
    """
    from tqdm import tqdm

    from likewise.documents import Problem, read_documents

    for found in read_documents(list(dict.fromkeys(map(_whole, paths))), column):
        seen.add(found.source)
        if isinstance(found, Problem):
            tqdm.write(f"likewise: left out: {one_line(str(found))}", file=sys.stderr)  # above the bar, not within it
        yield found


def _check_paths(paths: Iterable[str]) -> None:
    for path in paths:
        if not Path(path).exists():
            raise FileNotFoundError(f"there is no {path}; name files and folders that exist")


def _whole(path: str) -> str:
    """The name under which a file is in the index, so that it is found from any folder; a link has its own."""
    given = Path(path)
    return str(given.resolve() if given.is_dir() else given.parent.resolve() / given.name)


def _is_in(source: str, roots: Iterable[str]) -> bool:
    return any(source == root or Path(root) in Path(source).parents for root in roots)


def _tell(path: Path, changed: "Changed", removed: int = 0) -> None:
    counts = {
        "added": changed.added,
        "moved": changed.moved,
        "removed": changed.removed + removed,
        "unchanged": changed.unchanged,
    }
    told = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
    typer.echo(f"{path}: passages: {told}" if told else f"{path}: there is no text in these files", err=True)


def _passage_count(number: int) -> str:
    return f"{number:,} passage{'s' * (number != 1)}"


def _place(hit: "Hit") -> str:
    """File and line; a file below the working folder as it is called from there."""
    source = Path(hit.source)
    name = str(source.relative_to(Path.cwd())) if Path.cwd() in source.parents else hit.source
    where = name if hit.line is None else f"{name}:{hit.line}"
    return where if hit.page is None else f"{where}, page {hit.page}"
