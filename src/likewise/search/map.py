"""A corpus as a picture: its vectors in two dimensions, as points on one self-contained HTML page."""

import html
import json
import warnings
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.search.semantic import unit_vectors

METHODS = ("auto", "umap", "pca")
NEIGHBOURS = 15  # that UMAP looks at, its own default; with fewer texts there is nothing to learn
LONGEST = 1000  # characters of a text that the page holds
STEPS = 65_535  # places in each direction


def map_page(
    vectors: NDArray[Any],
    texts: Sequence[str],
    sources: Sequence[str],
    labels: Sequence[int] | NDArray[np.int64],
    names: Mapping[int, str] | None = None,
    title: str = "Map",
    method: str = "auto",
) -> str:
    """An HTML page that shows each text as a point, close to those that are alike.

    vectors (n, dim), and for each of them a text, where it comes from, and the number of its cluster, −1 for none;
    ``names`` tells what the clusters are called. ``method`` is as in plane_of. The page holds everything that it
    needs, and of each text the first 1,000 characters; it asks no other machine for anything.

    Raises:
        ValueError: There are no texts, vectors, texts, sources and labels are not equally many, or as plane_of does.
    """
    points, used = plane_of(vectors, method)
    return page_of(points, used, texts, sources, labels, names, title)


def plane_of(vectors: NDArray[Any], method: str = "auto", seed: int = 42) -> tuple[NDArray[np.float64], str]:
    """``vectors`` (n, dim) in the plane, (n, 2), and how they came there: "UMAP" or "PCA".

    ``method`` "umap" (McInnes et al. 2018) keeps neighbours together, by the cosine; "pca" is the plane in which the
    vectors, each of length 1, vary most. "auto" is UMAP where the package umap-learn is there and at least 16 texts
    are, and PCA otherwise.

    Raises:
        ValueError: There is no such method, there are no vectors or too few for UMAP, or they hold NaN or infinity.
        ImportError: umap-learn is missing, and ``method`` is "umap".
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
    if not len(vectors):
        raise ValueError("there are no vectors to make a map of")
    unit = unit_vectors(vectors)
    if method != "pca":
        is_enough = len(unit) > NEIGHBOURS
        if method == "umap" and not is_enough:
            raise ValueError(f"UMAP needs at least {NEIGHBOURS + 1} texts, and there are {len(unit)}; use pca")
        if is_enough and (method == "umap" or umap_is_there()):
            return _umap(unit, seed), "UMAP"
    return _pca(unit), "PCA"


def umap_is_there() -> bool:
    """Whether the package umap-learn is installed; it takes seconds to import."""
    from importlib.util import find_spec

    return find_spec("umap") is not None


def page_of(
    points: NDArray[np.float64],
    method: str,
    texts: Sequence[str],
    sources: Sequence[str],
    labels: Sequence[int] | NDArray[np.int64],
    names: Mapping[int, str] | None = None,
    title: str = "Map",
) -> str:
    """The page of map_page for ``points`` (n, 2) that plane_of gave, with the name of what it used.

    Raises:
        ValueError: There are no texts, or points, texts, sources and labels are not equally many.
    """
    sizes = [len(points), len(texts), len(sources), len(labels)]
    if len(set(sizes)) > 1 or not sizes[0]:
        told = ", ".join(map(str, sizes))
        raise ValueError(f"there must be as many points, texts, sources and labels, and at least one, not {told}")
    low = points.min(0)
    spread = float((points.max(0) - low).max()) or 1.0
    places = np.rint((points - low) / spread * STEPS).astype(int)  # both directions by the same measure
    data = {
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "labels": [int(label) for label in labels],
        "texts": [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in texts],
        "sources": list(sources),
        "names": {str(number): name for number, name in (names or {}).items()},
        "method": method,
    }
    template = (files("likewise.search") / "map.html").read_text(encoding="utf-8")
    before, after = template.split("{{data}}")
    # No text can end the script that holds it: JSON may spell each < as an escape.
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return before.replace("{{title}}", html.escape(title)) + written + after


def _umap(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from likewise.extras import extra

    with extra("map", "UMAP"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread, and others that no user can act on
        import umap

        made = umap.UMAP(n_neighbors=NEIGHBOURS, metric="cosine", random_state=seed)
        return np.asarray(made.fit_transform(unit), np.float64)


def _pca(unit: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = unit.astype(np.float64) - unit.mean(0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    plane = np.zeros((unit.shape[1], 2))
    chosen = axes[:, ::-1][:, :2]  # eigh gives the smallest first
    signs = np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])  # either sign would be right
    plane[:, : chosen.shape[1]] = chosen * signs
    points: NDArray[np.float64] = centred @ plane
    return points
