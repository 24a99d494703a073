"""What dedupe, cluster and map read: the texts of files with their places, and their vectors."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from likewise.cli.output import print_cut

if TYPE_CHECKING:
    from likewise.encoding.text_files import PlacedText

MANY = 1000  # texts; from here on a progress bar shows how long it takes


def read_corpus(files: Sequence[str], column: str | None) -> "list[PlacedText]":
    """All texts of ``files``, one file after the other.

    Raises:
        ValueError: There is none.
    """
    from likewise.encoding.text_files import PlacedText
    from likewise.files import read_texts_and_lines

    corpus = [PlacedText(text, file, line) for file in files for text, line in read_texts_and_lines(file, column)]
    if not corpus:
        raise ValueError(f"there is no text in {', '.join(files)}")
    return corpus


def read_written(files: Sequence[str], column: str | None) -> "list[PlacedText]":
    """As read_corpus, without the blank texts."""
    corpus = [text for text in read_corpus(files, column) if text.text.strip()]
    if not corpus:
        raise ValueError(f"there are only blank texts in {', '.join(files)}")
    return corpus


def encoder(model_name: str) -> Callable[[list[str]], Any]:
    """The encode function of a model, which shows a progress bar for many texts, and says what it had to cut off."""
    from likewise import SentenceTransformer  # here: --help must not wait for torch
    from likewise.encoding.report import Tally

    model = SentenceTransformer(model_name)

    def encode(texts: list[str]) -> Any:
        tally = Tally()
        vectors = tally.of(model.encode)(texts, show_progress_bar=len(texts) >= MANY)
        print_cut(tally)
        return vectors

    return encode


def place(text: "PlacedText") -> str:
    """The file and the line of a text."""
    return f"{text.source}:{text.line}"
