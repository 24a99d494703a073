"""likewise gives what sentence-transformers gave when record.py was run, but for the differences named here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from tests.peer.inputs import (
    CALLS,
    LIMIT,
    LIMITED,
    PROMPT,
    SENTENCES,
    SHORT,
    WIDTH,
    lowest_cosine,
    outcome,
)

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "minilm_facts.json").read_text(encoding="utf-8"))
LOWEST = {"float32": 0.99999, "bfloat16": 0.9998}  # the least cosine between our vector and theirs

DIFFERENCES: dict[str, list[Any]] = {  # a call → what it gives here; docs/migration.md says why
    "no text": ["array", [0], "float32"],  # theirs is float64, for no reason
    "token vectors of one": ["array", [7, 384], "float32"],
    "token vectors of two": ["list", [["array", [7, 384], "float32"], ["array", [10, 384], "float32"]]],
    "token vectors are not truncated": ["list", [["array", [7, 384], "float32"], ["array", [10, 384], "float32"]]],
    "all outputs": ["error"],
    "pairs": ["error"],  # a text is a text: there the two are joined, which no bi-encoder was trained for
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, NDArray[np.float32]]:
    with np.load(HERE / "minilm_vectors.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def model(minilm_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(minilm_folder, dtype="float32", device="cpu")


@pytest.mark.parametrize("dtype", LOWEST)
def test_every_vector_is_theirs(dtype: str, minilm_folder: Path, theirs: dict[str, NDArray[np.float32]]) -> None:
    model = SentenceTransformer(minilm_folder, dtype=dtype, device="cpu")
    assert len(theirs["sentences"]) == len(SENTENCES)
    for sentence, ours, vector in zip(SENTENCES, model.encode(SENTENCES), theirs["sentences"], strict=True):
        assert lowest_cosine([ours], [vector]) > LOWEST[dtype], sentence[:80]


def test_prompted_truncated_and_limited_vectors_are_theirs(
    minilm_folder: Path, theirs: dict[str, NDArray[np.float32]]
) -> None:
    model = SentenceTransformer(minilm_folder, dtype="float32", device="cpu")
    ours = {
        "prompted": model.encode(LIMITED, prompt=PROMPT),
        "truncated": model.encode(LIMITED, truncate_dim=WIDTH, normalize_embeddings=True),
        "tokens": model.encode(SHORT, output_value="token_embeddings"),
    }
    model.max_seq_length = LIMIT
    ours["limited"] = model.encode(LIMITED)
    for name, vectors in ours.items():
        np.testing.assert_allclose(vectors, theirs[name], atol=2e-5, err_msg=name)


def test_vectors_without_their_prompt_are_theirs(minilm_folder: Path, theirs: dict[str, NDArray[np.float32]]) -> None:
    parts: list[models.Module] = [
        models.Transformer(minilm_folder),
        models.Pooling(384, include_prompt=False),
        models.Normalize(),
    ]
    ours = SentenceTransformer(modules=parts, dtype="float32", device="cpu").encode(LIMITED, prompt=PROMPT)
    np.testing.assert_allclose(ours, theirs["without_prompt"], atol=2e-5)
    assert lowest_cosine(ours, theirs["prompted"]) < 0.99


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities_are_theirs(name: str, model: SentenceTransformer, theirs: dict[str, NDArray[np.float32]]) -> None:
    vectors = theirs["sentences"][4:9] * np.arange(1, 6, dtype=np.float32)[:, None]  # of different lengths
    model.similarity_fn_name = name
    all_pairs = model.similarity(vectors[:2], vectors[2:])
    pairs = model.similarity_pairwise(vectors[:2], vectors[2:4])
    model.similarity_fn_name = "cosine"
    np.testing.assert_allclose(all_pairs, theirs[f"{name} of all"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pairs, theirs[f"{name} of pairs"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CALLS)
def test_encode_gives_the_same_kind_and_shape(name: str, model: SentenceTransformer) -> None:
    texts, arguments = CALLS[name]
    assert outcome(model.encode, texts, arguments) == DIFFERENCES.get(name, FACTS["calls"][name])


def test_every_difference_is_one() -> None:
    assert [name for name, ours in DIFFERENCES.items() if ours == FACTS["calls"][name]] == []


def test_sentences_have_as_many_tokens(model: SentenceTransformer) -> None:
    assert model.tokenize(SENTENCES).lengths.tolist() == FACTS["tokens of each sentence"]


def test_properties_are_theirs(model: SentenceTransformer) -> None:
    for name, value in FACTS["properties"].items():
        found = getattr(model, name)
        assert (found() if name.startswith("get_") else found) == value, name
