"""The map's page, as a browser shows it; and how vectors come into the plane."""

import json
import re
import sys
import types
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import svd

from likewise.search import map_page
from likewise.search.map import page_of, plane_of
from tests.search.browser import CHROMIUM, Browser

HOSTILE = '</script><img src="https://example.org/x.png" onerror="document.title=1"><!-- <script> é "tea" \\u003c 茶'
TEXTS = [f"the {'kettle' if row % 2 else 'train'} number {row}" for row in range(38)] + [HOSTILE, "x" * 3000]
LABELS = [row % 2 for row in range(38)] + [-1, 0]


def corner_points() -> np.ndarray:
    """Points on a circle, far from one another."""
    angles = np.linspace(0, 2 * np.pi, len(TEXTS), endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def page() -> str:
    sources = [f"notes.txt:{row}" for row in range(len(TEXTS))]
    return page_of(corner_points(), "PCA", TEXTS, sources, LABELS, {0: "train, late", 1: "<b>kettle</b>"}, "A & B")


# The plane


def test_pca_is_the_plane_of_most_variance() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 5)) @ np.diag([5, 3, 1, 1, 1])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    left, values, _ = svd(unit - unit.mean(0), full_matrices=False)
    points, used = plane_of(vectors, "pca")
    assert used == "PCA"
    np.testing.assert_allclose(np.abs(points), np.abs(left[:, :2] * values[:2]), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4), (2, 1), (3, 2), (15, 8)])
def test_few_texts_are_placed_by_pca(shape: tuple[int, int]) -> None:
    points, used = plane_of(np.random.default_rng(0).normal(size=shape))
    assert (points.shape, used) == ((shape[0], 2), "PCA")
    assert np.isfinite(points).all()


def test_auto_is_pca_where_umap_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8))
    monkeypatch.setattr("likewise.search.map.umap_is_there", lambda: False)
    assert plane_of(vectors)[1] == "PCA"
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"UMAP needs .* pip install 'likewise\[map\]'"):
        plane_of(vectors, "umap")


def test_umap_is_asked_for_the_cosine_and_the_same_picture_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        def __init__(self, **settings: object):
            assert settings == {"n_neighbors": 15, "metric": "cosine", "random_state": 42}

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
            return vectors[:, :2]

    module: Any = types.ModuleType("umap")
    module.UMAP = Asked
    monkeypatch.setitem(sys.modules, "umap", module)
    points, used = plane_of(np.random.default_rng(0).normal(size=(40, 8)), "umap")
    assert (points.shape, used) == ((40, 2), "UMAP")
    assert points.dtype == np.float64


def test_umap_keeps_clusters_apart() -> None:
    pytest.importorskip("umap", reason="the extra map is not installed")
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 30)
    vectors = np.eye(3, 16)[truth] + 0.1 * random.normal(size=(90, 16))
    points, used = plane_of(vectors, "umap")
    assert used == "UMAP"
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (truth[apart.argmin(1)] == truth).all()


@pytest.mark.parametrize(
    ("vectors", "method", "message"),
    [
        (np.ones((3, 2)), "tsne", "there is no method 'tsne'; use one of auto, umap, pca"),
        (np.ones((15, 2)), "umap", "UMAP needs at least 16 texts, and there are 15; use pca"),
        (np.array([[np.nan, 1]]), "pca", "row 0 of the vectors, counted from 0, holds NaN"),
    ],
)
def test_what_has_no_plane(vectors: np.ndarray, method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plane_of(vectors, method)


# The page


def test_no_text_breaks_the_page() -> None:
    class Tags(HTMLParser):
        seen: list[str] = []  # noqa: RUF012
        held = ""

        def handle_starttag(self, tag: str, attributes: object) -> None:
            self.seen.append(tag)

        def handle_data(self, data: str) -> None:
            if data.startswith("{"):
                self.held = data

    parser = Tags()
    parser.feed(page())
    assert parser.seen.count("script") == 2
    assert "img" not in parser.seen
    held = json.loads(parser.held)
    assert held["texts"][-2] == HOSTILE
    assert held["texts"][-1] == "x" * 1000 + "…"
    assert "<title>A &amp; B</title>" in page()
    assert re.findall(r"https?://(?!example\.org)[^\s\"']+", page()) == []


def test_everything_must_fit_together() -> None:
    with pytest.raises(ValueError, match="at least one, not 2, 1, 2, 2"):
        page_of(np.ones((2, 2)), "PCA", ["one"], ["a", "b"], [0, 0])
    with pytest.raises(ValueError, match="there are no vectors to make a map of"):
        map_page(np.ones((0, 2)), [], [], [])


def test_one_text_is_a_map() -> None:
    assert '"x":[0],"y":[0],"labels":[0],"texts":["tea"]' in map_page(np.ones((1, 3)), ["tea"], ["a:1"], [0])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Browser:
    """The browser, in which the page has just been opened."""
    (tmp_path / "map.html").write_text(page(), encoding="utf-8")
    browser.events.clear()
    browser.mouse("mouseMoved", (5, 795))
    browser.open(tmp_path / "map.html")
    return browser


def colour_at(browser: Browser, row: int) -> list[int]:
    """The colour of the pixel in which the point of a text is."""
    return browser.value(
        f"(() => {{ const [a, b] = screenOf({row}).map(value => Math.floor(value * density));"
        " return [...context.getImageData(a, b, 1, 1).data].slice(0, 3); })()"
    )


def far_from(colour: list[int], other: list[int]) -> bool:
    return max(abs(one - two) for one, two in zip(colour, other, strict=True)) > 40


def test_points_are_drawn_where_they_are_in_the_colours_of_their_clusters(shown: Browser) -> None:
    ground = shown.value("ground()")
    colours = [colour_at(shown, row) for row in range(len(TEXTS))]
    assert all(far_from(colour, ground) for colour in colours)
    assert far_from(colours[0], colours[1])
    assert not far_from(colours[0], colours[2])
    assert not far_from(shown.value("[...context.getImageData(20 * density, 700 * density, 1, 1).data]")[:3], ground)
    first, second = (np.array(shown.value(f"screenOf({row})")) for row in (0, len(TEXTS) // 4))
    assert first[0] > second[0], "cosine 1 is right of cosine 0"
    assert first[1] > second[1], "sine 1 is above sine 0"


def test_the_page_says_what_it_shows(shown: Browser) -> None:
    assert shown.value("document.querySelector('h1').textContent") == "A & B"
    assert shown.value("element('about').textContent") == "40 texts · PCA"
    legend = "[...document.querySelectorAll('#legend button')].map(button => button.innerText.split('\\n').join(' '))"
    assert shown.value(legend) == ["train, late 20", "<b>kettle</b> 19", "in no cluster 1"]


def test_the_text_is_shown_under_the_pointer(shown: Browser) -> None:
    assert shown.value("tip.hidden")
    for row in (3, 38):
        shown.mouse("mouseMoved", tuple(shown.value(f"screenOf({row})")))
        assert not shown.value("tip.hidden")
        assert shown.value("tip.querySelector('.text').textContent") == TEXTS[row]
        assert shown.value("tip.querySelector('.where').textContent").startswith(f"notes.txt:{row}")
        left, top, right, bottom = shown.value(
            "(() => { const box = tip.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; })()"
        )
        assert left >= 0
        assert top >= 0
        assert right <= shown.value("innerWidth")
        assert bottom <= shown.value("innerHeight")
    shown.mouse("mouseMoved", tuple(np.array(shown.value("[width / 2 + 40, height / 2]"))))
    assert shown.value("tip.hidden")


def test_a_click_pins_the_text(shown: Browser) -> None:
    shown.click(tuple(shown.value("screenOf(5)")))
    shown.mouse("mouseMoved", (640, 400))
    assert shown.value("tip.querySelector('.text').textContent") == TEXTS[5]
    assert not shown.value("tip.hidden")
    shown.click((640, 400))
    assert shown.value("tip.hidden")


def test_the_search_lights_the_texts_that_hold_all_words(shown: Browser) -> None:
    before = [colour_at(shown, row) for row in range(len(TEXTS))]
    shown.value("element('search').focus()")
    shown.send("Input.insertText", text="KETTLE 1")
    shown.frames()
    held = [row for row, text in enumerate(TEXTS) if "kettle" in text and "1" in text]
    assert shown.value("[...lit].flatMap((value, row) => value ? [row] : [])") == held
    assert shown.value("element('found').textContent") == f"{len(held)} of 40 texts"
    dark = shown.value("ground()")
    for row in range(len(TEXTS)):
        assert far_from(colour_at(shown, row), dark) == (row in held), "what is not found pales"
        assert row not in held or not far_from(colour_at(shown, row), before[row])
    for kind in ("keyDown", "keyUp"):
        shown.send("Input.dispatchKeyEvent", type=kind, key="Escape", code="Escape", windowsVirtualKeyCode=27)
    shown.frames()
    assert [colour_at(shown, row) for row in range(len(TEXTS))] == before


def test_the_legend_shows_one_cluster_alone(shown: Browser) -> None:
    shown.value("document.querySelectorAll('#legend button')[1].click()")
    shown.frames()
    assert shown.value("[...lit]") == [int(label == 1) for label in LABELS]
    shown.value("document.querySelectorAll('#legend button')[1].click()")
    assert shown.value("[...lit]") == [1] * 40


def test_the_wheel_zooms_to_the_pointer_and_dragging_moves_the_map(shown: Browser) -> None:
    at = np.array(shown.value("screenOf(7)"))
    apart = shown.value("screenOf(8)[0] - screenOf(7)[0]")
    shown.mouse("mouseWheel", tuple(at), deltaX=0, deltaY=-400)
    np.testing.assert_allclose(shown.value("screenOf(7)"), at, atol=1.5)
    assert shown.value("screenOf(8)[0] - screenOf(7)[0]") / apart > 1.5
    shown.mouse("mousePressed", (600, 400), button="left", clickCount=1)
    shown.mouse("mouseMoved", (650, 370), button="left", buttons=1)
    shown.mouse("mouseReleased", (650, 370), button="left", clickCount=1)
    np.testing.assert_allclose(np.array(shown.value("screenOf(7)")) - at, [50, -30], atol=1.5)
    shown.value("element('whole').click()")
    np.testing.assert_allclose(shown.value("screenOf(7)"), at, atol=1)


def test_dark_is_dark(shown: Browser) -> None:
    shown.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    try:
        shown.frames()
        assert max(shown.value("[...context.getImageData(20 * density, 700 * density, 1, 1).data]")[:3]) < 40
        assert far_from(colour_at(shown, 0), shown.value("ground()"))
    finally:
        shown.send("Emulation.setEmulatedMedia", features=[])


def test_nothing_is_asked_of_the_network_and_nothing_fails(shown: Browser) -> None:
    shown.mouse("mouseMoved", tuple(shown.value("screenOf(38)")))  # the hostile text is shown
    shown.frames()
    asked = {
        event["params"]["request"]["url"].partition(":")[0]
        for event in shown.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data"}
    assert not [event for event in shown.events if event["method"] == "Runtime.exceptionThrown"]
    assert shown.value("document.images.length") == 0
    assert shown.value("document.title") == "A & B"
