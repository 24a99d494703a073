"""What a long job was asked to do, kept beside its parts, so that only the same job goes on with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likewise import __version__
from likewise.files import whole_file


def job_of(model: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the vectors beside the texts and the machine: the model and the ``arguments`` of its ``encode``."""
    return {
        "likewise": __version__,
        "model": model.fingerprint,
        "prompt": model.prompts.get(arguments.get("prompt_name") or model.default_prompt_name),
        "truncate_dim": model.truncate_dim,
        "arguments": dict(arguments),
    }


def computed_by(model: Any) -> dict[str, Any]:
    """What decides the last bits of the vectors: the engine of ``model``, its precision, and where it runs."""
    engine = model.engine
    return {
        "engine": engine.name,
        "instructions": getattr(engine, "instructions", None),  # of the kernels
        "dtype": engine.dtype,
        "device": engine.device,
    }


def is_begun(record: Path, job: Mapping[str, Any]) -> bool:
    """Whether ``job`` was begun before; if not, ``record`` is written, and it is begun now.

    ``job`` is all that decides its output, as JSON holds it: the model's fingerprint, the arguments, the input.

    Raises:
        ValueError: ``record`` is another job's, or damaged; the message says in what they differ, and what to do.
    """
    if record.exists():
        check_same_job(record.read_bytes(), job, str(record), str(record.parent))
        return True
    with whole_file(record) as temporary:
        temporary.write_bytes(content_of(job))
    return False


def content_of(job: Mapping[str, Any]) -> bytes:
    """What a record of ``job`` holds."""
    return (json.dumps(job, indent=2, ensure_ascii=False) + "\n").encode()


def check_same_job(content: bytes, job: Mapping[str, Any], record: str, folder: str) -> None:
    """Check that the ``content`` of ``record``, which lies in ``folder``, is that of ``job``.

    Raises:
        ValueError: It is another job's, or damaged; the message says in what they differ, and what to do.
    """
    wanted = json.loads(content_of(job))
    remedy = f"give the same again to go on, or delete {folder} to begin anew"
    try:
        begun = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{record} is damaged ({error}); {remedy}") from error
    if not isinstance(begun, dict):
        raise ValueError(f"{record} is damaged (it holds no object); {remedy}")
    changed = [name for name in {**begun, **wanted} if begun.get(name) != wanted.get(name)]
    if changed:
        told = "; ".join(f"{name} was {begun.get(name)!r} and is {wanted.get(name)!r}" for name in changed)
        raise ValueError(f"{folder} holds a part of another job: {told}; {remedy}")
