"""Plain text and Markdown → sentences and passages, each with its place."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from math import ceil
from pathlib import Path

from likewise.files import FilePath, read_lines

MARKDOWN = (".md", ".markdown")
PLAIN_TEXT = (".txt", ".text", ".rst")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is worth reading by itself."""

    text: str  # words separated by single spaces
    source: str
    line: int  # of its first word, from 1
    heading: str  # "Title > Section", or "" where there is none


def read_passages(path: FilePath) -> Iterator[Passage]:
    """Read the passages of a file, or of each text and Markdown file of a folder and the folders below it.

    In a folder these are the files in .txt, .text, .md, .markdown and .rst, in sorted order, without hidden files and
    folders. Markdown is told by its suffix; any other file is plain text.

    Raises OSError where a file cannot be read, and ValueError, with file and line, where it is not UTF-8.
    """
    if not Path(path).is_dir():
        text = "\n".join(read_lines(path))
        yield from passages(text, str(path), markdown=Path(path).suffix.lower() in MARKDOWN)
        return
    for folder, folders, names in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in MARKDOWN + PLAIN_TEXT and not name.startswith("."):
                yield from read_passages(Path(folder) / name)


def _raise(error: OSError) -> None:
    raise error


# ---- passages ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Block:
    """A paragraph, list item, table row or heading: successive lines of the file."""

    line: int
    lines: list[str]
    listed: bool = False  # an item or a row, which may end without a full stop
    level: int = 0  # of a heading, 1 to 6


def passages(text: str, source: str, markdown: bool, max_characters: int = 800) -> list[Passage]:
    """Cut a document into passages of at most ``max_characters``, in order.

    A passage is a paragraph, a list item or a table row. Where one of two neighbours under the same heading is shorter
    than a quarter of ``max_characters``, they make one passage if that is not too long. A longer paragraph is cut at
    sentence borders into parts of similar length; a sentence that is too long is cut between words, and a word that
    is too long, anywhere.

    Of Markdown only the prose remains: code blocks, comments and front matter are left out, and of links, emphasis and
    other inline markup the words stay. Headings are in ``heading`` alone.

    The default keeps a passage within the 256 tokens that all-MiniLM-L6-v2 reads: 800 characters of English are 166
    tokens in Wikipedia (one passage in 500 has more than 256) and 183 in scientific abstracts (15 in 1,000).

    Raises ValueError where ``max_characters`` is not positive.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters must be 1 or more, not {max_characters}")
    sections = _markdown_sections(text) if markdown else [("", _paragraphs(text.split("\n")))]
    return [
        Passage(words, source, line, heading)
        for heading, blocks in sections
        for line, words in _merged(
            (piece for block in blocks for piece in _pieces(block, max_characters)), max_characters
        )
    ]


def _paragraphs(lines: list[str]) -> list[Block]:
    blocks: list[Block] = []
    continues = False
    for number, line in enumerate(lines, start=1):
        if line.strip() and continues:
            blocks[-1].lines.append(line)
        elif line.strip():
            blocks.append(Block(number, [line]))
        continues = bool(line.strip())
    return blocks


def _pieces(block: Block, max_characters: int) -> Iterator[tuple[int, str, bool]]:
    """Line, words and ``listed`` of each part of a block, cut into parts of similar length where it is too long."""
    raw = "\n".join(block.lines)
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


# ---- Markdown ------------------------------------------------------------------------------------------------------

DEEPEST_LIST = 100  # lists in lists; CommonMark sets no limit, but the columns are walked for each line
PREFIX = re.compile(r"(?:[ >]|[-*+] |\d{1,9}[.)] )*")  # the marks of quotes and lists before what a line holds
FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
HIDDEN = re.compile(r"<(!--|(?:script|style|pre|textarea)\b)", re.IGNORECASE)
QUOTE = re.compile(r" *(?:> {0,3})*> ?")
ITEM = re.compile(r"([-*+]|(\d{1,9})[.)])(?: +|$)")
TASK = re.compile(r"^\[[ xX]\] ")
HEADING = re.compile(r"(#{1,6})(?: +|$)")
HEADING_END = re.compile(r"(?:(?:^| )#+)?$|\{[#.:][^{}]*\}$")  # closing marks, or an anchor
FOOTNOTE = re.compile(r"\[\^[^\[\]]+\]: *")
DEFINITION = re.compile(r" {0,3}\[([^\[\]^][^\[\]]*)\]: *\S+(?: +(?:\".*\"|'.*'|\(.*\)))?$")


def _markdown_sections(text: str) -> Iterator[tuple[str, list[Block]]]:
    """The path of headings, and the blocks under it, reduced to prose."""
    text = text.replace("\0", "\ufffd")  # as CommonMark has it (section 2.3), and _prose needs the character
    lines = _without_code([line.expandtabs(4).rstrip() for line in text.split("\n")])
    labels = {_words(definition[1]).casefold() for line in lines if (definition := DEFINITION.match(line))}
    titles: dict[int, str] = {}
    blocks: list[Block] = []
    for block in _markdown_blocks(lines):
        block.lines = [_prose("\n".join(block.lines), labels)]
        if not block.level:
            blocks.append(block)
            continue
        yield " > ".join(filter(None, titles.values())), blocks
        titles = {level: title for level, title in titles.items() if level < block.level}
        titles[block.level] = _words(block.lines[0])
        blocks = []
    yield " > ".join(filter(None, titles.values())), blocks


def _without_code(lines: list[str]) -> list[str]:
    """The lines, those of front matter, fenced code, comments and HTML that is no prose made blank."""
    shown: list[str] = []
    if lines[0] in ("---", "+++") and len(lines) > 1 and lines[1]:  # front matter, if it is closed
        shown = [""] * next((n for n, line in enumerate(lines[1:], start=2) if line in (lines[0], "...")), 0)
    fence, fence_quoted, closing_tag = "", False, ""
    for line in lines[len(shown) :]:
        prefix = PREFIX.match(line)
        start = prefix.end() if prefix else 0
        if fence and fence_quoted and not line.lstrip().startswith(">"):
            fence = ""  # code in a quote ends with the quote
        fenced, tag = FENCE.match(line, start), HIDDEN.match(line, start)
        if closing_tag:
            closing_tag = "" if closing_tag in line.lower() else closing_tag
        elif fence:
            content = line.lstrip("> ") if fence_quoted else line.lstrip()
            fence = "" if content.startswith(fence) and not content.strip(fence[0]) else fence
        elif fenced:
            fence, fence_quoted = fenced[0], ">" in line[:start]
        elif tag and (tag[1] != "!--" or "-->" not in line):
            closing_tag = "-->" if tag[1] == "!--" else f"</{tag[1].lower()}"
            closing_tag = "" if closing_tag in line.lower() else closing_tag
        else:
            shown.append(line)
            continue
        shown.append("")
    return shown


def _markdown_blocks(lines: list[str]) -> list[Block]:
    """The headings, paragraphs, items and rows, without the marks at the beginning of their lines; no indented code.

    Follows CommonMark 0.31 and GitHub's tables, with less: of nested lists and quotes only the columns count.
    """
    blocks: list[Block] = []
    continues = False  # the next line may go on with the last block
    table = False
    quoted = False
    indents: list[int] = []  # the column at which the text of each open list item begins
    for number, line in enumerate(lines, start=1):
        quote = QUOTE.match(line)
        margin = quote.end() if quote and (indents or line.index(">") < 4) else 0
        line = " " * margin + line[margin:]
        content = line.strip()
        column = len(line) - len(line.lstrip())
        continues = continues and bool(content) and (quoted or not margin)  # a quote is a block of its own
        if not content:
            table = False
            continue
        left = [indent for indent in indents if indent > column]
        del indents[len(indents) - len(left) :]
        lazy = bool(left) or (quoted and not margin)  # this line is outside the list or quote of the last block
        quoted = bool(margin)
        if column - max([margin, *indents[-1:]]) >= 4:  # indented code, or a paragraph that goes on
            if continues:
                blocks[-1].lines.append(content)
            continue

        if continues and not quoted and not indents and not lazy and set(content) in ({"="}, {"-"}):
            blocks[-1].level = 1 if content[0] == "=" else 2
            continues = False
            continue
        bare = content.replace(" ", "")
        if len(bare) >= 3 and bare[0] in "-*_" and not bare.strip(bare[0]):  # a line across
            continues = table = False
            continue
        delimiter = "|" in content and "-" in content and not content.strip("|-: ")
        if delimiter and continues and "|" in blocks[-1].lines[-1]:
            header = blocks[-1].lines.pop()
            if not blocks[-1].lines:
                blocks.pop()
            blocks.append(Block(number - 1, [_cells(header)], listed=True))
            continues, table = False, True
            continue
        table = table and "|" in content
        if table:
            blocks.append(Block(number, [_cells(content)], listed=True))
            continue

        item = ITEM.match(line, column)
        listed = bool(item and (not continues or lazy or (item[2] in (None, "1") and item.end() < len(line))))
        if listed:
            continues = False
            while item and len(indents) < DEEPEST_LIST:
                column = item.end()
                indents.append(column + (column == len(line)))
                item = ITEM.match(line, column)
            content = TASK.sub("", line[column:].lstrip("> "), count=1)
        inside = quoted or bool(indents)
        heading = HEADING.match(content)
        footnote = FOOTNOTE.match(content)
        if heading:
            title = HEADING_END.sub("", content[heading.end() :], count=1)
            blocks.append(Block(number, [title], listed=inside, level=0 if inside else len(heading[1])))
            continues = False
        elif footnote:
            blocks.append(Block(number, [content[footnote.end() :]], listed=True))
            continues = True
        elif continues:
            blocks[-1].lines.append(content)
            indents += left  # a paragraph goes on however its lines are indented
        elif content and not DEFINITION.match(content):
            blocks.append(Block(number, [content], listed))
            continues = True
    return blocks


def _cells(row: str) -> str:
    cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", row))
    return ", ".join(cell for cell in cells if cell).replace("\\|", "|")


# Each pattern stops at the next character of its own kind, so that a mark which is never closed costs no second pass.
ANY_MARKUP = re.compile(r"[\\`*_~<\[&]")
PROTECTED = re.compile(  # \* or `code` or <address>: what is in it is no markup
    r"\\([!-/:-@\[-`{-~])|(?<!`)(`+)(?!`)([^`]+)\2(?!`)|<(\w+:[^\s<>]*|[^\s<>@]+@[^\s<>]+)>"
)
KEPT = re.compile("\0(\\d+)\0")  # where one of them was
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
TAG = re.compile(r"</?([A-Za-z][\w-]*)(?:\s+[\w:@.-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+))?)*\s*/?>")
BRACKETS = r"!?\[(?P<words>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]"
LINK = re.compile(
    BRACKETS + r"\(\s*(?:<[^<>]*>|[^\s()<]*(?:\([^\s()]*\)[^\s()]*)*)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
REFERENCE = re.compile(r"(?<!\])!?\[(?P<words>[^\[\]]*)\](?:\[(?P<label>[^\[\]]*)\])?")
MARK = re.compile(r"\[[\^!][^\[\]\s]+\]")  # of a footnote, [^1], and of GitHub's notes, [!NOTE]
EMPHASIS = re.compile(
    r"(\*{1,3})(?=[^\s*])(?P<words>[^*]+)(?<=\S)\1"
    r"|(?<!\w)(_{1,3})(?=[^\s_])(?P<low>[^_]+)(?<=\S)\3(?!\w)"
    r"|~~(?P<struck>[^~]+)~~"
)
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
WITHIN_WORDS = re.compile("a|abbr|b|cite|code|em|i|kbd|mark|q|s|small|span|strong|sub|sup|tt|u|var")


def _prose(text: str, labels: set[str]) -> str:
    """The words of a block without its inline markup; the line ends stay, so that a word's line can be counted."""
    if not ANY_MARKUP.search(text):  # as in most blocks; half of the time is saved
        return text
    kept: list[re.Match[str]] = []

    def keep(protected: re.Match[str]) -> str:
        kept.append(protected)
        return f"\0{len(kept) - 1}\0"

    def left(matched: re.Match[str], words: str = "") -> str:
        return words + "\n" * (matched[0].count("\n") - words.count("\n"))

    def referred(link: re.Match[str]) -> str:
        label = KEPT.sub(lambda place: kept[int(place[1])][0], link["label"] or link["words"])
        known = _words(label).casefold() in labels
        return left(link, link["words"]) if known else link[0]

    text = PROTECTED.sub(keep, text)
    text = COMMENT.sub(left, text)
    text = TAG.sub(lambda tag: left(tag, "" if WITHIN_WORDS.fullmatch(tag[1].lower()) else " "), text)
    text = MARK.sub("", text)
    for _ in range(2):  # an image within a link, one emphasis within another
        text = LINK.sub(lambda link: left(link, link["words"]), text)
        text = REFERENCE.sub(referred, text)
        text = EMPHASIS.sub(lambda marked: marked["words"] or marked["low"] or marked["struck"], text)
    text = re.sub(r"\\$", "", text, flags=re.MULTILINE)  # a line break that was asked for
    text = ENTITY.sub(lambda entity: unescape(entity[0]).replace("\n", " "), text)
    return KEPT.sub(lambda place: "".join(filter(None, kept[int(place[1])].group(1, 3, 4))), text)
