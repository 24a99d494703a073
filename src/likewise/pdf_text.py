"""PDF → the text of its pages, through pypdf."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from likewise.extras import extra
from likewise.files import HALF_SURROGATE, FilePath

DIVIDED = re.compile(r"(?<=[^\W\d_])[-\xad\u2010] ?\n[^\S\n]*(\w\S*)[^\S\n]*")
NOT_PRINTED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\xad]")


def pages(path: FilePath) -> Iterator[str]:
    """The lines of each page, in order; a word that a line end divides is put together on the first of its lines.

    Raises OSError where the file cannot be read, ImportError without pypdf (extra ``search``), and ValueError, with
    the page, where the file is damaged, needs a password, or holds no text at all, as scanned pages do.
    """
    with extra("search", "Reading PDF"):
        from pypdf import PdfReader
    logger = logging.getLogger("pypdf")
    if logger.level == logging.NOTSET:  # it tells of every flaw that it got over, hundreds of them in some files
        logger.setLevel(logging.CRITICAL)
    number, found = 0, False
    with Path(path).open("rb") as file:  # given a name, pypdf would hold the whole file in memory
        try:
            reader = PdfReader(file)
            if not (locked := reader.is_encrypted and not reader.decrypt("")):
                for page in reader.pages:
                    number += 1
                    text = _whole_words(page.extract_text())
                    found = found or bool(text.strip())
                    yield text
        except OSError:
            raise
        except Exception as error:  # damage makes pypdf raise anything, from KeyError to RecursionError
            place = f"page {number}: " if number else ""
            raise ValueError(f"{place}the PDF cannot be read: {error or type(error).__name__}") from error
    if locked:
        raise ValueError("the PDF needs a password; save a copy that has none")
    if number and not found:
        raise ValueError("the PDF holds no text, so its pages may be pictures; ocrmypdf adds the text to them")


def _whole_words(text: str) -> str:
    def joined(divided: re.Match[str]) -> str:
        rest = divided[1]
        return f"{rest}\n" if rest[0].islower() else divided[0]  # Jean-\nPaul has its own hyphen

    text = DIVIDED.sub(joined, text)
    return HALF_SURROGATE.sub("\ufffd", NOT_PRINTED.sub("", text))
