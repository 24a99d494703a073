"""What can be wrong with the files of a saved model: each damage can be applied, and its repr tells what it did."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

AS_FOLDER, AS_LOOP = "a folder", "a symbolic link to itself"  # what a file may have become
Damaged = dict[str, bytes | str]  # file name → its bytes, or AS_FOLDER, AS_LOOP
Path_ = tuple[str | int, ...]  # the way to a value in a JSON document


class Damage(Protocol):
    """One thing that is wrong; where an earlier damage took away what it works on, it does nothing."""

    @property
    def file(self) -> str: ...

    def apply(self, files: Damaged) -> None: ...


# JSON, and the header of safetensors, which is JSON too

NUMBERS = [-1, 0, 1, 2, 3, 7, 16, 31, 33, 64, 1001, 10**6, 10**9, 10**12, 2**31, 2**63, 2**64, 10**30, 10**400]
NUMBERS_IN_PARTS = [0.0, -0.5, 0.5, 1.5, 1e300, float("nan"), float("inf"), -float("inf")]
STRINGS = [
    *("", ".", "..", "../..", "/etc/passwd", "C:\\x", "\\\\host\\share", "a\0b", "\ud800", "\u202e", "²", "x" * 5000),
    *("mean", "cls", "torch.nn.modules.activation.Tanh", "torch.nn.Bilinear", "os.system", "gelu_new", "None"),
    *("bert", "t5", "model2vec", "token_embeddings", "sentence_embedding", "query", "document", "('a', 'text')"),
    *("(" * 3000, "-" * 5000 + "1", "model.safetensors", "config.json", "1_Pooling", "SparseEncoder", "euclidean"),
    *("F8_E4M3", "BF16", "F16", "F64", "I32", "U8", "BOOL", "relative_key"),
    *(f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Dense", "Router", "CLIPModel")),
    *("sentence_transformers.models.", "sentence_transformers", "my_code.Model", "builtins.exec", "torch.nn.Linear"),
]
DEEP: Any = 1
DEEP_OBJECT: Any = 1
for _ in range(400):
    DEEP, DEEP_OBJECT = [DEEP], {"a": DEEP_OBJECT}
OTHERS = [
    None,
    True,
    False,
    [],
    {},
    [None],
    [[]],
    [1, 2],
    ["mean", "max"],
    {"a": 1},
    {"": {}},
    ["x"] * 300,
    DEEP,
    DEEP_OBJECT,
]
VALUES = st.sampled_from([*NUMBERS, *NUMBERS_IN_PARTS, *STRINGS, *OTHERS])


@dataclass(frozen=True)
class SetValue:
    """The value at ``path`` becomes ``value``."""

    file: str
    path: Path_
    value: Any

    def apply(self, files: Damaged) -> None:
        document = _document(files, self.file)
        if not self.path:
            document = self.value
        elif (place := _place(document, self.path)) is not None:
            place[self.path[-1]] = self.value
        _write(files, self.file, document)

    def __repr__(self) -> str:
        return f"SetValue({self.file!r}, {self.path}, {self.value!r:.60})"


@dataclass(frozen=True)
class RemoveKey:
    """What is at ``path`` is gone."""

    file: str
    path: Path_

    def apply(self, files: Damaged) -> None:
        document = _document(files, self.file)
        if (place := _place(document, self.path)) is not None:
            del place[self.path[-1]]
        _write(files, self.file, document)


@dataclass(frozen=True)
class RenameKey:
    """What is at ``path`` has another name; with ``twice`` it also keeps its own, with the value null before it."""

    file: str
    path: Path_
    name: str
    twice: bool = False

    def apply(self, files: Damaged) -> None:
        document = _document(files, self.file)
        place = _place(document, self.path)
        if not isinstance(place, dict):
            return
        name = self.path[-1]
        renamed = {(self.name if key == name else key): value for key, value in place.items()}
        if self.twice:
            renamed |= {name: place[name]}
        place.clear()
        place |= renamed
        _write(files, self.file, document)


@dataclass(frozen=True)
class DoubleKey:
    """The key at ``path`` is there twice, the second time with ``value``."""

    file: str
    path: Path_
    value: Any

    def apply(self, files: Damaged) -> None:
        document = _document(files, self.file)
        place = _place(document, self.path)
        if isinstance(place, dict):
            place["\0twice"] = self.value
            text = json.dumps(document).replace(json.dumps("\0twice"), json.dumps(self.path[-1]))
            _write_text(files, self.file, text)

    def __repr__(self) -> str:
        return f"DoubleKey({self.file!r}, {self.path}, {self.value!r:.60})"


@dataclass(frozen=True)
class Rows:
    """A list at the top, such as modules.json, holds the rows with these numbers."""

    file: str
    order: tuple[int, ...]

    def apply(self, files: Damaged) -> None:
        document = _document(files, self.file)
        if isinstance(document, list) and document:
            _write(files, self.file, [document[index % len(document)] for index in self.order])

    def __repr__(self) -> str:
        return f"Rows({self.file!r}, {len(self.order)}: {self.order[:10]})"


@dataclass(frozen=True)
class Content:
    """The whole file holds something else; ``what`` says it in words."""

    file: str
    what: str
    content: bytes | str = field(repr=False)

    def apply(self, files: Damaged) -> None:
        if self.file in files:
            files[self.file] = self.content


NOT_JSON: dict[str, bytes | str] = {
    "nothing": b"",
    "brackets without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 200_000,
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "zeros": b"\0" * 1000,
    "a page of HTML": b"<!doctype html><html><body>Not found</body></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a folder": AS_FOLDER,
    "a loop": AS_LOOP,
}


# Bytes


@dataclass(frozen=True)
class Truncate:
    """The file ends after this part of it."""

    file: str
    part: float

    def apply(self, files: Damaged) -> None:
        if isinstance(content := files.get(self.file), bytes):
            files[self.file] = content[: int(len(content) * self.part)]


@dataclass(frozen=True)
class ChangeBytes:
    """``count`` bytes from a place on are replaced by ``new``."""

    file: str
    place: float  # as a part of the file, or of its first KiB
    count: int
    new: bytes
    early: bool

    def apply(self, files: Damaged) -> None:
        if isinstance(content := files.get(self.file), bytes):
            start = int(min(len(content), 1024 if self.early else len(content)) * self.place)
            files[self.file] = content[:start] + self.new + content[start + self.count :]


@dataclass(frozen=True)
class Remove:
    """The file is missing."""

    file: str

    def apply(self, files: Damaged) -> None:
        files.pop(self.file, None)


# Weights


@dataclass(frozen=True)
class HeaderLength:
    """A safetensors file says that its header has another length."""

    file: str
    length: int

    def apply(self, files: Damaged) -> None:
        if isinstance(content := files.get(self.file), bytes):
            files[self.file] = struct.pack("<Q", self.length) + content[8:]


ARRAY_CHANGES: dict[str, Callable[[NDArray[Any]], Any]] = {
    "flat": lambda array: array.reshape(-1),
    "transposed": lambda array: np.ascontiguousarray(array.T),
    "longer": lambda array: np.concatenate([np.atleast_1d(array)] * 2),
    "shorter": lambda array: np.atleast_1d(array)[:-1].copy(),
    "empty": lambda array: array[:0] if array.ndim else np.empty((0, 10**9), np.float32),
    "very empty": lambda array: np.empty((0, 2**31, 2**20), np.float32),
    "a number": lambda array: np.ones((), np.float32),
    "one more axis": lambda array: array[None],
    "not a number": lambda array: np.full_like(array, np.nan if array.dtype.kind == "f" else _largest(array.dtype)),
    "huge": lambda array: np.full_like(array, _largest(array.dtype)),
    "negative": lambda array: np.full(array.shape, -1).astype(array.dtype),
    "whole numbers": lambda array: array.astype(np.int64),
    "bytes": lambda array: np.zeros(array.shape, np.uint8),
    "truths": lambda array: array > 0,
    "double": lambda array: array.astype(np.float64),
    "half": lambda array: array.astype(np.float16),
}


@dataclass(frozen=True)
class ChangeArray:
    """One array has become something else, in a file that is whole; with ``change`` None it is missing."""

    file: str
    name: str
    change: str | None

    def apply(self, files: Damaged) -> None:
        try:
            arrays = load(files.get(self.file))
        except Exception:  # damaged already
            return
        array = arrays.pop(self.name, None)
        if self.change is not None and array is not None:
            with np.errstate(all="ignore"):
                arrays[self.name] = np.asarray(ARRAY_CHANGES[self.change](array))
        files[self.file] = save(arrays, {"format": "pt"})


class Payload:
    """Pickled as a call of ``function``, which unpickling runs."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def pickles(marker: Path, plain: bytes) -> dict[str, bytes]:
    """Files called pytorch_model.bin that hold no weights, in words; those with code would make the file ``marker``."""
    import os
    import subprocess

    code = f"open({str(marker)!r}, 'w').close()"
    calls = {
        "os.system": Payload(os.system, f"touch {marker}"),
        "exec": Payload(exec, code),
        "eval": Payload(eval, code),
        "subprocess": Payload(subprocess.call, ["touch", str(marker)]),
        "Path.touch": Payload(Path.touch, marker),
        "open": Payload(open, str(marker), "w"),
        "torch.load": Payload(torch.load, str(marker)),
    }
    found = {"a plain pickle": pickle.dumps({"a": 1}), "a pickled list": _zipped([torch.zeros(2)])}
    for name, call in calls.items():
        found[f"a pickle with {name}"] = pickle.dumps(call)
        found[f"a pickle with {name}, an old one"] = pickle.dumps({"a": call}, protocol=0)
        found[f"weights with {name}"] = _zipped({"embeddings.word_embeddings.weight": call})
        found[f"an old file of weights with {name}"] = _zipped({"a": call}, zipped=False)
    weights = torch.load(io.BytesIO(plain), weights_only=True)
    first = next(iter(weights))
    found["another number"] = _zipped(5)
    found["numbers for names"] = _zipped(dict(enumerate(weights.values())))
    found["weights in a list"] = _zipped({name: [tensor] for name, tensor in weights.items()})
    found["an expanded weight"] = _zipped(weights | {first: torch.zeros(1, 1).expand(10**7, 10**7)})
    found["a sparse weight"] = _zipped(weights | {first: weights[first].to_sparse()})
    found["a weight without data"] = _zipped(weights | {first: weights[first].to("meta")})
    found["complex numbers"] = _zipped(weights | {first: weights[first].to(torch.complex64)})
    found["a weight within itself"] = _zipped(weights | {first: weights[first].t()})
    found["parameters"] = _zipped({name: torch.nn.Parameter(tensor) for name, tensor in weights.items()})
    found["old weights"] = _zipped(weights, zipped=False)
    found["a zip of something else"] = _rezipped(plain, {"data.pkl": b"nothing"})
    found["a zip that is a bomb"] = _rezipped(plain, {"data.pkl": b"\0" * 10**7}, zipfile.ZIP_DEFLATED)
    return found


def _zipped(value: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _rezipped(content: bytes, changes: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(Path(name).name, old.read(name)))
    return file.getvalue()


def changes_settings_only(damage: Damage) -> bool:
    """Whether the weights and the tokenizer stay as they were."""
    is_of_json = isinstance(damage, SetValue | RemoveKey | RenameKey | DoubleKey)
    return is_of_json and damage.file.endswith(".json") and "token" not in damage.file


# Which damages there are


def damages(
    files: dict[str, bytes], others: dict[str, list[bytes]], payloads: dict[str, bytes]
) -> st.SearchStrategy[Any]:
    """Any damage to ``files``.

    ``others`` are files of other models by their names, ``payloads`` malicious ones called pytorch_model.bin.
    """
    names = sorted(files)
    unreadable = [Content(name, what, content) for name in names for what, content in NOT_JSON.items()]
    found: list[st.SearchStrategy[Any]] = [
        st.sampled_from(names).flatmap(lambda name: _of_bytes(name)),
        st.builds(Remove, st.sampled_from(names)),
        st.sampled_from(unreadable),
    ]
    from_others = [
        Content(name, f"that of another model, {number}", content)
        for name in names
        for number, content in enumerate(others.get(Path(name).name, []))
        if content != files[name]
    ]
    if from_others:
        found.append(st.sampled_from(from_others))
    documents = [name for name in names if name.endswith((".json", ".safetensors"))]
    found += [st.sampled_from(documents).flatmap(lambda name: _of_json(name, files))] * 5
    arrays = [(name, array) for name in names if name.endswith(".safetensors") for array in load(files[name])]
    if arrays:
        lengths = st.sampled_from([0, 1, 7, 8, 100, 2**20, 2**31, 2**40, 2**63, 2**64 - 1])
        tensors = sorted({name for name, _ in arrays})
        found.append(st.builds(HeaderLength, st.sampled_from(tensors), lengths))
        changes = st.sampled_from([None, *ARRAY_CHANGES])
        one = st.sampled_from(arrays)
        found += [one.flatmap(lambda at: st.builds(ChangeArray, st.just(at[0]), st.just(at[1]), changes))] * 2
    if "pytorch_model.bin" in files:
        malicious = [Content("pytorch_model.bin", what, content) for what, content in payloads.items()]
        found += [st.sampled_from(malicious)] * 4
    if "modules.json" in files:
        orders = st.lists(st.integers(0, 9), max_size=6) | st.permutations(range(6)) | st.just([1] * 200)
        found.append(orders.map(lambda order: Rows("modules.json", tuple(order))))
    return st.one_of(found)


def _of_bytes(name: str) -> st.SearchStrategy[Any]:
    part = st.floats(0, 1, exclude_max=True)
    new = st.binary(max_size=4) | st.sampled_from([b"\0", b'"', b"{", b"9" * 9, b"[" * 5000])
    changed = st.builds(ChangeBytes, st.just(name), part, st.integers(0, 4), new, st.booleans())
    return st.builds(Truncate, st.just(name), part) | changed


def _of_json(name: str, files: dict[str, bytes]) -> st.SearchStrategy[Any]:
    paths = list(_paths(_document(dict(files), name)))
    inner = st.sampled_from([path for path in paths if path] or [()])
    if paths == [()]:
        return st.builds(SetValue, st.just(name), st.just(()), VALUES)
    set_value = st.builds(SetValue, st.just(name), st.sampled_from(paths), VALUES)
    names = st.sampled_from([str(path[-1]) for path in paths if path] + STRINGS)
    return st.one_of(
        *([set_value] * 4),
        st.builds(RemoveKey, st.just(name), inner),
        st.builds(RenameKey, st.just(name), inner, names, st.booleans()),
        st.builds(DoubleKey, st.just(name), inner, VALUES),
    )


def _paths(document: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The ways to all values; of a long list or object, such as a vocabulary, to the first three inside."""
    yield path
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    else:
        keys = list(range(len(document))) if isinstance(document, list) else []
    for key in keys[: 3 if len(keys) > 60 else 60]:
        yield from _paths(document[key], (*path, key))


def _largest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return np.finfo(dtype).max
    return True if dtype.kind == "b" else np.iinfo(dtype).max


def _document(files: Damaged, name: str) -> Any:
    content = files.get(name)
    if not isinstance(content, bytes):
        return None
    if name.endswith(".safetensors"):
        content = content[8 : 8 + int.from_bytes(content[:8], "little")]
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # damaged already
        return None


def _place(document: Any, path: Path_) -> Any:
    """What holds the value at ``path``; None where there is no such value."""
    if not path:
        return None
    for key in path[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return None
    is_there = isinstance(document, dict) and path[-1] in document
    if isinstance(document, list) and isinstance(path[-1], int):
        is_there = path[-1] < len(document)
    return document if is_there else None


def _write(files: Damaged, name: str, document: Any) -> None:
    if isinstance(files.get(name), bytes):
        _write_text(files, name, json.dumps(document))


def _write_text(files: Damaged, name: str, text: str) -> None:
    content = files[name]
    new = text.encode()
    if name.endswith(".safetensors"):
        assert isinstance(content, bytes)
        new = struct.pack("<Q", len(new)) + new + content[8 + int.from_bytes(content[:8], "little") :]
    files[name] = new
