"""Hard negatives for training: passages that a model finds near a query although they do not belong to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from likewise.extras import extra
from likewise.files import FilePath
from likewise.search.kept_vectors import kept_vectors, key_of
from likewise.search.negative_tables import FORMATS, NegativeFormat, NegativeTexts, table_of_negatives
from likewise.search.negatives import QUERIES_IN_BLOCK, NegativeRules, Negatives, Rescore, Rows, mine_negatives
from likewise.search.negatives_report import summary, told_of_lost
from likewise.search.query_pairs import QueryPairs, read_pairs
from likewise.similarity import as_floats, is_tensor

if TYPE_CHECKING:
    from datasets import Dataset

    from likewise.encoding.processes import ProcessPool
    from likewise.sentence_transformer import SentenceTransformer

FAISS_BATCH_SIZE = 16384  # the incumbent's default


class Scorer(Protocol):
    """What may judge candidates: a CrossEncoder."""

    def predict(self, pairs: list[tuple[str, str]], **settings: Any) -> Any:
        """One score for each pair of a query and a passage."""


def mine_hard_negatives(
    dataset: Any,
    model: SentenceTransformer,
    anchor_column_name: str | None = None,
    positive_column_name: str | None = None,
    corpus: Iterable[str] | None = None,
    cross_encoder: Scorer | None = None,
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: Literal["top", "random"] = "top",
    query_prompt_name: str | None = None,
    query_prompt: str | None = None,
    corpus_prompt_name: str | None = None,
    corpus_prompt: str | None = None,
    include_positives: bool = False,
    output_format: Literal["triplet", "n-tuple", "labeled-pair", "labeled-list", "n-tuple-scores"] = "triplet",
    output_scores: bool = False,
    batch_size: int | None = None,
    faiss_batch_size: int = FAISS_BATCH_SIZE,
    use_faiss: bool = False,
    use_multi_process: bool | Sequence[str] = False,
    verbose: bool = True,
    cache_folder: FilePath | None = None,
    as_triplets: bool | None = None,
    margin: float | None = None,
    *,
    seed: int = 0,
) -> Dataset:
    """Find negatives for the (query, positive) pairs of ``dataset``: a new data set of texts, ready for a loss.

    ``dataset`` is a datasets.Dataset, a data frame, a mapping of columns, a list of rows or a file; its first two
    columns are the queries and their positives, unless ``anchor_column_name`` and ``positive_column_name`` say which.
    A query in several rows has several positives. Negatives come from all positives and the ``corpus``.

    What is a negative and what is not: NegativeRules. Where one of its rules judges scores, these are those of
    ``cross_encoder`` if it is given: anything with ``predict(pairs)``. It is asked for the candidates, not for all.

    The rows, by ``output_format``, best negatives first:
    - "triplet": query, positive, ``negative``; each negative a row.
    - "n-tuple": query, positive, ``negative_1``, …; only where ``num_negatives`` were found. ``include_positives``, for
      rankings, gives this form always, positives being among the "negatives" at their rank.
    - "labeled-pair": query, passage, ``label`` (1 for positives, 0 for negatives).
    - "labeled-list": query, [positive, negatives …], ``labels``.
    With ``output_scores`` the first two have ``scores`` too, of the positive and the negatives in order, and the
    others have ``score`` or ``scores`` instead of labels.

    ``use_multi_process`` encodes in several processes, on all GPUs or on the devices that it names.
    ``cache_folder`` keeps the vectors in files, which are read block by block. ``verbose`` shows progress and prints
    what was found. ``as_triplets``, ``margin`` and "n-tuple-scores" are older spellings.

    Raises:
        ImportError: The extra "train" is not installed.
        TypeError: ``dataset`` is of no known kind, or the corpus holds what is no text.
        ValueError: A row has no text, a column is not there, or an argument is not right or not supported.
    """
    with extra("train", "mine_hard_negatives"):
        import datasets
        import pyarrow as pa
    _refuse(faiss_batch_size, use_faiss)
    form, output_scores = _form(output_format, output_scores, as_triplets, include_positives)
    if margin is not None and absolute_margin is not None:
        raise ValueError("margin is the older name of absolute_margin; give one of them")
    rules = NegativeRules(
        num_negatives=num_negatives,
        range_min=range_min,
        range_max=range_max,
        max_score=max_score,
        min_score=min_score,
        absolute_margin=absolute_margin if margin is None else margin,
        relative_margin=relative_margin,
        sampling_strategy=sampling_strategy,
        include_positives=include_positives,
        seed=seed,
    )
    pairs = read_pairs(dataset, anchor_column_name, positive_column_name, corpus)
    if clash := {pairs.anchor, pairs.positive} & set(form.added(num_negatives, output_scores)):
        raise ValueError(f"the result has a column {clash.pop()!r} of its own; rename that of the dataset")
    rescore = _rescore(cross_encoder, pairs, rules, batch_size)
    with _pool(model, use_multi_process) as pool:
        encode = partial(_vectors, model, batch_size, verbose, cache_folder, pool)
        queries = encode("query", pairs.queries, query_prompt_name, query_prompt)
        passages = encode("corpus", pairs.corpus, corpus_prompt_name, corpus_prompt)
    found = mine_negatives(
        queries, passages, pairs.positives, rules, model.similarity_fn_name, rescore, pairs.most_positives
    )
    texts = NegativeTexts(pairs.queries, pairs.corpus, pairs.anchor, pairs.positive)
    blocks, tables = [], []
    for block in _with_progress(found, len(pairs.queries), verbose):
        blocks.append(block)
        tables.append(table_of_negatives(block, texts, form, output_scores))
    if verbose:
        print(summary(blocks, rules))
    if lost := told_of_lost(blocks, form.least(num_negatives), rules):
        warnings.warn(lost, stacklevel=2)
    return datasets.Dataset(pa.concat_tables(tables))


def _refuse(faiss_batch_size: int, use_faiss: bool) -> None:
    if use_faiss or faiss_batch_size != FAISS_BATCH_SIZE:
        raise ValueError(
            "use_faiss and faiss_batch_size do nothing here: the search is exact, in blocks of bounded memory; "
            "leave them out"
        )


def _form(
    output_format: str, output_scores: bool, as_triplets: bool | None, include_positives: bool
) -> tuple[NegativeFormat, bool]:
    """The format and whether there are scores, of the arguments in any spelling."""
    if as_triplets is not None:
        output_format = "triplet" if as_triplets else "n-tuple"
    if output_format == "n-tuple-scores":
        output_format, output_scores = "n-tuple", True
    if output_format not in FORMATS:
        raise ValueError(f"output_format must be one of {', '.join(map(repr, FORMATS))}, not {output_format!r}")
    return FORMATS["n-tuple" if include_positives else output_format], output_scores


# Scores


def _pool(model: SentenceTransformer, use_multi_process: bool | Sequence[str]) -> AbstractContextManager[Any]:
    """Processes on the devices that are named, or on the best there are; none where they are not wanted."""
    if not use_multi_process:
        return nullcontext()
    return model.start_multi_process_pool(None if use_multi_process is True else use_multi_process)


def _vectors(
    model: SentenceTransformer,
    batch_size: int | None,
    verbose: bool,
    folder: FilePath | None,
    pool: ProcessPool | None,
    role: Literal["query", "corpus"],
    texts: list[str],
    prompt_name: str | None,
    prompt: str | None,
) -> NDArray[Any]:
    """The vectors of queries or passages, (texts, dim), of length 1, kept in ``folder`` where there is one."""
    settings: dict[str, Any] = {"prompt_name": prompt_name, "prompt": prompt, "batch_size": batch_size}
    if pool is not None:
        settings["pool"] = pool
    method = model.encode_query if role == "query" else model.encode_document

    def encode(some: Sequence[str]) -> NDArray[Any]:
        vectors: NDArray[Any] = method(some, normalize_embeddings=True, show_progress_bar=verbose, **settings)
        return vectors

    if folder is None:
        return encode(texts)
    key = key_of(model, texts, role, prompt_name, prompt)
    return kept_vectors(Path(folder) / f"{role}_embeddings_{key}.npy", encode, texts)


def _rescore(
    cross_encoder: Scorer | None, pairs: QueryPairs, rules: NegativeRules, batch_size: int | None
) -> Rescore | None:
    if cross_encoder is None:
        return None
    if not rules.judges_scores:
        warnings.warn(
            "the cross_encoder is not asked: nothing depends on its scores; give a margin, max_score or min_score",
            stacklevel=3,
        )
        return None
    settings = {} if batch_size is None else {"batch_size": batch_size}

    def rescore(rows: Rows, columns: Rows) -> Any:
        texts = [
            (pairs.queries[row], pairs.corpus[column])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
        scores = cross_encoder.predict(texts, **settings)
        return as_floats(scores).detach().cpu().numpy() if is_tensor(scores) else scores

    return rescore


def _with_progress(found: Iterable[Negatives], queries: int, verbose: bool) -> Iterable[Negatives]:
    from tqdm import tqdm

    blocks = -(-queries // QUERIES_IN_BLOCK)
    shown: Iterable[Negatives] = tqdm(found, "Mining negatives", blocks, disable=not verbose, unit="block")
    return shown
