"""Sentences and passages: no word lost, none twice, each with its true line and heading."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from likewise import passages as passages_module
from likewise.passages import cut, paragraphs, passages, sentences

ANY_TEXT = st.text(st.one_of(st.sampled_from(" \n\n\t.!?…。\"')\r\u2028aA1"), st.characters()), max_size=60)
MARKS = "#-*+_`~>|[]()<>!\\&:={}^ \n\n\n\t0"


@pytest.mark.parametrize(
    "expected",
    [
        ["The kettle boils.", "Tea is ready!", "Is it late?", "Yes..."],
        ["Dr. Okafor met Mrs. Lindqvist at St. Mary's.", "They spoke until 5 p.m. on Monday."],
        ["It opens at 9 a.m. and closes at 5 p.m.", "The rest of the day is free."],
        ["She moved to the U.S. Navy yard.", "He stayed in the U.S.", "They wrote often."],
        ["J. R. Hartley and A. B. Yehoshua signed it.", "So did I.", "We all did."],
        ["Pi is about 3.14 and e is 2.718.", "Version 2.0.1 of node.js came later."],
        ["See Fig. 3, p. 12 and Vol. 2.", "Results by Ito et al. (2019) agree, cf. Table 4, e.g. the first row."],
        ["Is she a Dr?", "She is a dr .", "Ask her .", "(Dr. Abe came too.)"],
        ["He said no.", "Then he left.", "It was No. 7 on the list."],
        ["Apples, pears, etc. are sold here.", "Nuts, etc.", "The shop of Bell Inc. Ltd. is open."],
        ['"Stop!" she cried.', '"Why?"', "He shrugged.", "(It was late.)", "“Go.”", "‘Now?’", "[Later.]"],
        ["It was proved early.[12]", "Others followed.[3][4]", "Few remember."],
        ["Well... perhaps.", "Or… no.", "What?!", "Really!!!"],
        ["1. Boil the water.", "2. Warm the pot.", "It was sold in 1999.", "The buyer was unknown."],
        ["Contents . . . . .", "Teapots . . . ."],
        ["我们去喝茶。", "你来吗？", "“好。”", "太好了！"],
        ["「行こう。」", "雨が止んだ。"],
        ["Где книга?", "Она на столе.", "¿Dónde está?", "¡Aquí!"],
        ["यह पुस्तक है।", "वह घर है।"],
        ["All is small here. and yet it ends"],
        ["An iPad lay there. iPads do."],
    ],
)
def test_sentences_of_real_text(expected: list[str]) -> None:
    assert [sentence for _, sentence in sentences(" ".join(expected))] == expected
    assert [sentence for _, sentence in sentences("\n".join(expected))] == expected


def test_sentences_end_at_blank_lines_and_without_capitals_at_full_stops() -> None:
    assert sentences("A heading\n \t\nand text\nof two lines") == [(0, "A heading"), (13, "and text\nof two lines")]
    assert sentences("the tea is hot. the cup is not.") == [(0, "the tea is hot."), (16, "the cup is not.")]
    assert sentences("好。 再见。你好") == [(0, "好。"), (3, "再见。"), (6, "你好")]
    assert sentences("") == sentences(" \n ") == []


@given(text=ANY_TEXT)
def test_sentences_lose_no_character(text: str) -> None:
    found = sentences(text)
    assert all(text[offset : offset + len(sentence)] == sentence == sentence.strip() for offset, sentence in found)
    assert [offset for offset, _ in found] == sorted({offset for offset, _ in found})
    assert "".join("".join(sentence.split()) for _, sentence in found) == "".join(text.split())


def words_with_lines(text: str) -> list[tuple[str, int]]:
    return [(word, number) for number, line in enumerate(text.split("\n"), start=1) for word in line.split()]


@given(text=ANY_TEXT, longest=st.integers(60, 90), copies=st.integers(1, 9))
def test_each_word_of_a_plain_text_is_in_one_passage_at_its_line(text: str, longest: int, copies: int) -> None:
    text = "\n".join([text] * copies)
    words = iter(words_with_lines(text))
    found = passages(text, "notes.txt", markdown=False, max_characters=longest)
    for passage in found:
        assert 0 < len(passage.text) <= longest
        assert (passage.source, passage.heading) == ("notes.txt", "")
        own = [next(words) for _ in passage.text.split(" ")]
        assert (passage.text, passage.line) == (" ".join(word for word, _ in own), own[0][1])
    assert next(words, None) is None
    for first, second in pairwise(found):
        both_long = min(len(first.text), len(second.text)) >= longest / 4
        assert both_long or len(first.text) + 1 + len(second.text) > longest


@given(text=ANY_TEXT, markdown=st.booleans(), longest=st.integers(1, 12))
def test_words_longer_than_a_passage_are_cut_and_not_lost(text: str, markdown: bool, longest: int) -> None:
    found = passages(text, "", markdown, longest)
    assert all(0 < len(passage.text) <= longest and passage.text == passage.text.strip() for passage in found)
    if not markdown:
        assert "".join(passage.text.replace(" ", "") for passage in found) == "".join(text.split())


def test_a_long_paragraph_is_cut_at_sentences_into_similar_parts() -> None:
    text = "".join(f"Sentence number {n:03} of this paragraph is here.\n" for n in range(10))  # 46 characters each
    found = passages(text, "", markdown=False, max_characters=400)
    assert [(passage.line, len(passage.text)) for passage in found] == [(1, 281), (7, 187)]
    found = passages(text, "", markdown=False, max_characters=200)
    assert [(passage.line, len(passage.text)) for passage in found] == [(1, 187), (5, 187), (9, 93)]
    assert all(passage.text.startswith("Sentence") and passage.text.endswith("here.") for passage in found)
    words = passages("word " * 100, "", markdown=False, max_characters=400)
    assert [len(passage.text) for passage in words] == [254, 244]


def test_short_neighbours_are_merged_and_long_ones_are_not() -> None:
    long = "Many words fill this paragraph up to a length that is worth reading by itself alone."
    assert [
        p.text for p in passages(f"Short.\n\n{long}\n\n{long}\n\nEnd.", "", markdown=False, max_characters=200)
    ] == [
        f"Short. {long}",
        f"{long} End.",
    ]
    items = passages("Bring:\n\n- tea\n- two cups.\n- milk\n\nAnd come.", "", markdown=True)
    assert [p.text for p in items] == ["Bring: tea; two cups. milk And come."]


def test_an_impossible_length_is_refused() -> None:
    with pytest.raises(ValueError, match="max_characters must be 1 or more, not 0"):
        passages("text", "", markdown=False, max_characters=0)


LONG = " ".join(["word"] * 60)  # 299 characters: worth reading by itself
DOCUMENT = """\
---
title: left out
---

Before any heading.

# The *tea* [house](https://example.org) #

Opens <b>early</b>, closes at 5&nbsp;p.m.
<!-- left
out -->
Bring `my_own_cup`, **please**!

Prices
------

| Tea | Price \\| cup |
|:----|------:|
| `green` | 2 |
| black | [3](x.md "three") |
a row without bars

### Notes {#notes}

> A quoted line
which goes on.
>
> - [ ] an item
>   of two lines

1. first

   its second paragraph

       left_out = "indented code"

   * nested
2) ![a cup](cup.png) _is_ \\*not\\* ~~here~~[^1]

* * *

```python
# left out
```

    left out too

~~~
left out

[a label]: https://example.org "left out"
~~~

[^1]: A note, with [a label] and [another][a label].

[a label]: https://example.org 'left out'

## Empty

Closing time
============
Write to <tea@example.org>.
"""


def test_a_markdown_document_becomes_prose_with_lines_and_headings() -> None:
    whole = [(p.line, p.heading, p.text) for p in passages(DOCUMENT, "tea.md", markdown=True)]
    assert whole == [
        (5, "", "Before any heading."),
        (9, "The tea house", "Opens early, closes at 5 p.m. Bring my_own_cup, please!"),
        (17, "The tea house > Prices", "Tea, Price | cup; green, 2; black, 3; a row without bars"),
        (
            25,
            "The tea house > Prices > Notes",
            "A quoted line which goes on. an item of two lines; first its second paragraph nested; "
            "a cup is *not* here; A note, with a label and another.",
        ),
        (62, "Closing time", "Write to tea@example.org."),
    ]
    parts = [(p.line, p.text) for p in passages(DOCUMENT, "tea.md", markdown=True, max_characters=30)]
    assert (12, "Bring my_own_cup, please!") in parts
    assert (20, "black, 3") in parts
    assert (33, "its second paragraph nested") in parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n---\nb", ["a b"]),
        ("> a\n---\nb", ["a b"]),
        ("- item\nlazy\n\n  same item\n\n      left_out", ["item lazy same item"]),
        ("1. a\n  lazy\n\n    same item", ["a lazy same item"]),
        ("In the year\n1986. It rained.", ["In the year 1986. It rained."]),
        ("a\n\n    left out\n\nb", ["a b"]),
        ("a\n\n\tleft out\n\nb", ["a b"]),
        ("a\n\n    > left out\n\nb", ["a b"]),
        ("> a\n>\n>    b", ["a b"]),
        ("a\n*\nb", ["a * b"]),
        ("|-|\n\na | b\n\n|-|-|", ["|-| a | b |-|-|"]),
        ("|a|b|\n|-|-|\n|`x\\|y`|2|", ["a, b; x|y, 2"]),
        (f"{LONG}\n> {LONG}\n\n{LONG}", [LONG] * 3),
        ("```\n```python\nleft out\n```\nb", ["b"]),
        ("```\n> ```\nleft out\n```\nb", ["b"]),
        ("> ```\n> left out\n\nb", ["b"]),
        ("- ```\n  left out\n  ```\n  b", ["b"]),
        ("a\n```\nleft out, never closed", ["a"]),
        ("<!--\n\nleft out\n\n-->\nb", ["b"]),
        ("a <!-- left out --> b", ["a b"]),
        ("<!-- left out --> left out\nb", ["b"]),
        ("<style>left out</style>\nb", ["b"]),
        ("<script>\nleft out\n\nleft out</script>\nb", ["b"]),
        ("<p align='left'>left out\nleft out</p>\n\nb", ["b"]),
        ("<details>\n<summary>left out</summary>\n\nb\n\n</details>", ["b"]),
        ("> [!NOTE]\n> a", ["a"]),
        ("- [x] a\n- not [x] b", ["a; not [x] b"]),
        ("---\n\na", ["a"]),
        ("---\n\na\n\n---\n\nb", ["a b"]),
        ("---\nnever closed", ["never closed"]),
        ("+++\nleft = 'out'\n+++\na", ["a"]),
        ("a | b\n--- | ---\n", ["a, b"]),
        ("a\n\n- # b #\n  c", ["a b c"]),
        ("\ufeff", ["\ufeff"]),
        ("a[^1] b[^n]\n\n[^1]: one\n[^n]: two\n\n    three", ["a b one; two three"]),
        ("\xa0\xa0\xa0\xa0a\rb\u2028c\x0bd\x1fe", ["a b c d e"]),
        ("[a](javascript:x) ![b](data:image/svg+xml,x) [c](<http://[d>)", ["a b c"]),
        ("> # a {#b}\n> c\n\nd\n# {#e}", ["a c d"]),
        ("a\0b &#0; &#99999999; &unknown;", ["a\ufffdb \ufffd &#99999999; &unknown;"]),
        ("<a@b.org> <https://a.org/x_y_z> <3 a>", ["a@b.org https://a.org/x_y_z <3 a>"]),
        ("[![badge](a.svg)](b) [![badge][a]][b] [c][] [D]\n\n[a]: x\n[b]: y\n[C]: z\n[d]: z", ["badge badge c D"]),
        ("[`code`] and [`code`][]\n\n[`code`]: x", ["code and code"]),
        ("[sic] [1] f[0](x) [a](b c)", ["[sic] [1] f0 [a](b c)"]),
        ("***a*** **b *c* d** __e__ 2 * 3 * 4 snake_case_name x*y*z", ["a b c d e 2 * 3 * 4 snake_case_name xyz"]),
        ("a\\\nb \\# \\[c](d)", ["a b # [c](d)"]),
        ("H<sub>2</sub>O<br>and<img src='x'\nalt='y'>salt", ["H2O and salt"]),
    ],
)
def test_markdown_details(text: str, expected: list[str]) -> None:
    assert [passage.text for passage in passages(text.replace("\n", "\r\n"), "", markdown=True)] == expected


def test_markup_over_several_lines_keeps_the_line_count() -> None:
    text = "One&NewLine;[two](three\n'four') five.\n<b\nclass='x'>Six</b>.\nSeven <!-- left\nout --> eight.\nNine."
    found = passages(text, "", markdown=True, max_characters=14)
    assert [(p.line, p.text) for p in found] == [(1, "One two five."), (4, "Six."), (5, "Seven eight."), (7, "Nine.")]
    text = (
        "> \xa0\n> \xa0One `two\n> three` four.\n> ![Five\n> six](seven) eight.\n> Nine [ten\n> ten]( ten).\n> The end."
    )
    found = passages(text, "", markdown=True, max_characters=20)
    assert [(p.line, p.text) for p in found] == [
        (2, "One two three four."),
        (4, "Five six eight."),
        (6, "Nine ten ten."),
        (8, "The end."),
    ]


def test_headings_with_the_same_words_are_not_merged() -> None:
    found = passages("# T\n## Example\na\n## Example\nb\n#\nc\n#### Deep\nd\n## Flat #3\ne", "", markdown=True)
    assert [(p.heading, p.text, p.line) for p in found] == [
        ("T > Example", "a", 3),
        ("T > Example", "b", 5),
        ("", "c", 7),
        ("Deep", "d", 9),
        ("Flat #3", "e", 11),
    ]


@dataclass
class Made:
    """A document put together, with the place where each word must be found."""

    lines: list[str] = field(default_factory=list)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)  # word → line, heading
    headings: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def words(self, number: int, shown: bool = True, after: int = 0) -> str:
        made = [f"w{self.count + n}" for n in range(number)]
        self.count += number
        if shown:
            self.places |= dict.fromkeys(made, (len(self.lines) + 1 + after, " > ".join(self.headings.values())))
        return " ".join(made)

    def add(self, kind: str, number: int) -> None:
        if kind in ("#", "##", "###"):
            self.headings = {level: title for level, title in self.headings.items() if level < len(kind)}
            self.headings[len(kind)] = self.words(number, shown=False)
            self.lines += [f"{kind} {self.headings[len(kind)]}"]
        elif kind == "=":
            self.headings = {1: self.words(number, shown=False)}
            self.lines += [self.headings[1], "==="]
        elif kind in ("", "> ", "- ", "7. ", "  * ", "> 1. "):
            self.lines += ["", kind + self.words(number, after=1)]
            self.lines += [" " * len(kind) + self.words(number)]
        elif kind == "|":
            self.lines += ["", f"|{self.words(1, after=1)}|{self.words(number, after=1)}|", "|---|--:|"]
            self.lines += [f"| {self.words(number)} | {self.words(1)}"]
        elif kind == "    ":
            self.headings = {1: self.words(1, shown=False)}
            self.lines += [f"# {self.headings[1]}", kind + self.words(number, shown=False)]
        else:
            opening, closing = kind.split()
            self.lines += ["", opening, "", self.words(number, shown=False), closing]
        self.lines += [""]


KINDS = [
    "",
    "",
    "> ",
    "- ",
    "7. ",
    "  * ",
    "> 1. ",
    "#",
    "##",
    "###",
    "=",
    "|",
    "    ",
    "``` ```",
    "~~~~ ~~~~",
    "<!-- -->",
]


@given(parts=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 6)), max_size=12), longest=st.integers(20, 200))
def test_each_shown_word_of_markdown_is_in_one_passage_under_its_heading(
    parts: list[tuple[str, int]], longest: int
) -> None:
    made = Made()
    for kind, number in parts:
        made.add(kind, number)
    found = passages("\n".join(made.lines), "", markdown=True, max_characters=longest)
    places = dict(made.places)
    for passage in found:
        words = passage.text.replace(";", "").replace(",", "").split()
        assert len(passage.text) <= longest
        assert made.places[words[0]][0] == passage.line
        assert {places.pop(word)[1] for word in words} == {passage.heading}
    assert places == {}


def rendered_words(tokens: list[Token]) -> str:
    text = ""
    for token in tokens:
        if token.type in ("text", "code_inline"):
            text += token.content
        elif token.type in ("softbreak", "hardbreak"):
            text += " "
        text += rendered_words(token.children or [])
    return text


WORDS = st.sampled_from(["tea", "Ümlaut", "snake_case", "R&amp;D", "\\*", "a\\\\b", "茶", "f(x)"])
CODE = st.one_of(WORDS.map("`{}`".format), WORDS.map("`` {} ``".format), WORDS)
EMPHASIS = st.lists(st.one_of(CODE, CODE.map("*{}*".format)), min_size=1, max_size=2).map(" ".join).map("**{}**".format)
IMAGE = WORDS.map("![{}](<a b.png>)".format)
LINK = st.one_of(CODE, EMPHASIS, IMAGE).map("[{}](http://a.b/c_(d)_e 'title')".format)
INLINE = st.one_of(CODE, EMPHASIS, IMAGE, LINK, LINK.map("*{}*".format))


@given(pieces=st.lists(INLINE, min_size=1, max_size=4))
def test_inline_markup_reads_as_a_commonmark_renderer_shows_it(pieces: list[str]) -> None:
    source = "Word " + "\n".join(pieces)
    expected = rendered_words(MarkdownIt("commonmark").parse(source))
    assert " ".join(p.text for p in passages(source, "", markdown=True)) == " ".join(expected.split())


@given(text=st.text(st.one_of(st.sampled_from(MARKS), st.sampled_from(MARKS), st.characters()), max_size=80))
def test_no_markdown_crashes_and_every_passage_has_a_line(text: str) -> None:
    for passage in passages(text, "", markdown=True):
        assert 1 <= passage.line <= text.count("\n") + 1
        assert passage.text == " ".join(passage.text.split()) != ""


def lines_run(text: str) -> int:
    """How many lines of Python it takes to cut a text: the same on every machine."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        passages(text, "", markdown=True)
        passages(text, "", markdown=False)
    finally:
        sys.settrace(before)
    return count


EVIL = [
    ". ",
    "! A",
    "a. A ",
    "\n \n",
    "a。",
    "``a`",
    "**a*",
    "*a ",
    "_a ",
    "~~a",
    "[a",
    "![a](",
    "[a](b",
    "[a](()",
    "[[a]",
]
EVIL += [
    "<a ",
    '<a b="',
    "<!--",
    "&#9",
    "> > ",
    "- * ",
    "- a\n",
    "# # ",
    "|a|b|\n|-|-|\n",
    "a\n=\n",
    "{#",
    "[a]: b\n",
    "    ",
]


@pytest.mark.parametrize(("repeated", "after"), [(">", ["b"]), ("> - ", ["b"]), ("- ", []), ("1. ", [])])
def test_deep_nesting_is_read_and_the_deepest_is_left_out(repeated: str, after: list[str]) -> None:
    assert [p.text for p in passages(repeated * 12 + "deep", "", markdown=True)] == ["deep"]
    assert [p.text for p in passages(repeated * 100_000 + "left out\n\nb", "", markdown=True)] == after


@pytest.mark.parametrize("repeated", EVIL)
def test_the_work_grows_with_the_length_and_no_faster(repeated: str) -> None:
    length = 2_000
    assert lines_run((repeated * 2 * length)[: 2 * length]) <= 2.1 * lines_run((repeated * length)[:length]) + 500
    passages((repeated * 100_000)[:100_000] + "x", "", markdown=True)  # a quadratic pattern would hang here


# A paragraph without an end


@given(lines=st.lists(st.text(st.sampled_from("ab  \t"), max_size=30), max_size=12), longest=st.integers(1, 12))
def test_paragraphs_too_long_are_cut_at_words_and_nothing_is_lost(lines: list[str], longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages_module, "LONGEST_PARAGRAPH", longest)
        blocks = list(paragraphs(iter(lines)))
    found = []
    for block in blocks:
        pieces = block.text.split("\n")
        assert 0 < sum(map(len, pieces)) <= longest
        found += [(block.line + number, piece) for number, piece in enumerate(pieces)]
    expected = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for number in {number for number, _ in found + expected}:
        whole = [line for at, line in expected if at == number]
        assert ["".join(piece for at, piece in found if at == number)] == whole
    for first, second in pairwise(found):
        if first[0] == second[0]:  # a line that was cut: between words, unless it has none that are short enough
            assert second[1].startswith(" ") or " " not in first[1][1:]


def test_a_paragraph_is_handed_on_before_the_text_ends() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "The kettle boils, and the train is late again today."

    found = cut([("", paragraphs(endless()))], "log.txt")
    assert [next(found).line for _ in range(300)][-1] > 3000
