"""The examples in the README and the docs print what they claim to print."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(page: Path) -> list[str]:
    return re.findall(r"^```pycon\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_the_examples_print_what_they_claim(page: Path, minilm_folder: Path) -> None:
    names: dict[str, object] = {}
    for example in examples(page):
        test = doctest.DocTestParser().get_doctest(example, names, page.name, str(page), 0)
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, clear_globs=False)
        assert result.failed == 0, f"an example in {page.name} printed something else; see above"
        names = test.globs


def test_the_readme_has_an_example() -> None:
    assert examples(ROOT / "README.md")


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
