"""HTML: the prose with its headings and lines, nothing of what is left out, and no page that breaks it."""

import re
import time
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.html_text import decoded, sections
from likewise.passages import cut

ANY_TEXT = st.text(
    st.one_of(
        st.sampled_from("  \n\n<>&;'\"#=/!-ab"), st.characters(exclude_categories=["Cs"], exclude_characters="\xad")
    )
)
MARKUP = st.lists(
    st.sampled_from(
        [
            *("<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<h1>", "</h1>", "<h2 id=x>", "<table>", "<tr>", "<td>"),
            *(
                "</table>",
                "<nav>",
                "</nav>",
                "<header>",
                "</header>",
                "<script>",
                "</script>",
                "<!--",
                "-->",
                "<![if x]>",
            ),
            *(
                "<title>",
                "</title>",
                "<",
                ">",
                "&",
                "&amp",
                "&#0;",
                "&#x110000;",
                '="',
                "='",
                "<a href=",
                "<br/>",
                "<pre>",
            ),
            *(
                "<code>",
                "</code>",
                "<![CDATA[",
                "]]>",
                "<?php",
                "</",
                "<!doctype",
                "\n",
                " ",
                "word",
                "é",
                "\0",
                "<li>",
            ),
        ]
    ),
    max_size=25,
).map("".join)
PAGE = """\
<!DOCTYPE html>
<html lang=en>
<head><title>Tea house &amp; co</title>
<style>p { color: red }</style>
<script>if (a < b) document.write("<p>leak</p>")</script></head>
<body><header><p>Banner</p><nav><a href="/">Home</a></nav><h1>The <em>tea</em>
house</h1></header>
<nav><ul><li>a<li>b</ul></nav>
<p>Opens <b>early</b>, closes at 5&nbsp;p.m. <a
  href="x">right now</a> or
never.<p>Second caf&eacute;<br>with half&shy;words
<ul><li>one<li>two</ul>
<h2>Prices in C#<a class="headerlink" href="#prices">¶</a></h2>
<table><tr><th>Tea<th>Price</tr>
<tr><td>green</td>
<td></td><td>2</td></tr></table>
<pre><code>code()</code></pre><div class="highlight-python notranslate"><pre>more_code()</pre></div>
<div role=navigation>elsewhere</div>Is a < b & c?
<table><tr><td><p>A page in a table<p>has paragraphs.<td>And more.</table>
<footer>foot</footer>
<h4>Deep
<p>last one<aside>by the way</aside><button>Press</button><svg><text>drawn</text></svg>
<h2></h2><h3>Third</h3>
<pre>as it
stands</pre><script>never closed
<p>leak</p>
"""


def test_a_page_becomes_prose_under_its_headings_with_lines() -> None:
    found = [
        (heading, [(block.line, " ".join(block.text.split())) for block in blocks])
        for heading, blocks in sections(PAGE)
    ]
    assert found == [
        (
            "The tea house",
            [
                (9, "Opens early, closes at 5 p.m. right now or never."),
                (11, "Second café with halfwords"),
                (12, "one"),
                (12, "two"),
            ],
        ),
        (
            "The tea house > Prices in C#",
            [
                (14, "Tea, Price"),
                (15, "green, 2"),
                (18, "Is a < b & c?"),
                (19, "A page in a table"),
                (19, "has paragraphs."),
                (19, "And more."),
            ],
        ),
        ("The tea house > Prices in C# > Deep", [(22, "last one")]),
        ("The tea house > Prices in C# > Third", [(24, "as it stands")]),
    ]


def test_the_title_stands_for_the_first_heading() -> None:
    page = "<title>The  tea\nhouse</title><p>Before.<h2>Prices</h2>Two.<svg><title>A cup</title></svg><h1>Rules</h1>No."
    assert [(heading, blocks[0].text) for heading, blocks in sections(page)] == [
        ("The tea house", "Before."),
        ("The tea house > Prices", "Two."),
        ("Rules", "No."),
    ]


def test_each_passage_of_a_long_paragraph_has_its_line() -> None:
    lines = [f"Sentence <a\n href='{n}'>number</a> {n} of this paragraph is here." for n in range(40)]
    found = list(cut(sections("<p>\n" + "\n".join(lines)), "page.html", 200))
    assert len(found) > 5
    for passage in found:
        first = re.search(r"number (\d+)", passage.text)
        assert first
        assert passage.line == 2 + 2 * int(first[1])


@given(text=ANY_TEXT)
def test_any_text_comes_back_out_of_a_page(text: str) -> None:
    for page in (
        f"<p>{escape(text)}</p>",
        f"<ul><li>{escape(text, quote=False)}",
        f"<!-- {text.replace('--', '')} --><td>{escape(text)}",
    ):
        words = [word for _, blocks in sections(page) for block in blocks for word in block.text.split()]
        assert words == text.split()


@given(
    text=ANY_TEXT,
    tag=st.sampled_from(["script", "style", "STYLE", "textarea"]),
    after=st.sampled_from([">", " >", "/>", "\nid=x>"]),
)
def test_nothing_leaks_out_of_scripts_and_styles(text: str, tag: str, after: str) -> None:
    page = f"<p>before <{tag} id='x'>{text.replace('</', '')}</{tag}{after} after <{tag}>{text.replace('</', '')}"
    ((_, (block,)),) = sections(page)
    assert block.text.split() == ["before", "after"]


@given(page=MARKUP | ANY_TEXT)
def test_broken_markup_is_read_to_its_end(page: str) -> None:
    for heading, blocks in sections(page):
        assert heading == " ".join(heading.split())
        assert blocks
        for block in blocks:
            assert block.text.strip() == block.text != ""
            assert 1 <= block.line <= block.line + block.text.count("\n") <= page.count("\n") + 1


@pytest.mark.parametrize(
    "repeated",
    [
        *(
            "<!--",
            "<",
            "</",
            "<a ",
            '<a b="',
            "<a b='",
            "<![foo[",
            "<?",
            "&",
            "&#",
            "<b>",
            "</b>",
            "<p>",
            "</p>",
            "<li>",
        ),
        *(
            "<nav>",
            "<tr>",
            "<td>",
            "<h1>x",
            "<title>",
            "<script>",
            "<script></script>",
            "= ",
            "<a role=",
            "<a \n",
            "<b></i>",
        ),
        *("<div class=highlight>", "role=", "<x role   ", "\n", "a\n"),
    ],
)
def test_the_time_grows_with_the_page_and_no_faster(repeated: str) -> None:
    start = time.process_time()
    list(sections((repeated * 300_000)[:300_000] + "x"))
    assert time.process_time() - start < 10  # under one second; what is quadratic takes minutes


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("é".encode(), "é"),
        ("\ufeffé".encode(), "é"),
        ("\ufeffé".encode("utf-16-le"), "é"),
        ("\ufeffé".encode("utf-16-be"), "é"),
        ('<meta charset="windows-1251">чай'.encode("cp1251"), '<meta charset="windows-1251">чай'),
        ("<META http-equiv=x content='text/html; charset=Shift_JIS'>茶".encode("shift_jis"), None),
        ("<?xml version='1.0' encoding='iso-8859-1'?>“é”".encode("cp1252"), None),
        ("<meta charset=utf-16>é".encode(), None),
        (b"<meta charset=unicode_escape>\\ud800\\u8336", "<meta charset=unicode_escape>\ufffd茶"),
    ],
)
def test_the_encoding_is_that_of_the_mark_or_the_declaration(content: bytes, text: str | None) -> None:
    found = decoded(content)
    assert found[-1] in "éй茶”"
    assert text in (None, found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<p>\ncaf\xe9 au lait", r"line 2: b'\\xe9 au lait' is not utf-8; .* iconv -f WINDOWS-1252 -t UTF-8"),
        (b"<meta charset=none-such>", "declares the encoding 'none-such', which is not known"),
        (b"<meta charset=base64>", "declares the encoding 'base64', which is not known"),
        (b"<meta charset=undefined>", "declares the encoding 'undefined', which is not known"),
    ],
)
def test_what_cannot_be_decoded_is_told(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decoded(content)
