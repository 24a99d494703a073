"""Search, pairs and communities: those of sentence-transformers, which runs in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from likewise import SentenceTransformer, util
from likewise.files import read_texts
from tests.peer.mining_cases import COMMUNITIES, MINING, SEARCH

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
TEXTS = 1200


def made_up() -> NDArray[np.float32]:
    random = np.random.default_rng(4)
    centres = random.normal(size=(60, 48))[random.integers(0, 60, TEXTS)]
    vectors: NDArray[np.float32] = (centres + random.uniform(0.2, 0.9) * random.normal(size=centres.shape)).astype("f4")
    return vectors


def real(folder: Path, model: Path) -> NDArray[np.float32]:
    file = folder / "sts" / "stsb_test.parquet"
    if not file.is_file():
        pytest.skip(f"needs the data set {file}")
    texts = [*dict.fromkeys([*read_texts(file, "sentence1"), *read_texts(file, "sentence2")])][:TEXTS]
    vectors: NDArray[np.float32] = SentenceTransformer(str(model), dtype="float32").encode(texts)
    return vectors


@pytest.fixture(scope="module", params=["made up", "real"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """Vectors, and what sentence-transformers finds in them."""
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    folders = (request.getfixturevalue(name) for name in ("shared_data", "minilm_folder"))
    vectors = made_up() if request.param == "made up" else real(*folders)
    folder = tmp_path_factory.mktemp("peer")
    np.save(folder / "vectors.npy", vectors)
    files = [str(folder / "vectors.npy"), str(folder / "found.json")]
    subprocess.run([python, "-m", "tests.peer.mine", *files], cwd=ROOT, check=True)
    return torch.from_numpy(vectors), json.loads((folder / "found.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", range(len(MINING)))
def test_the_same_pairs(both: tuple[Any, dict[str, Any]], case: int) -> None:
    vectors, found = both
    ours, theirs = util.paraphrase_mining_embeddings(vectors, **MINING[case]), found["pairs"][case]
    np.testing.assert_allclose([pair[0] for pair in ours], [pair[0] for pair in theirs], atol=1e-6)
    last = theirs[-1][0] + 1e-6  # pairs that are as good as the last may be others
    assert {tuple(pair[1:]) for pair in ours if pair[0] > last} == {
        tuple(pair[1:]) for pair in theirs if pair[0] > last
    }


@pytest.mark.parametrize("case", range(len(COMMUNITIES)))
def test_the_same_communities(both: tuple[Any, dict[str, Any]], case: int) -> None:
    vectors, found = both
    ours, theirs = util.community_detection(vectors, **COMMUNITIES[case]), found["communities"][case]
    assert [group[0] for group in ours] == [group[0] for group in theirs]
    assert list(map(sorted, ours)) == list(
        map(sorted, theirs)
    )  # within a group, equal cosines stand in any order there


@pytest.mark.parametrize("case", range(len(SEARCH)))
def test_the_same_neighbours(both: tuple[Any, dict[str, Any]], case: int) -> None:
    vectors, found = both
    ours, theirs = util.semantic_search(vectors[:50], vectors, **SEARCH[case]), found["search"][case]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose([hit["score"] for hit in one], [hit["score"] for hit in other], atol=1e-6)
        last = other[-1]["score"] + 1e-6
        sure = [{hit["corpus_id"] for hit in hits if hit["score"] > last} for hits in (one, other)]
        assert sure[0] == sure[1]
