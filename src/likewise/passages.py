"""Plain text and Markdown → sentences and passages, each with its place."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from likewise.markdown import Block
from likewise.markdown import sections as markdown_sections

LONGEST_PARAGRAPH = 100_000  # characters; no prose is so long, and what is read as one is held in memory


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is worth reading by itself."""

    text: str  # words separated by single spaces
    source: str
    line: int  # of its first word, from 1; in a PDF that of the page's text, in a table that of the row
    heading: str  # "Title > Section", or "" where there is none
    page: int | None = None  # of a PDF, from 1
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)  # other columns


# ---- passages ------------------------------------------------------------------------------------------------------


def passages(text: str, source: str, markdown: bool, max_characters: int = 800) -> list[Passage]:
    """Cut a document into passages of at most ``max_characters``, in order.

    A passage is a paragraph, a list item or a table row. Where one of two neighbours under the same heading is shorter
    than a quarter of ``max_characters``, they make one passage if that is not too long. A longer paragraph is cut at
    sentence borders into parts of similar length; a sentence that is too long is cut between words, and a word that
    is too long, anywhere.

    Of Markdown only the prose remains: code blocks, HTML blocks, comments and front matter are left out, and of links,
    emphasis and other inline markup the words stay. Headings are in ``heading`` alone.

    The default keeps a passage within the 256 tokens that all-MiniLM-L6-v2 reads: 800 characters of English are 166
    tokens in Wikipedia (one passage in 500 has more than 256) and 183 in scientific abstracts (15 in 1,000).

    Raises ValueError where ``max_characters`` is not positive.
    """
    sections = markdown_sections(text) if markdown else [("", paragraphs(text.split("\n")))]
    return list(cut(sections, source, max_characters))


def cut(
    sections: Iterable[tuple[str, Iterable[Block]]],
    source: str,
    max_characters: int = 800,
    page: int | None = None,
    metadata: Mapping[str, str | int | float | bool] | None = None,
) -> Iterator[Passage]:
    """Cut the blocks under each path of headings into passages, one by one, as ``passages`` does for a whole text.

    Raises ValueError where ``max_characters`` is not positive.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters must be 1 or more, not {max_characters}")
    for heading, blocks in sections:
        pieces = (piece for block in blocks for piece in _pieces(block, max_characters))
        for line, words in _merged(pieces, max_characters):
            yield Passage(words, source, line, heading, page, metadata or {})


def paragraphs(lines: Iterable[str]) -> Iterator[Block]:
    """The paragraphs of plain lines, which blank ones separate, as the lines come.

    One of over LONGEST_PARAGRAPH characters is cut: after a line, or after a word of a single line.
    """
    first, gathered, size = 0, list[str](), 0
    for number, line in enumerate(lines, start=1):
        is_blank = not line.strip()
        if gathered and (is_blank or size + len(line) > LONGEST_PARAGRAPH):
            yield Block(first, "\n".join(gathered))
            gathered, size = [], 0
        if is_blank:
            continue
        start = 0
        while len(line) - start > LONGEST_PARAGRAPH:
            space = line.rfind(" ", start + 1, start + LONGEST_PARAGRAPH)
            end = space if space > 0 else start + LONGEST_PARAGRAPH
            yield Block(number, line[start:end])
            start = end
        if not gathered:
            first = number
        gathered.append(line[start:])
        size += len(line) - start
    if gathered:
        yield Block(first, "\n".join(gathered))


def _pieces(block: Block, max_characters: int) -> Iterator[tuple[int, str, bool]]:
    """Line, words and ``listed`` of each part of a block, cut into parts of similar length where it is too long."""
    raw = block.text
    total = len(_words(raw))
    goal = total / max(1, ceil(total / max_characters))
    line, counted, start, end, length = block.line, 0, 0, 0, 0
    for unit_start, unit_end, size in [*_units(raw, max_characters), (len(raw), len(raw), 0)]:
        grown = length + (unit_start > end) + size
        if length and (grown > max_characters or length >= goal or not size):
            line += raw.count("\n", counted, start)
            counted = start
            yield line, _words(raw[start:end]), block.listed
            length = 0
        if not length:
            start, grown = unit_start, size
        end, length = unit_end, grown


def _units(raw: str, max_characters: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and size of what is kept together: sentences, else words, else as many characters as fit."""
    for start, sentence in sentences(raw):
        size = len(_words(sentence))
        if size <= max_characters:
            yield start, start + len(sentence), size
            continue
        for word in re.finditer(r"\S+", sentence):
            for first in range(word.start(), word.end(), max_characters):
                last = min(first + max_characters, word.end())
                yield start + first, start + last, last - first


def _merged(pieces: Iterable[tuple[int, str, bool]], max_characters: int) -> Iterator[tuple[int, str]]:
    short = max_characters / 4
    line, text, text_listed = 0, "", False
    for piece_line, piece, listed in pieces:
        between = "; " if text_listed and listed and text[-1:] not in ".!?…:;," else " "
        worth_it = len(text) < short or len(piece) < short
        if text and worth_it and len(text) + len(between) + len(piece) <= max_characters:
            text += between + piece
        else:
            if text:
                yield line, text
            line, text = piece_line, piece
        text_listed = listed
    if text:
        yield line, text


def _words(text: str) -> str:
    return " ".join(text.split())


# ---- sentences -----------------------------------------------------------------------------------------------------

# Each pattern passes over a run of marks in one match, and nothing looks back further than 20 characters, so the work
# grows with the length of the text and no faster.
END = re.compile(
    r"(?P<mark>[.!?…؟۔।॥።]+[\"'”’»)\]}]*(?:\[\d{1,3}\])*)"  # closing quotes, then note numbers: said so."[12]
    r"|[。！？｡]+[」』）》〉】”’\"')\]]*"
    r"|\n[^\S\n]*\n"
)
OPENING = re.compile(r"\s*[\"'“‘«„¿¡(\[{–—-]*")
NEXT_WORD = re.compile(r"[^\W\d_]{1,15}\.?")
DOTTED = re.compile(r"[^\W\d_]|(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")  # an initial, U.S, p.m, Ph.D
NEVER_LAST = re.compile(r"mr|mrs|ms|dr|prof|mme|mlle|messrs|e\.g|i\.e|cf|vs|viz|approx")
RARELY_LAST = re.compile(
    "al|adj|adm|app|assn|ave|blvd|bros|bzw|ca|capt|cmdr|co|col|corp|dept|ed|eds|eq|eqs|est|ext|fig|figs|ft|gen"
    "|gov|hon|hr|inc|jr|lt|ltd|maj|mt|nr|pres|ref|refs|rep|rev|sen|sgt|sr|sra|st|str|supt|tab|univ|vgl|jan|feb"
    "|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec"
)
BEFORE_NUMBER = re.compile("no|nos|p|pp|sec|sect|art|ch|chap|vol|para|pt")
FIRST_WORDS = re.compile(
    "a|after|all|also|although|an|and|another|as|at|because|before|both|but|by|during|each|even|for|from|he|her"
    "|here|his|how|however|i|if|in|it|its|many|more|most|my|no|nobody|not|now|of|on|one|only|other|our|she|since"
    "|so|some|such|that|the|their|then|there|therefore|these|they|this|those|though|thus|to|under|we|what|when"
    "|where|which|while|who|why|with|yes|you|your"
)


def sentences(text: str) -> list[tuple[int, str]]:
    """Cut a text into sentences: (character offset, sentence), without the white space around it.

    A sentence ends with a full stop, a question or exclamation mark or an ellipsis, and what closes quotes and
    brackets after it, before white space; with a Chinese or Japanese full stop; or with a blank line. It does not
    where a small letter follows (unless the text has no capitals at all), nor after an abbreviation, an initial or
    the number of a list item. Single line ends are white space.
    """
    found = []
    start = 0
    capitals = text != text.lower()
    for end in (*END.finditer(text), None):
        stop = end.end() if end else len(text)
        if end and end["mark"] and stop < len(text):
            opening = OPENING.match(text, stop)
            after = opening.end() if opening else stop
            following = text[after : after + 1]
            if (
                not text[stop].isspace()
                or following in {".", "!", "?", "…"}  # dots that lead to a page number: . . . . 12
                or (capitals and following.islower())
                or (end[0] == "." and _goes_on(text, start, end.start(), after))
            ):
                continue
        sentence = text[start:stop].strip()
        if sentence:
            found.append((text.index(sentence[0], start), sentence))
        start = stop
    return found


def _goes_on(text: str, start: int, stop: int, after: int) -> bool:
    """Whether the full stop at ``stop`` belongs to an abbreviation, so that the sentence goes on at ``after``."""
    before = text[max(start, stop - 20) : stop]
    if before[-1:].isspace() or not before:
        return False
    word = before.split()[-1].lstrip("\"'“‘«„¿¡([{–—-")
    lower = word.lower()
    if NEVER_LAST.fullmatch(lower) or (word == before.strip() and word.isdigit() and len(word) < 4):
        return True
    if BEFORE_NUMBER.fullmatch(lower) and text[after : after + 1].isdigit():
        return True
    following = NEXT_WORD.match(text, after)
    first_word = following is not None and FIRST_WORDS.fullmatch(following[0].lower())
    return (RARELY_LAST.fullmatch(lower) or DOTTED.fullmatch(word) is not None) and not first_word
