"""The columns of a data set as tokens: made once, kept on disk where wished, and taken from at each step."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likewise.encoding.embed import tokenize
from likewise.files import FilePath, whole_folder
from likewise.losses.columns import AnyColumn, Column, ListColumn
from likewise.models import Chain
from likewise.tokens import TEXTS_AT_ONCE, TokenBatch, concatenated
from likewise.training.data import TrainingData

if TYPE_CHECKING:
    from likewise.model import Model

TEXTS_WORTH_A_BAR = 50_000  # fewer are tokenised in a second or two
TEXTS_BETWEEN_TICKS = 8 * TEXTS_AT_ONCE
ARRAYS = ("ids", "offsets", "full_lengths", "prompt_lengths")
CACHE_VERSION = 1


@dataclass(frozen=True)
class TokenizedColumn:
    """One column: each text of all rows, and where its tokens are."""

    tokens: TokenBatch  # of different texts, which columns with the same prompt and route share
    places: NDArray[np.int64]  # (rows,), in tokens
    texts: Sequence[str]  # (rows,), without the prompt
    prompt: str
    route: str

    def of_rows(self, rows: NDArray[np.int64]) -> Column:
        """The texts of ``rows``, in that order, as a loss takes them."""
        texts = [self.prompt + self.texts[row] for row in rows.tolist()]
        return Column(self.tokens.take(self.places[rows]), texts, self.route)


@dataclass(frozen=True)
class TokenizedLists:
    """One column with a list of texts in each row."""

    column: TokenizedColumn  # of all rows, one row's texts behind the other's
    starts: NDArray[np.int64]  # (rows + 1,), where each row's texts begin

    def of_rows(self, rows: NDArray[np.int64]) -> ListColumn:
        """The lists of ``rows``, in that order, as a loss takes them."""
        places = [np.arange(self.starts[row], self.starts[row + 1]) for row in rows.tolist()]
        return ListColumn(self.column.of_rows(np.concatenate(places)), self.starts[rows + 1] - self.starts[rows])


@dataclass(frozen=True)
class TokenizedData:
    """All columns of a data set as tokens."""

    columns: Sequence[TokenizedColumn | TokenizedLists]
    lengths: NDArray[np.int32]  # (rows,), tokens of all columns together

    def columns_of(self, rows: NDArray[np.int64]) -> list[AnyColumn]:
        """The columns of ``rows``, in that order."""
        return [column.of_rows(rows) for column in self.columns]


def tokenized_data(
    model: Model,
    data: TrainingData,
    prompts: str | Mapping[str, str] | None = None,
    tasks: Mapping[str, str] | None = None,
    cache: FilePath | None = None,
) -> TokenizedData:
    """Tokenise ``data`` for ``model``, each different text once.

    ``prompts`` is put before the texts of all columns, or of those that it names; ``tasks`` sends columns by routes of
    a Router. The folder ``cache`` keeps the tokens for another run with the same texts, tokenizer, limit and prompt; it
    can be deleted at any time.

    Raises:
        ValueError: No column has one of the names in ``prompts`` or ``tasks``, or a route is not there.
        TokenizerError: The tokenizer fails.
        OSError: The cache cannot be written.
    """
    prompt_of = _by_column(prompts, data, "prompts")
    task_of = _by_column(tasks, data, "the router mapping")
    routes = model.live.routes
    kinds = {column: (prompt_of.get(column, ""), routes.name(task_of.get(column))) for column in data.columns}
    texts = list(data.texts)
    flat = {name: data.flat(name) for name in data.columns}
    ids_of = {name: data.ids_of(values) for name, values in flat.items()}
    made: dict[tuple[str, str], tuple[TokenBatch, NDArray[np.int64]]] = {}  # the tokens, and the place of each text
    for prompt, route in dict.fromkeys(kinds.values()):
        used = np.unique(np.concatenate([ids_of[name] for name, kind in kinds.items() if kind == (prompt, route)]))
        places = np.zeros(len(texts), dtype=np.int64)
        places[used] = np.arange(len(used))
        used_texts = [texts[text] for text in used.tolist()]
        made[prompt, route] = (_cached(routes.chains[route], used_texts, prompt, cache), places)
    columns: list[TokenizedColumn | TokenizedLists] = []
    lengths = np.zeros(len(data), dtype=np.int32)  # of all columns
    for name, kind in kinds.items():
        tokens, places = made[kind]
        column = TokenizedColumn(tokens, places[ids_of[name]], flat[name], *kind)
        of_rows = tokens.lengths[column.places]
        if name in data.lists:
            starts = np.cumsum([0, *map(len, data.columns[name])])
            columns.append(TokenizedLists(column, starts))
            of_rows = np.add.reduceat(of_rows, starts[:-1])
        else:
            columns.append(column)
        lengths += of_rows
    return TokenizedData(columns, lengths)


def _by_column(given: str | Mapping[str, str] | None, data: TrainingData, what: str) -> dict[str, str]:
    if not given:
        return {}
    if isinstance(given, str):
        return dict.fromkeys(data.columns, given)
    found = {column: given[column] for column in data.columns if column in given}
    if not found:  # some may be for columns of other data sets, but not all
        there = ", ".join(map(repr, data.columns))
        raise ValueError(f"{what} names {', '.join(map(repr, given))}, but the columns are {there}")
    for column, value in found.items():
        if not isinstance(value, str):
            raise ValueError(f"{what} must hold a text for the column {column!r}, not {value!r}")
    return found


def _tokens(chain: Chain, texts: Sequence[str], prompt: str) -> TokenBatch:
    if len(texts) <= TEXTS_WORTH_A_BAR:
        return tokenize(chain, texts, prompt)
    from tqdm import tqdm

    parts = []
    with tqdm(desc="Tokenising", total=len(texts), unit=" texts", unit_scale=True) as bar:
        for start in range(0, len(texts), TEXTS_BETWEEN_TICKS):
            part = texts[start : start + TEXTS_BETWEEN_TICKS]
            parts.append(tokenize(chain, part, prompt))
            bar.update(len(part))
    return concatenated(parts)


# The cache: a folder for each key, with an array a file and a sum of each


def _cached(chain: Chain, texts: Sequence[str], prompt: str, cache: FilePath | None) -> TokenBatch:
    if cache is None or not hasattr(chain.source.tokenizer, "to_str"):  # one that only splits words is fast
        return _tokens(chain, texts, prompt)
    folder = Path(cache) / _key(chain, texts, prompt)
    found = _read(folder)
    if found is None:
        tokens = _tokens(chain, texts, prompt)
        try:
            _write(folder, tokens)
        except OSError:
            if _read(folder) is None:  # else another process was faster
                raise
        found = _read(folder) or tokens  # from the disk, so that the memory of the tokens can be given back
    return found


def _key(chain: Chain, texts: Sequence[str], prompt: str) -> str:
    """A hash of all that the tokens depend on."""
    marks_prompt = chain.pooling is not None and not chain.pooling.include_prompt
    limit = str(chain.source.max_seq_length)
    parts = [CACHE_VERSION, chain.source.tokenizer.to_str(), limit, prompt, marks_prompt, chain.reads_pairs]  # type: ignore[union-attr]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        digest.update(json.dumps(texts[start : start + TEXTS_AT_ONCE]).encode())  # as JSON, texts cannot run together
    return digest.hexdigest()[:32]


def _write(folder: Path, tokens: TokenBatch) -> None:
    sums = {}
    with whole_folder(folder) as part:
        for name in ARRAYS:
            array = getattr(tokens, name)
            if array is not None:
                np.save(part / f"{name}.npy", array, allow_pickle=False)
                sums[name] = _sum(part / f"{name}.npy")
        (part / "sums.json").write_text(json.dumps(sums), encoding="utf-8")


def _read(folder: Path) -> TokenBatch | None:
    """The tokens in ``folder``, mapped into memory; None where they are not there or damaged."""
    try:
        sums = json.loads((folder / "sums.json").read_text(encoding="utf-8"))
        if any(_sum(folder / f"{name}.npy") != expected for name, expected in sums.items()):
            return None
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in sums}
        return TokenBatch(**arrays)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _sum(file: Path) -> int:
    return zlib.crc32(np.memmap(file, np.uint8, "r").data)
