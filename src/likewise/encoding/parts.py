"""Vectors of many texts → one file, by way of numbered parts that an interruption leaves whole.

Beside the output lies a folder: the record of the job, the parts, and a journal with the checksum of each whole one.
The same job goes on with the parts that are as the journal says, makes the others, joins all, puts the result in the
place of the output, and removes the folder. The borders of the parts are fixed by the number of texts alone, so the
output has the same bytes however often the job was interrupted.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from likewise.encoding.job_record import is_begun
from likewise.encoding.report import Counts, Tally
from likewise.encoding.streams import windows
from likewise.encoding.text_files import PlacedText
from likewise.files import alone, whole_file
from likewise.quantize import BINARY, SCALAR, Precision, quantization_ranges, quantize_embeddings
from likewise.tokens import LoneSurrogate, TooLong
from likewise.vector_files import join_vectors, read_vectors, write_vectors

TEXTS_PER_PART = 16_384  # as many as a window of a stream: 25 MB of 384 dimensions
RECORD, JOURNAL, LOCK = "job.json", "journal.jsonl", "lock"
UNFINISHED = ".*.part*"  # what whole_file was writing when the process was killed
# The record first: without it nothing else is needed.
OURS = (RECORD, JOURNAL, "[0-9]*.*", "smaller-*", "joined.*", UNFINISHED)
CHUNK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class Part:
    """One whole part, as the journal has it."""

    name: str
    texts: int
    dimension: int
    crc32: int
    told: Counts  # what the model did not read of them


def parts_folder(output: Path) -> Path:
    """Where the parts of ``output`` lie until they are joined: beside the file itself, where it is a link."""
    target = Path(os.path.realpath(output))
    return target.with_name(f"{target.name}.parts")


def encode_in_parts(
    output: Path,
    job: Mapping[str, Any],
    texts: Iterable[PlacedText],
    encode: Callable[[list[str]], NDArray[np.generic]],
    passed: Callable[[Sequence[PlacedText]], None] = lambda _: None,
    precision: Precision = "float32",
    tally: Tally | None = None,
) -> tuple[int, int]:
    """Write the vectors of ``texts`` to ``output``, and go on where the same ``job`` was interrupted: (texts, dim).

    ``job`` is all that decides the result. One part's texts and vectors are in memory at a time. ``passed`` is told of
    the texts that need not be encoded again; what was cut of them is added to ``tally``, to which ``encode`` adds what
    it cuts. Until the end ``output`` stays what it was. The parts hold what ``encode``
    gives; in another ``precision`` than float32, the output has it, with the ranges of all vectors.

    Raises:
        ValueError: The parts that lie there are another job's; or the texts are wrong.
        OSError: There is no more room, or another fault of the disk: what is whole stays and is used next time. Or
            another process has not ended that does the same.
    """
    if output.exists() and not output.is_file():
        raise FileExistsError(f"{output} is not a file and cannot be overwritten; give another name")
    folder = parts_folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / LOCK, f"another process is at work in {folder}; wait until it has ended, or stop it"):
        _begin(folder, {"texts_per_part": TEXTS_PER_PART, "precision": precision, **job})
        parts = _make_parts(folder, output.suffix.lower(), texts, encode, passed, tally or Tally())
        joined = folder / f"joined{output.suffix.lower()}"
        try:
            paths = [folder / part.name for part in parts]
            join_vectors(paths if precision == "float32" else _quantized(paths, precision), joined)
            joined.replace(os.path.realpath(output))
        except OSError as error:
            raise _trouble(error, folder, "all vectors are kept, and are still to be joined") from error
        _remove(folder, (*OURS, LOCK))
    with suppress(OSError):  # it holds what somebody else put into it
        folder.rmdir()
    dimension = parts[0].dimension
    return sum(part.texts for part in parts), -(-dimension // 8) if precision in BINARY else dimension


def _make_parts(
    folder: Path,
    suffix: str,
    texts: Iterable[PlacedText],
    encode: Callable[[list[str]], NDArray[np.generic]],
    passed: Callable[[Sequence[PlacedText]], None],
    tally: Tally,
) -> list[Part]:
    """Make the parts that are not there yet; all of them, in order."""
    before = _whole_parts(folder)
    _write_journal(folder, before.values())
    parts: list[Part] = []
    for number, placed in enumerate(windows(texts, TEXTS_PER_PART)):
        name = f"{number:06d}{suffix}"
        part = before.get(name)
        if part is None or part.texts != len(placed):  # one before an error in the texts was not full
            earlier = tally.counts
            try:
                vectors = encode([text.text for text in placed])
            except (LoneSurrogate, TooLong) as error:
                text = placed[error.position]
                raise ValueError(f"{text.source}, line {text.line}: the text {error.reason}") from error
            try:
                part = _write_part(folder / name, vectors, placed, tally.counts - earlier)
                with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
                    journal.write(json.dumps(asdict(part)) + "\n")
            except OSError as error:
                done = sum(each.texts for each in parts)
                raise _trouble(error, folder, f"the vectors of the first {done:,} texts are kept") from error
        else:
            passed(placed)
            tally.counts += part.told
        parts.append(part)
    return parts


def _quantized(parts: Sequence[Path], precision: Precision) -> list[Path]:
    """Files with the vectors of ``parts`` in ``precision``: what quantize_embeddings makes of all of them at once."""
    ranges = None
    if precision in SCALAR:
        if len(parts) == 1:
            ranges = quantization_ranges(read_vectors(parts[0])[0], precision)
        else:
            extremes = [(vectors.min(axis=0), vectors.max(axis=0)) for vectors, _ in map(read_vectors, parts)]
            lowest, highest = zip(*extremes, strict=True)
            ranges = np.vstack((np.min(lowest, axis=0), np.max(highest, axis=0)))
    written = []
    for part in parts:
        vectors, columns = read_vectors(part)
        written.append(part.with_name(f"smaller-{part.name}"))
        write_vectors(written[-1], quantize_embeddings(vectors, precision, ranges), columns)
    return written


def _begin(folder: Path, job: Mapping[str, Any]) -> None:
    """Write the record, or find that it is this job's; take away what an interruption left half done."""
    # Without a record the parts are those of a job that was killed while it removed them; a record binds nobody
    # while there is no part.
    goes_on = (folder / RECORD).exists() and (folder / JOURNAL).exists() and (folder / JOURNAL).stat().st_size
    _remove(folder, (UNFINISHED,) if goes_on else OURS)
    is_begun(folder / RECORD, job)


def _whole_parts(folder: Path) -> dict[str, Part]:
    """The parts, by name, that are on the disk as the journal says."""
    found = {}
    with suppress(FileNotFoundError):
        for line in (folder / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                part = Part(**values | {"told": Counts(**values["told"])})
            except (ValueError, TypeError, KeyError):
                continue  # a line that was being written
            path = folder / part.name
            if path.is_file() and _checksum(path) == part.crc32:
                found[part.name] = part
    return found


def _write_journal(folder: Path, parts: Iterable[Part]) -> None:
    """Begin a journal without the half line that an interruption may have left at its end."""
    with whole_file(folder / JOURNAL) as temporary:
        temporary.write_text("".join(json.dumps(asdict(part)) + "\n" for part in parts), encoding="utf-8")


def _write_part(path: Path, vectors: NDArray[np.generic], placed: Sequence[PlacedText], told: Counts) -> Part:
    columns: dict[str, Sequence[object]] = {
        "source": [text.source for text in placed],
        "line": [text.line for text in placed],
    }
    write_vectors(path, vectors, columns)
    return Part(path.name, len(vectors), vectors.shape[1], _checksum(path), told)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found = crc32(chunk, found)
    return found


def _remove(folder: Path, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def _trouble(error: OSError, folder: Path, kept: str) -> OSError:
    reason = error.strerror or error
    return OSError(f"cannot write to {folder}: {reason}; {kept}; make room, and the same command goes on from there")
