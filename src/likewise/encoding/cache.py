"""Vectors that were computed before, kept in one SQLite file from run to run.

An entry is a row (key, tokens, vector, checksum). The key is a BLAKE2b hash of 160 bits of the text, keyed by what else
decides its vector (``scope``): model, precision, route, prompt. So the file grows by 4 bytes a dimension and about 140
a text, however long the texts; it does not hold them. That two of 10 billion texts share a key has a probability of
10⁻²⁹, and to find two that do on purpose takes 2⁸⁰ attempts. The vector is float32 as the model gives it, before it is
cut, normalised or quantised, so that these arguments share an entry; ``tokens`` is how many the whole text has, for the
report of what was cut; the checksum is that of the row, for a damaged vector would be taken for a true one.

Several processes may use a file at once (SQLite's write-ahead log, which needs a local disk), and so may threads. What
was computed is written every TEXTS_AT_ONCE texts, or sooner where they are long: a killed job has lost no more.
"""

import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from likewise.files import FilePath
from likewise.progress import with_progress
from likewise.tokens import LoneSurrogate

APPLICATION_ID = 0x6C696B65  # "like": tells our files from other SQLite files
VERSION = 1  # of the table
TEXTS_AT_ONCE = 4096  # computed and written together, of at most so many characters, but for a longer text
CHARACTERS_AT_ONCE = 2**20
KEYS_AT_ONCE = 512  # in one query: SQLite's limit was 999 once
KEY_BYTES = 20
PAGE_BYTES = (
    16_384  # vectors of 384, 768 and 1,024 dimensions leave 6, 6 and 25 % of it empty; of 4,096 bytes up to half
)
SECONDS_TO_WAIT = 60  # for another process that writes

Compute = Callable[[Sequence[str]], tuple[NDArray[np.float32], NDArray[np.int32]]]  # texts → vectors, tokens of each

logger = logging.getLogger(__name__)


class EmbeddingCache:
    """Keeps vectors in the SQLite file ``path``: ``model.encode(texts, cache=EmbeddingCache("vectors.db"))``.

    The file is made where it is missing. Several models, prompts and precisions share one. ``len(cache)`` counts the
    vectors; ``with EmbeddingCache(…) as cache`` closes it in the end.

    Raises:
        OSError: The file cannot be opened, made or written.
        ValueError: It is something else than a cache, or damaged; it is left as it is.
    """

    def __init__(self, path: FilePath):
        self.path = Path(path)
        self._lock = RLock()  # one connection, whichever thread uses it
        self._process = os.getpid()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection: sqlite3.Connection | None = sqlite3.connect(
                self.path, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise OSError(f"the cache {self.path} cannot be opened: {error}") from error
        try:
            with self._opened() as connection:
                self._prepare(connection)
        except BaseException:
            self.close()
            raise

    def vectors(
        self, scope: str, texts: Sequence[str], dimension: int, compute: Compute, shows_progress: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """One vector for each text, (texts, dimension), and the number of its tokens, (texts,).

        Those that are there are read, and the rest is as ``compute`` makes it.

        ``scope`` names all but the text that decides a vector. A text that comes twice is computed once. Where the file
        cannot be written, on a full disk for example, a warning says so, and all vectors are returned nevertheless.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is damaged, or a text cannot be written as UTF-8.
        """
        places: dict[bytes, int] = {}  # key → row among the distinct
        distinct: list[str] = []
        rows = np.empty(len(texts), dtype=np.intp)
        for position, (text, key) in enumerate(zip(texts, _keys(scope, texts), strict=True)):
            rows[position] = places.setdefault(key, len(places))
            if len(places) > len(distinct):
                distinct.append(text)
        keys = list(places)
        vectors = np.empty((len(keys), dimension), dtype=np.float32)
        tokens = np.empty(len(keys), dtype=np.int32)
        missing = np.flatnonzero(~self._read(keys, vectors, tokens))
        sizes = np.array([len(distinct[row]) for row in missing], dtype=np.int64)
        parts = _parts(sizes)
        is_writable = True
        for part in with_progress(parts, sizes) if shows_progress else parts:
            chosen = missing[part]
            vectors[chosen], tokens[chosen] = compute([distinct[row] for row in chosen])
            is_writable = is_writable and self._write([keys[row] for row in chosen], vectors[chosen], tokens[chosen])
        return (vectors, tokens) if len(keys) == len(texts) else (vectors[rows], tokens[rows])

    def __len__(self) -> int:
        with self._opened() as connection:
            return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def __bool__(self) -> bool:
        return True  # an empty cache is a cache

    def clear(self) -> None:
        """Forget all vectors, and give their space back."""
        with self._opened() as connection:
            connection.execute("DELETE FROM vectors")
            connection.execute("VACUUM")

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EmbeddingCache({str(self.path)!r})"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread; what SQLite complains about is told in words."""
        with self._lock:
            if self._connection is None:
                raise ValueError(f"the cache {self.path} is closed; open it anew")
            if self._process != os.getpid():
                raise RuntimeError(f"the cache {self.path} was opened before this process was forked; open it here")
            try:
                yield self._connection
            except sqlite3.OperationalError as error:
                raise OSError(f"the cache {self.path} cannot be used: {error}") from error
            except sqlite3.DatabaseError as error:
                raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"{self.path} is damaged or no cache of vectors ({reason}); delete it, or give another name")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check what the file is before anything in it changes; make the table where there is none."""
        if self._is_empty(connection):
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        else:
            self._check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # a power failure may lose the last writes, and breaks nothing
        with _writing(connection):  # fails here where the file cannot be written
            if self._is_empty(connection):  # still, now that nobody else is making it
                connection.execute(
                    "CREATE TABLE vectors (key BLOB NOT NULL UNIQUE, tokens INTEGER NOT NULL, vector BLOB NOT NULL, "
                    "checksum INTEGER NOT NULL)"
                )
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
        self._check(connection)

    def _is_empty(self, connection: sqlite3.Connection) -> bool:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and connection.execute("PRAGMA application_id").fetchone()[0] == 0

    def _check(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise self._damaged("it is a SQLite file of another program")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise self._damaged(f"its version is {version}, but this version of likewise reads {VERSION}")

    def _read(
        self, keys: Sequence[bytes], vectors: NDArray[np.float32], tokens: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Fill in what is there of ``vectors`` (keys, dim) and ``tokens`` (keys,); which rows these are, (keys,)."""
        is_known = np.zeros(len(keys), dtype=np.bool_)
        wanted = vectors.itemsize * vectors.shape[1]
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[start : start + KEYS_AT_ONCE]
            query = f"SELECT key, tokens, vector, checksum FROM vectors WHERE key IN ({', '.join('?' * len(part))})"
            with self._opened() as connection:
                found = connection.execute(query, part).fetchall()
            if not found:
                continue
            for key, count, vector, checksum in found:
                if len(vector) != wanted or _checksum(key, count, vector) != checksum:
                    raise self._damaged("a vector is not what was written")
            place_of = {key: place for place, key in enumerate(part, start)}
            places = [place_of[key] for key, _, _, _ in found]
            joined = b"".join(vector for _, _, vector, _ in found)
            vectors[places] = np.frombuffer(joined, dtype="<f4").reshape(len(found), -1)
            tokens[places] = [count for _, count, _, _ in found]
            is_known[places] = True
        return is_known

    def _write(self, keys: Sequence[bytes], vectors: NDArray[np.float32], tokens: NDArray[np.int32]) -> bool:
        """Add entries, all or none; whether it could be done."""
        blobs = [row.tobytes() for row in vectors.astype("<f4", copy=False)]
        rows = [
            (key, count, blob, _checksum(key, count, blob))
            for key, count, blob in zip(keys, tokens.tolist(), blobs, strict=True)
        ]
        try:
            with self._opened() as connection, _writing(connection):
                connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)
        except OSError as error:
            logger.warning("%s; the vectors are returned, but not kept", error)
            return False
        return True


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: what is written within is there as a whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself may have ended it
            connection.execute("ROLLBACK")
        raise


def check_cache(cache: object, output_value: str) -> None:
    """Check the argument ``cache`` of encode, beside ``output_value``.

    Raises:
        TypeError: It is no EmbeddingCache.
        ValueError: Token vectors are asked for, which it does not hold.
    """
    if cache is not None and not isinstance(cache, EmbeddingCache):
        raise TypeError(f"cache must be an EmbeddingCache, such as EmbeddingCache('vectors.db'), not {cache!r}")
    if cache is not None and output_value != "sentence_embedding":
        raise ValueError("a cache holds no token vectors; leave cache= or output_value= out")


def _parts(sizes: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Which texts are computed and written together, by the characters of each, (texts,)."""
    part: list[int] = []
    characters = 0
    for place, size in enumerate(sizes.tolist()):
        if part and (len(part) == TEXTS_AT_ONCE or characters + size > CHARACTERS_AT_ONCE):
            yield np.array(part)
            part, characters = [], 0
        part.append(place)
        characters += size
    if part:
        yield np.array(part)


def _keys(scope: str, texts: Sequence[str]) -> Iterator[bytes]:
    secret = hashlib.blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=32).digest()
    for position, text in enumerate(texts):
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise LoneSurrogate(position, text) from None
        yield hashlib.blake2b(encoded, digest_size=KEY_BYTES, key=secret).digest()


def _checksum(key: bytes, tokens: int, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(b"%d" % tokens, zlib.crc32(key)))
