"""Sentence embeddings: small, exact, fast, and without padding."""

from importlib import import_module

from likewise.extras import extra

__version__ = "0.1.0"

_HOME = {  # name → the file it is in
    "CrossEncoder": "cross_encoder.cross_encoder",
    "CrossEncoderTrainer": "cross_encoder.trainer",
    "CrossEncoderTrainingArguments": "cross_encoder.trainer",
    "EarlyStoppingCallback": "training.callbacks",
    "EmbeddingCache": "encoding.cache",
    "InputExample": "training.examples",
    "SentenceTransformer": "sentence_transformer",
    "SentenceTransformerTrainer": "training.trainer",
    "SentenceTransformerTrainingArguments": "training.arguments",
}
_ROOMS = ("cross_encoder", "evaluation", "losses", "models", "util")  # sub-modules that are reached as attributes
__all__ = [*_HOME, *_ROOMS, "__version__"]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    with extra("torch", name):
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)  # next time found directly
    return value


def __dir__() -> list[str]:
    return __all__
