"""The error for a missing extra: what needs it, and the command that helps."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Raise ImportError, with the command that helps, when an import inside the block finds no package.

    >>> with extra("data", "Reading Parquet"):
    ...     import pyarrow
    """
    try:
        yield
    except ModuleNotFoundError as error:
        command = f"pip install 'likewise[{name}]'"
        raise ImportError(f"{purpose} needs the package {error.name!r}; install it with: {command}") from error
