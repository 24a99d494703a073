"""PDF: the text of real files page by page, and every damage told as one kind of error."""

import random
from collections.abc import Sequence
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from likewise.pdf_text import pages


def write_pdf(
    path: Path, texts: Sequence[str], password: str | None = None, algorithm: str = "AES-256", owner: str = "owner"
) -> Path:
    """A PDF of one page for each text, in Helvetica, a line under the other."""
    writer = pypdf.PdfWriter()
    font = DictionaryObject({NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1")})
    font[NameObject("/BaseFont")] = NameObject("/Helvetica")
    font[NameObject("/Encoding")] = NameObject("/WinAnsiEncoding")
    for text in texts:
        page = writer.add_blank_page(width=595, height=842)
        shown = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.split("\n")]
        content = DecodedStreamObject()
        content.set_data(
            ("BT /F1 12 Tf 14 TL 50 790 Td " + " T* ".join(f"({line}) Tj" for line in shown) + " ET").encode("cp1252")
        )
        page[NameObject("/Contents")] = writer._add_object(content)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): writer._add_object(font)})}
        )
    if password is not None:
        writer.encrypt(password, owner, algorithm=algorithm)
    writer.write(path)
    return path


def test_each_page_is_read_and_divided_words_are_whole(tmp_path: Path) -> None:
    texts = [
        "The kettle is boil-\ning (café).\nJean-\nPaul pours 10-\n12 cups.",
        "",
        "A train-\nspotter's cap - \nand well-known\nwords.",
    ]
    assert list(pages(write_pdf(tmp_path / "a.pdf", texts))) == [
        "The kettle is boiling\n(café).\nJean-\nPaul pours 10-\n12 cups.",
        "",
        "A trainspotter's\ncap - \nand well-known\nwords.",
    ]


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_password_is_only_asked_of_who_may_not_read(algorithm: str, tmp_path: Path) -> None:
    open_to_all = write_pdf(tmp_path / "a.pdf", ["For all to read."], password="", algorithm=algorithm)
    assert list(pages(open_to_all)) == ["For all to read."]
    locked = write_pdf(tmp_path / "b.pdf", ["For few to read."], password="tea", algorithm=algorithm)
    with pytest.raises(ValueError, match="the PDF needs a password; save a copy that has none"):
        list(pages(locked))


def test_pages_without_any_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the PDF holds no text, so its pages may be pictures; ocrmypdf adds"):
        list(pages(write_pdf(tmp_path / "a.pdf", ["", ""])))


def test_a_damaged_file_is_told_whatever_the_damage(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", ["The kettle boils.", "The train is late."]).read_bytes()
    broken = tmp_path / "b.pdf"
    random.seed(1)
    refused = 0
    for turn in range(150):
        content = bytearray(whole[: random.randrange(len(whole))] if turn % 2 else whole)
        for _ in range(0 if turn % 3 == 1 else 20):
            content[random.randrange(len(content))] = random.randrange(256)
        broken.write_bytes(content)
        try:
            list(pages(broken))
        except ValueError as error:
            refused += 1
            assert "the PDF" in str(error)  # noqa: PT017
    assert refused > 50


def test_flaws_that_are_got_over_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["The kettle boils."])
    path.write_bytes(path.read_bytes().replace(b"startxref\n", b"startxref\n9"))
    assert list(pages(path)) == ["The kettle boils."]
    assert not caplog.records
