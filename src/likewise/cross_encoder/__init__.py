"""The cross-encoder: both sentences at once."""

from importlib import import_module

_HOME = {  # name → the file it is in
    "CrossEncoder": "cross_encoder",
    "CrossEncoderTrainer": "trainer",
    "CrossEncoderTrainingArguments": "trainer",
}
_ROOMS = ("evaluation", "losses")
__all__ = [*_HOME, *_ROOMS]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
