"""StaticEmbedding: tables of token vectors, in both generations and as model2vec saves them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from likewise import SentenceTransformer, models
from likewise.engine import static
from likewise.engine.static import token_means
from likewise.tokens import offsets_of
from tests.network.batches import packed
from tests.tiny_checkpoints import save_tokenizer, vocabulary

TEXTS = ["The kettle boils.", "", "It was late, and the train was not in the station.", "tea"]
ROWS, WIDTH = len(vocabulary()), 5


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def table(width: int = WIDTH) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(ROWS, width)).astype(np.float32)


def expected(tokenizer: Tokenizer, rows: NDArray[Any], texts: Sequence[str]) -> NDArray[np.float64]:
    """The mean of each text's rows, in float64, one text at a time."""
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return np.stack([rows[i].astype(np.float64).mean(0) if i else np.zeros(rows.shape[1]) for i in ids])


def written(folder: Path, arrays: dict[str, NDArray[Any]], **files: Any) -> Path:
    """A folder with a tokenizer, these arrays and these JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(folder)
    save_file(arrays, folder / "model.safetensors")
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


# The mean


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 12), max_size=40),
    width=st.sampled_from([1, 3, 64]),
    seed=st.integers(0, 2**32 - 1),
    cached=st.sampled_from([4, 256, 2**18]),
)
def test_every_text_gets_the_mean_of_its_rows(lengths: list[int], width: int, seed: int, cached: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(50, width)).astype(np.float32)
    texts = [generator.integers(0, 50, length).tolist() for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "CACHED_BYTES", cached)
        means = token_means(packed(texts), rows)
    assert means.shape == (len(texts), width)
    for text, mean in zip(texts, means, strict=True):
        np.testing.assert_allclose(mean, rows[text].astype(np.float64).mean(0) if text else 0, atol=1e-6)


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1))
def test_a_texts_bits_do_not_depend_on_its_company(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(50, 16)).astype(np.float32)
    texts = [generator.integers(0, 50, length).tolist() for length in lengths]
    together = token_means(packed(texts), rows)
    for text, mean in zip(texts, together, strict=True):
        np.testing.assert_array_equal(token_means(packed([text]), rows)[0], mean)


def test_a_batch_without_texts_has_no_means() -> None:
    assert offsets_of(np.empty(0, np.int32)).tolist() == [0]
    assert token_means(packed([]), table()).shape == (0, WIDTH)


def test_half_precision_rows_are_summed_in_float32(tokenizer: Tokenizer) -> None:
    rows = np.full((ROWS, 2), 0.1, dtype=np.float16)
    model = SentenceTransformer(modules=[models.StaticEmbedding(tokenizer, rows)])
    vector = model.encode("tea " * 5000)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, np.float32(np.float16(0.1)), rtol=1e-5)


# The model


def test_a_static_model_is_its_table_without_special_tokens_or_a_limit(tokenizer: Tokenizer) -> None:
    model = SentenceTransformer(modules=[models.StaticEmbedding(tokenizer, table())])
    long = "kettle " * 3000
    vectors = model.encode([*TEXTS, long])
    np.testing.assert_allclose(vectors, expected(tokenizer, table(), [*TEXTS, long]), atol=1e-6, rtol=1e-4)
    assert (model.max_seq_length, model.get_embedding_dimension()) == (math.inf, WIDTH)
    assert (model.engine.name, model.dtype) == ("numpy", "float32")
    assert model.description.architecture == "static"
    assert model.description.max_seq_length is None


def test_all_arguments_of_encode_work_on_a_static_model(tokenizer: Tokenizer) -> None:
    modules: list[models.Module] = [models.StaticEmbedding(tokenizer, table()), models.Normalize()]
    model = SentenceTransformer(modules=modules, prompts={"query": "tea "})
    vectors = model.encode(TEXTS)
    np.testing.assert_array_equal(model.encode(TEXTS, batch_size=1), vectors)
    np.testing.assert_array_equal(model.encode(TEXTS[0]), vectors[0])
    np.testing.assert_array_equal(model.encode(TEXTS, show_progress_bar=True), vectors)
    np.testing.assert_array_equal(model.encode_query(TEXTS), model.encode([f"tea {text}" for text in TEXTS]))
    np.testing.assert_allclose(np.linalg.norm(model.encode(TEXTS[:1], truncate_dim=2), axis=1), 1, atol=1e-6)
    tokens = model.encode(TEXTS, output_value="token_embeddings")
    np.testing.assert_array_equal(tokens[3], table()[[tokenizer.token_to_id("tea") or 0]])
    assert model.encode([]).shape == (0,)
    assert isinstance(model.encode(TEXTS, convert_to_tensor=True), torch.Tensor)


def test_the_network_of_a_static_model_gives_the_same_vectors_and_trains(tokenizer: Tokenizer) -> None:
    model = SentenceTransformer(modules=[models.StaticEmbedding(tokenizer, table()), models.Normalize()])
    before = model.encode(TEXTS)
    network = model.network
    np.testing.assert_allclose(model.encode(TEXTS), before, atol=1e-6)
    network(model.tokenize(TEXTS))[0, 0].backward()
    (weight,) = network.parameters()
    assert weight.grad is not None
    assert weight.grad.any()


def test_a_new_table_is_drawn_and_saved(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = SentenceTransformer(modules=[models.StaticEmbedding(tokenizer, embedding_dim=7)])
    vectors = model.encode(TEXTS)
    assert vectors.shape == (4, 7)
    assert vectors[0].any()
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_allclose(SentenceTransformer(tmp_path / "saved").encode(TEXTS), vectors, atol=1e-6)


# In folders


@pytest.mark.parametrize("place", ["0_StaticEmbedding", "", "."])
def test_both_generations_are_read(place: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    written(tmp_path / place, {"embedding.weight": table()})
    rows = [{"idx": 0, "name": "0", "path": place, "type": "sentence_transformers.models.StaticEmbedding"}]
    (tmp_path / "modules.json").write_text(json.dumps(rows), encoding="utf-8")
    model = SentenceTransformer(tmp_path)
    np.testing.assert_allclose(model.encode(TEXTS), expected(tokenizer, table(), TEXTS), atol=1e-6)
    assert model.description.folder == str(tmp_path / place)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_a_model2vec_folder_is_read_without_modules_json(
    older: bool, normalize: bool, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    newer = {"normalize": normalize, "max_length": 512, "embedding_dtype": "float32"}
    config = {"model_type": "model2vec", "normalize": normalize, "hidden_dim": WIDTH} if older else newer
    model = SentenceTransformer(written(tmp_path, {"embeddings": table()}, config=config))
    means = expected(tokenizer, table(), TEXTS)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(
        model.encode(TEXTS), means / np.where(lengths == 0, 1, lengths) if normalize else means, atol=1e-6
    )


def test_model2vecs_mapping_and_weights_are_folded_into_the_table(tokenizer: Tokenizer, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(9, WIDTH)).astype(np.float16)
    mapping, weights = generator.integers(0, 9, ROWS), generator.uniform(size=ROWS).astype(np.float32)
    written(tmp_path, {"embeddings": rows, "mapping": mapping, "weights": weights}, config={"model_type": "model2vec"})
    folded = rows[mapping].astype(np.float64) * weights[:, None]
    np.testing.assert_allclose(
        SentenceTransformer(tmp_path).encode(TEXTS), expected(tokenizer, folded, TEXTS), atol=1e-6
    )
    static = models.StaticEmbedding.from_model2vec(tmp_path)
    np.testing.assert_allclose(static.arrays["embedding.weight"], folded, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"embedding.weight": table()[:40]}, r"a row for each of the tokenizer's \d+ tokens, but this one is float32"),
        ({"embedding.weight": table()[0]}, "has a row for each"),
        ({"embedding.weight": table().astype(np.int64)}, "but this one is int64"),
        ({"weights": table()[0]}, "there is neither 'embedding.weight' nor 'embeddings' in it, but 'weights"),
        ({"embeddings": table(), "mapping": np.full(ROWS, ROWS)}, f"a row number below {ROWS} for each token"),
        ({"embeddings": table(), "mapping": np.full(ROWS, -1)}, "a row number below"),
        ({"embeddings": table(), "mapping": np.zeros(ROWS, np.float32)}, "a row number below"),
        (
            {"embeddings": table(), "weights": np.ones(3, np.float32)},
            r"must hold \d+ numbers, but has the shape \(3,\)",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_told(arrays: dict[str, NDArray[Any]], words: str, tmp_path: Path) -> None:
    written(tmp_path, arrays, config={"model_type": "model2vec"})
    with pytest.raises(ValueError, match=words) as found:
        SentenceTransformer(tmp_path)
    assert str(tmp_path / "model.safetensors") in str(found.value)


def test_what_makes_no_static_embedding_is_told(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs embedding_weights=, or embedding_dim="):
        models.StaticEmbedding(tokenizer)
    with pytest.raises(TypeError, match=r"needs a tokenizers\.Tokenizer, but got str"):
        models.StaticEmbedding("tokenizer.json", embedding_dim=3)


def test_a_token_beyond_the_table_is_told(tmp_path: Path) -> None:
    written(tmp_path, {"embeddings": table()}, config={"model_type": "model2vec"})
    model = SentenceTransformer(tmp_path)
    model.tokenizer.add_tokens([f"teapot{number}" for number in range(10)])
    with pytest.raises(ValueError, match=rf"gives the token \d+, but the model has {ROWS} tokens"):
        model.encode(["tea", "teapot9"])
