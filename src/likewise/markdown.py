"""Markdown → the prose of its sections, block by block, each with its line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

DEEPEST = 40  # quotes, lists and brackets in one another; the parser's time and Python's stack grow with it
UNUSUAL_SPACE = re.compile(r"[^\S\n\t ]+")
FOOTNOTE = re.compile(r"^ {0,3}\[\^[^\[\]\n]+\]:[ \t]*", re.MULTILINE)
MARK = re.compile(r"\[[\^!][^\[\]\s]+\]")  # of a footnote, [^1], and of GitHub's notes, [!NOTE]
TASK = re.compile(r"^\[[ xX]\] ")
ANCHOR = re.compile(r"\{[#.:][^{}]*\}$")
TAG_WITHIN_WORDS = re.compile(
    r"</?(?:a|abbr|b|cite|code|em|i|kbd|mark|q|s|small|span|strong|sub|sup|tt|u|var)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item or table row: successive lines of a file."""

    line: int  # of its first word, from 1
    text: str  # with the line ends of the file
    listed: bool = False  # an item or a row, which may end without a full stop


def sections(text: str) -> Iterator[tuple[str, list[Block]]]:
    """The path of headings, "Title > Section", and the blocks under it, reduced to their words.

    Follows CommonMark with GitHub's tables and struck words. Code blocks, HTML blocks, comments and front matter are
    left out, and so is what is forty quotes deep, and all from where twenty lists are in one another. A heading in a
    quote or list is a block there.
    """
    titles: dict[int, str] = {}
    blocks: list[Block] = []
    cells: list[str] = []
    tokens = _parsed(text)
    for number, token in enumerate(tokens):
        if token.type == "tr_open":
            cells = []
        if token.type != "inline" or not token.map:
            continue
        opening, before = tokens[number - 1], tokens[number - 2]
        line, words = token.map[0] + 1, _words(token)
        if opening.type in ("th_open", "td_open"):
            cells += [words] if words.strip() else []
            if tokens[number + 2].type == "tr_close":
                blocks.append(Block(line, ", ".join(cells), listed=True))
        elif opening.type == "paragraph_open":
            listed = before.type == "list_item_open"
            blocks.append(Block(line, TASK.sub("", words) if listed else words, listed))
        elif opening.level:
            blocks.append(Block(line, ANCHOR.sub("", words), listed=True))
        else:
            yield " > ".join(filter(None, titles.values())), blocks
            level = int(opening.tag[1])
            titles = {above: title for above, title in titles.items() if above < level}
            titles[level] = " ".join(ANCHOR.sub("", words).split())
            blocks = []
    yield " > ".join(filter(None, titles.values())), blocks


def _parsed(text: str) -> "list[Token]":
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import newline

    def counted_newline(state: "StateInline", silent: bool) -> bool:
        found = newline(state, silent)
        if found and not silent:
            state.tokens[-1].meta["end"] = state.pos
        return found

    parser = MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    parser.inline.ruler.at("newline", counted_newline)
    # The words of a link stay wherever it leads, and its address is shown as it is written.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    parser.normalizeLinkText = lambda link: link  # type: ignore[method-assign]

    # A lone \r would end a line here and nowhere else; other white space would be stripped together with line ends.
    text = UNUSUAL_SPACE.sub(" ", text.replace("\r\n", "\n"))
    # CommonMark has no footnotes: it would take one of a single word for the address of a link.
    return parser.parse(FOOTNOTE.sub("+ ", _without_front_matter(text)))


def _without_front_matter(text: str) -> str:
    """The text with the lines of front matter, if it is closed, made blank."""
    lines = [line.rstrip() for line in text.split("\n")]
    length = 0
    if lines[0] in ("---", "+++") and len(lines) > 1 and lines[1]:
        length = next((n for n, line in enumerate(lines[1:], start=2) if line in (lines[0], "...")), 0)
    return "\n" * length + "\n".join(text.split("\n")[length:])


def _words(inline: "Token") -> str:
    """The words of a block or image; each line of its source begins a line, also after a link over several lines."""
    words: list[str] = []
    lines = written = passed = 0  # line ends of the source up to the character ``passed``, and those in ``words``
    for token in inline.children or []:
        piece = ""
        if token.type == "text":
            piece = MARK.sub("", token.content).replace("\n", " ")  # from &NewLine;
        elif token.type == "code_inline":
            piece = token.content
        elif token.type == "image":
            piece = _words(token)
        elif token.type == "html_inline":
            piece = "\n" * token.content.count("\n")
            if not TAG_WITHIN_WORDS.match(token.content):
                piece += " "
        elif token.type in ("softbreak", "hardbreak"):
            end = token.meta.get("end", passed)
            lines += inline.content.count("\n", passed, end)
            passed = end
            piece = "\n" * (lines - written) or " "
        words.append(piece)
        written += piece.count("\n")
    return "".join(words)
