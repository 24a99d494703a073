"""What a long job was asked to do, kept beside its parts, so that only the same job goes on with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likewise import __version__
from likewise.files import whole_file


def job_of(model: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the vectors beside the texts: the model, what computes it, and the ``arguments`` of ``encode``."""
    engine = model.engine
    return {
        "likewise": __version__,
        "model": model.fingerprint,
        "engine": engine.name,
        "instructions": getattr(engine, "instructions", None),  # of the kernels: another set has other last bits
        "dtype": engine.dtype,
        "device": engine.device,
        "prompt": model.prompts.get(arguments.get("prompt_name") or model.default_prompt_name),
        "dimension": model.truncate_dim,
        "arguments": dict(arguments),
    }


def is_begun(record: Path, job: Mapping[str, Any]) -> bool:
    """Whether ``job`` was begun before; if not, ``record`` is written, and it is begun now.

    ``job`` is all that decides its output, as JSON holds it: the model's fingerprint, the arguments, the input.

    Raises:
        ValueError: ``record`` is another job's, or damaged; the message says in what they differ, and what to do.
    """
    wanted = json.loads(json.dumps(job))
    if not record.exists():
        with whole_file(record) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return False
    remedy = f"give the same again to go on, or delete {record.parent} to begin anew"
    try:
        begun = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{record} is damaged ({error}); {remedy}") from error
    if not isinstance(begun, dict):
        raise ValueError(f"{record} is damaged (it holds no object); {remedy}")
    changed = [name for name in {**begun, **wanted} if begun.get(name) != wanted.get(name)]
    if changed:
        told = "; ".join(f"{name} was {begun.get(name)!r} and is {wanted.get(name)!r}" for name in changed)
        raise ValueError(f"{record.parent} holds a part of another job: {told}; {remedy}")
    return True
