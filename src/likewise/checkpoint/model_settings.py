"""config_sentence_transformers.json: prompts, similarity, and what a model asks of its reader."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import about, shortened, whole_number

logger = logging.getLogger(__name__)

FILE = "config_sentence_transformers.json"
NEWEST = (6, 2)  # the version of sentence-transformers whose checkpoints are known
PACKAGES = {"pytorch": "torch"}  # names in "requirements" that are not the package's


@dataclass(frozen=True)
class ModelSettings:
    """What a model says about itself beside its modules."""

    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity_fn_name: str | None = None
    truncate_dim: int | None = None
    model_type: str = "SentenceTransformer"  # or "CrossEncoder", "SparseEncoder", "MultiVectorEncoder"
    activation_fn: str | None = None  # of a cross-encoder, by its class: "torch.nn.modules.linear.Identity"


def read_model_settings(folder: Path, wanted: str = "SentenceTransformer") -> ModelSettings:
    """The settings of the model in ``folder``; without the file, all at their defaults.

    Those of another kind of model than the one ``wanted`` are left out: its prompts are for another task.

    Raises:
        ValueError: The file is damaged.
        ImportError: A package that the model requires is missing or has another version.
    """
    file = folder / FILE
    if not file.is_file():
        return ModelSettings(model_type=wanted)
    settings = read_object(file)
    _warn_of_newer(settings.get("__version__"), file)
    model_type = settings.get("model_type") or "SentenceTransformer"
    if model_type != wanted:
        use = "gets a new head" if wanted == "CrossEncoder" else "is used with mean pooling"
        logger.warning("%s was saved as a %s; its encoder %s", folder, shortened(model_type), use)
        return ModelSettings(model_type=str(model_type))
    _check_requirements(settings.get("requirements"), file)
    with about(file):
        truncate_dim = settings.get("truncate_dim")
        return ModelSettings(
            prompts=prompts_of(settings.get("prompts"), f"prompts in {FILE}"),
            default_prompt_name=_text(settings, "default_prompt_name"),
            similarity_fn_name=_text(settings, "similarity_fn_name"),
            model_type=wanted,
            activation_fn=_text(settings, "activation_fn"),
            truncate_dim=None if truncate_dim is None else whole_number(truncate_dim, "truncate_dim"),
        )


def prompts_of(value: object, origin: str) -> dict[str, str]:
    """The prompts by name in ``value``, without those that are None; ``origin`` says in words where they come from.

    Raises:
        ValueError: They are no texts by name.
    """
    prompts = {} if value is None else value
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise ValueError(f"{origin} must be texts by name, such as {{'query': 'query: '}}, not {shortened(value)}")
    found = {str(name): text for name, text in prompts.items() if text is not None}
    try:
        "".join(found.values()).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{origin} hold half of a character, which has no UTF-8 form: {shortened(value)}") from error
    return found


def _text(settings: Mapping[str, Any], name: str) -> str | None:
    value = settings.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"{name} must be a text, not {shortened(value)}")
    return value


def _warn_of_newer(versions: object, file: Path) -> None:
    saved = versions.get("sentence_transformers") if isinstance(versions, Mapping) else None
    numbers = str(saved).split(".")[:2]
    if all(number.isdecimal() and len(number) < 10 for number in numbers) and tuple(map(int, numbers)) > NEWEST:
        known = ".".join(map(str, NEWEST))
        logger.warning(
            "%s: saved by sentence-transformers %s, newer than %s, the newest known here", file, saved, known
        )


def _check_requirements(requirements: object, file: Path) -> None:
    """``requirements`` is {package: specifier} or {package: {"specifier": …, "reason": …}}."""
    if not requirements:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not isinstance(requirements, Mapping):
        raise ValueError(f"{file}: requirements must be version specifiers by package, not {shortened(requirements)}")
    for name, wanted in requirements.items():
        asked = wanted if isinstance(wanted, Mapping) else {"specifier": wanted}
        specifier = asked.get("specifier")
        try:
            allowed = SpecifierSet(str(specifier or ""))
        except InvalidSpecifier:
            logger.warning("%s: the requirement %s %s cannot be read and is left out", file, name, shortened(specifier))
            continue
        found = _installed(str(name))
        if found is None and name == "transformers":
            continue  # most models do without it here; where it is needed, that error says so
        if found is None or not allowed.contains(found, prereleases=True):
            needs = f"{name} {specifier}" if specifier else str(name)
            because = f" ({asked['reason']})" if asked.get("reason") else ""
            raise ImportError(f"{file}: the model requires {needs}{because}, but here is {found or 'none'}")


def _installed(name: str) -> str | None:
    if name == "python":
        import platform

        return platform.python_version()
    if name in ("sentence-transformers", "sentence_transformers"):
        return ".".join(map(str, NEWEST)) + ".0"  # what such a model asks for is the format, which is known
    try:
        return version(PACKAGES.get(name, name))
    except PackageNotFoundError:
        return None
