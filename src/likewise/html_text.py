"""HTML → the prose of its sections, block by block, each with its line.

A page is cut at its tags as browsers do it, by one pattern whose every match ends somewhere, so that no broken markup
raises and the time grows with the length of the page. The standard library's parser promises neither in every Python
that likewise runs on: that of 3.11.7 raises AssertionError on "<![x>", and searches the whole rest of the page at every
comment that is not closed.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

from likewise.files import HALF_SURROGATE
from likewise.markdown import Block

MARKUP = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(?P<closing>/?)(?P<tag>[a-zA-Z][^\s/>]*+)"
    r"(?P<attributes>(?:[^>=]++|=\s*+\"[^\"]*+(?:\"|\Z)|=\s*+'[^']*+(?:'|\Z)|=)*+)(?:>|\Z)"
    r"|<[!?/][^>]*+(?:>|\Z)",
    re.DOTALL,
)
ROLE = re.compile(r"\brole\s*+=\s*+[\"']?(\w++)", re.IGNORECASE)
CODE_BOX = re.compile(r"\bclass\s*+=\s*+[\"']?highlight", re.IGNORECASE)  # of Sphinx, Jekyll and GitHub
VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
HEADING = re.compile("h[1-6]")
BLOCK = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure"
    "|footer|form|h[1-6]|head|header|hgroup|hr|html|legend|li|main|menu|nav|ol|p|pre|search|section|summary|table"
    "|tbody|td|tfoot|th|thead|tr|ul"
)
ANCHORS = ("#", "¶", "§", "🔗")  # the links beside headings that lead to themselves
LISTED = ("li", "dt", "dd", "caption")
RAW = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style", "textarea", "title")}
LEFT_OUT = re.compile(
    "aside|audio|button|canvas|datalist|footer|iframe|math|nav|noembed|noframes|noscript|object|script|search|select"
    "|style|svg|template|textarea|video"
)
LEFT_OUT_ROLE = re.compile("banner|complementary|contentinfo|navigation|search", re.IGNORECASE)

DECLARED = re.compile(rb"<meta[^>]+?charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]+?encoding\s*=\s*[\"']([\w.:-]+)", re.I)
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
MEANT = {  # what browsers read where a page declares this (WHATWG Encoding, section 4.2)
    **dict.fromkeys(("iso8859-1", "ascii"), "cp1252"),
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be"), "utf-8"),  # in which nobody could have read the declaration
}


def decoded(content: bytes) -> str:
    """The page in Unicode: as its byte order mark says, else as it declares within its first 1024 bytes, else UTF-8.

    Raises ValueError, with line and byte, where it is something else, and where the declared encoding is not known.
    """
    mark = next(filter(content.startswith, MARKS), b"")
    declared = None if mark else DECLARED.search(content[:1024])
    encoding = MARKS.get(mark, "utf-8")
    if declared:
        name = (declared[1] or declared[2]).decode("ascii", "replace")
        try:
            encoding = codecs.lookup(name).name
            "".encode(encoding)  # some codecs are no encodings of text
        except (LookupError, ValueError) as error:
            raise ValueError(f"the page declares the encoding {name!r}, which is not known") from error
    encoding = encoding if mark else MEANT.get(encoding, encoding)
    try:
        return HALF_SURROGATE.sub("\ufffd", content[len(mark) :].decode(encoding))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line}: {content[error.start : error.start + 20]!r} is not {encoding}; declare the encoding that "
            "the page has, or convert it first, perhaps with: iconv -f WINDOWS-1252 -t UTF-8"
        ) from error


def sections(html: str) -> Iterator[tuple[str, list[Block]]]:
    """The path of headings, "Title > Section", and the blocks under it, reduced to their words.

    A block is a paragraph, a list item or a table row. Left out are scripts, styles, controls, pictures, blocks of
    code, and what is marked as the frame of the page: nav, aside and footer, what has these as its role, and of a
    header all but its headings. The page's title stands for its heading of the first order until there is one.
    """
    page = _Page()
    line, position = 1, 0
    while position < len(html):
        found = MARKUP.search(html, position)
        start, end = found.span() if found else (len(html), len(html))
        page.text(html[position:start], line)
        if found and found["tag"]:
            tag = found["tag"].lower()
            if found["closing"]:
                page.close(tag)
            else:
                page.open(tag, found["attributes"])
            if tag == "br":
                page.text(" ", line + html.count("\n", position, start))
            if tag in RAW and not found["closing"] and not found["attributes"].endswith("/"):
                closed = RAW[tag].search(html, end)
                stop = closed.start() if closed else len(html)
                if tag == "title":
                    page.title(html[end:stop])
                end = stop
        line += html.count("\n", position, end)
        position = end
        while page.finished:
            yield page.finished.pop(0)
    page.end_block()
    page.end_section()
    yield from page.finished


@dataclass(slots=True)
class _Page:
    """What is known at one place of a page."""

    finished: list[tuple[str, list[Block]]] = field(default_factory=list)  # sections, to be fetched
    titles: dict[int, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)  # of this section
    row: list[Block] | None = None  # what the cells of this row hold
    cells: int = 0
    heading: int = 0  # the level of the heading that this place is in, or 0
    words: list[str] = field(default_factory=list)  # of this block, each line of the page beginning a line
    line: int = 0  # on which these begin
    last_line: int = 0  # and which they have come to
    opened: list[str] = field(default_factory=list)  # the elements around this place, the outermost first
    within: Counter[str] = field(default_factory=Counter)  # the same, counted
    left_out: int | None = None  # how many elements are around the one that is left out, where one is

    def text(self, raw: str, line: int) -> None:
        if not raw or self.left_out is not None or (self.within["header"] and not self.heading):
            return
        if not self.words:
            self.line = self.last_line = line
        piece = "\n".join(unescape(part).replace("\n", " ") for part in raw.split("\n"))
        behind = line - self.last_line  # by the line ends inside tags: made up for where there is white space anyway
        if behind and (space := re.search(r"\s", piece)):
            piece = piece[: space.start()] + "\n" * behind + piece[space.start() :]
        self.words.append(piece)
        self.last_line += piece.count("\n")

    def title(self, raw: str) -> None:
        if self.left_out is None and not self.titles:
            self.titles[1] = " ".join(unescape(raw).split())

    def open(self, tag: str, attributes: str) -> None:
        if BLOCK.fullmatch(tag):
            self.end_block()
            if self.opened[-1:] == ["p"]:  # which can hold no block, so it has ended without saying so
                self.close("p")
        if tag == "tr":
            self.end_row()
            self.row = []
        elif tag in ("td", "th"):
            self.cells += 1
        if VOID.fullmatch(tag) or attributes.endswith("/"):
            return
        if self.left_out is None:
            if HEADING.fullmatch(tag):
                self.heading = int(tag[1])
            role = ROLE.search(attributes)
            if (
                LEFT_OUT.fullmatch(tag)
                or (role and LEFT_OUT_ROLE.fullmatch(role[1]) and tag != "header")
                or (tag == "code" and self.within["pre"])
                or (tag == "div" and CODE_BOX.search(attributes))
            ):
                self.left_out = len(self.opened)
        self.opened.append(tag)
        self.within[tag] += 1

    def close(self, tag: str) -> None:
        if BLOCK.fullmatch(tag):
            self.end_block()
        if HEADING.fullmatch(tag):
            self.heading = 0
        if not self.within[tag]:
            return
        if tag in ("tr", "table"):
            self.end_row()
        last = ""
        while last != tag:
            last = self.opened.pop()
            self.within[last] -= 1
        if self.left_out is not None and len(self.opened) <= self.left_out:
            self.left_out = None

    def end_block(self) -> None:
        if self.heading:
            self.words = [piece for piece in self.words if piece.strip() not in ANCHORS]
        text = "".join(self.words).replace("\xad", "")  # where a word may be divided
        self.words = []
        if not text.strip():
            return
        line = self.line + text.count("\n", 0, len(text) - len(text.lstrip()))
        if self.heading:
            self.end_section()
            self.titles = {above: title for above, title in self.titles.items() if above < self.heading}
            self.titles[self.heading] = " ".join(text.split())
            self.heading = 0
        else:
            listed = any(self.within[name] for name in LISTED)
            (self.blocks if self.row is None else self.row).append(Block(line, text.strip(), listed))

    def end_row(self) -> None:
        row, cells = self.row or [], self.cells
        self.row, self.cells = None, 0
        if not row or len(row) > cells:  # a table that only puts things in their places
            self.blocks += row
            return
        text, line = row[0].text, row[0].line
        for block in row[1:]:
            text += ", " + "\n" * (block.line - line - text.count("\n")) + block.text
        self.blocks.append(Block(line, text, listed=True))

    def end_section(self) -> None:
        self.end_row()
        if self.blocks:
            self.finished.append((" > ".join(filter(None, self.titles.values())), self.blocks))
            self.blocks = []
