"""The bi-encoder by what a user sees: what goes in, what comes out, and which errors tell what is wrong."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from likewise import SentenceTransformer, models
from likewise.encoding.embed import SORTED_TOGETHER
from likewise.engine import calibration
from likewise.engine import torch as torch_engine
from likewise.files import read_rows
from likewise.models.pooling import POOLING_MODES
from likewise.tokens import TokenBatch
from tests.tiny_checkpoints import POSITIONS, tiny_encoder

TEXTS = ["The kettle boils.", "", "It was late, and the train was not in the station.", "rain", "tea and music", "a"]
DIMENSION = 32  # of the tiny encoder
ROUNDING = 2e-6  # of the vector's length: what the company of other texts may change in float32


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(tiny_folder: Path) -> SentenceTransformer:
    """A random encoder with mean pooling, in float32."""
    return SentenceTransformer(tiny_folder, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def minilm(minilm_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(minilm_folder, dtype="float32", device="cpu")


def built(folder: Path, *heads: models.Module, mode: str = "mean", **arguments: Any) -> SentenceTransformer:
    """The tiny encoder with a pooling and ``heads``, put together from modules."""
    modules = [models.Transformer(folder), models.Pooling(DIMENSION, mode), *heads]
    return SentenceTransformer(modules=modules, dtype="float32", device="cpu", **arguments)


def assert_same(left: Any, right: Any) -> None:
    """Row by row the same up to ROUNDING of the vector's length."""
    left, right = np.atleast_2d(np.asarray(left)), np.atleast_2d(np.asarray(right))
    assert left.shape == right.shape
    distances = np.linalg.norm(left - right, axis=1)
    assert (distances <= ROUNDING * np.linalg.norm(right, axis=1)).all(), distances.max()


# What comes out


def test_one_text_gives_one_vector(tiny: SentenceTransformer) -> None:
    vector = tiny.encode("The kettle boils.")
    assert isinstance(vector, np.ndarray)
    assert (vector.shape, vector.dtype) == ((DIMENSION,), np.float32)


def test_texts_give_their_vectors_in_their_order(tiny: SentenceTransformer) -> None:
    vectors = tiny.encode(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), DIMENSION), np.float32)
    assert_same(vectors, [tiny.encode(text) for text in TEXTS])


def test_no_text_gives_an_empty_array(tiny: SentenceTransformer) -> None:
    assert tiny.encode([]).shape == (0,)
    assert tiny.encode([], normalize_embeddings=True, truncate_dim=3).shape == (0,)
    assert tiny.encode([], convert_to_tensor=True).shape == (0,)
    assert tiny.encode([], convert_to_numpy=False) == []
    assert tiny.encode([], output_value="token_embeddings") == []


def test_tensors_on_request(tiny: SentenceTransformer) -> None:
    one, several = tiny.encode("rain", convert_to_tensor=True), tiny.encode(TEXTS, convert_to_tensor=True)
    assert isinstance(one, torch.Tensor)
    assert isinstance(several, torch.Tensor)
    assert (one.shape, several.shape, several.dtype) == ((DIMENSION,), (len(TEXTS), DIMENSION), torch.float32)
    np.testing.assert_array_equal(several.numpy(), tiny.encode(TEXTS))


def test_a_list_of_tensors_when_no_array_is_wanted(tiny: SentenceTransformer) -> None:
    rows = tiny.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(rows, list)
    assert all(isinstance(row, torch.Tensor) and row.shape == (DIMENSION,) for row in rows)
    assert isinstance(tiny.encode("rain", convert_to_numpy=False), torch.Tensor)
    np.testing.assert_array_equal(torch.stack(rows).numpy(), tiny.encode(TEXTS))


def test_token_embeddings_have_a_vector_for_each_token(tiny: SentenceTransformer) -> None:
    lengths = tiny.tokenize(TEXTS).lengths
    found = tiny.encode(TEXTS, output_value="token_embeddings")
    assert [vectors.shape for vectors in found] == [(length, DIMENSION) for length in lengths]
    assert all(isinstance(vectors, np.ndarray) for vectors in found)
    assert_same([vectors.mean(axis=0) for vectors in found], tiny.encode(TEXTS))  # this model takes their mean
    np.testing.assert_allclose(tiny.encode(TEXTS[2], output_value="token_embeddings"), found[2], atol=1e-6)
    tensors = tiny.encode(TEXTS, output_value="token_embeddings", convert_to_tensor=True)
    assert all(isinstance(vectors, torch.Tensor) for vectors in tensors)


def test_normalize_embeddings_gives_length_one(tiny: SentenceTransformer) -> None:
    plain, normalised = tiny.encode(TEXTS), tiny.encode(TEXTS, normalize_embeddings=True)
    assert not np.allclose(np.linalg.norm(plain, axis=1), 1, atol=0.1)
    assert_same(normalised, plain / np.linalg.norm(plain, axis=1, keepdims=True))


# What goes in


def iterables() -> dict[str, Callable[[], object]]:
    import datasets
    import pandas
    import polars
    import pyarrow

    return {
        "list": lambda: TEXTS,
        "tuple": lambda: tuple(TEXTS),
        "generator": lambda: (text for text in TEXTS),
        "keys of a dictionary": lambda: dict.fromkeys(TEXTS).keys(),
        "numpy array of str": lambda: np.array(TEXTS),
        "numpy array of objects": lambda: np.array(TEXTS, dtype=object),
        "pandas Series": lambda: pandas.Series(TEXTS, index=range(10, 10 + len(TEXTS))),
        "pandas Series of Arrow strings": lambda: pandas.Series(TEXTS, dtype="string[pyarrow]"),
        "polars Series": lambda: polars.Series(TEXTS),
        "Arrow array": lambda: pyarrow.array(TEXTS),
        "Arrow array of large strings": lambda: pyarrow.array(TEXTS, pyarrow.large_string()),
        "Arrow ChunkedArray": lambda: pyarrow.chunked_array([TEXTS[:2], TEXTS[2:]]),
        "datasets column": lambda: datasets.Dataset.from_dict({"text": TEXTS})["text"],
    }


@pytest.mark.parametrize("name", iterables())
def test_any_iterable_of_texts(name: str, tiny: SentenceTransformer) -> None:
    inputs: Any = iterables()[name]()
    np.testing.assert_array_equal(tiny.encode(inputs), tiny.encode(TEXTS))


def missing() -> dict[str, Callable[[], Any]]:
    import pandas
    import polars
    import pyarrow

    return {
        "None": lambda: ["a", "b", None],
        "a number": lambda: ["a", "b", 7],
        "bytes": lambda: ["a", "b", b"c"],
        "NaN": lambda: ["a", "b", float("nan")],
        "a list": lambda: ["a", "b", ["c", "d"]],
        "a pair": lambda: ["a", "b", ("c", "d")],
        "a row": lambda: ["a", "b", {"text": "c"}],
        "a missing value of pandas": lambda: pandas.Series(["a", "b", None], dtype="string"),
        "NaN of pandas": lambda: pandas.Series(["a", "b", np.nan], dtype=object),
        "null of polars": lambda: polars.Series(["a", "b", None]),
        "null of Arrow": lambda: pyarrow.array(["a", "b", None]),
        "None of a generator": lambda: (text for text in ["a", "b", None]),
    }


@pytest.mark.parametrize("name", missing())
def test_what_is_no_text_is_named_by_its_position(name: str, tiny: SentenceTransformer) -> None:
    with pytest.raises(TypeError, match=r"^text 2 is no string"):
        tiny.encode(missing()[name]())


@pytest.mark.parametrize("inputs", [None, 7, b"kettle", {"text": "kettle"}])
def test_what_holds_no_texts_is_refused(inputs: Any, tiny: SentenceTransformer) -> None:
    with pytest.raises(TypeError, match="iterable of"):
        tiny.encode(inputs)


def test_a_whole_table_is_refused(tiny: SentenceTransformer) -> None:
    import datasets
    import pandas
    import polars
    import pyarrow

    columns = {"text": ["a", "b"], "title": ["c", "d"]}
    for table in (pandas.DataFrame(columns), polars.DataFrame(columns), pyarrow.table(columns)):
        with pytest.raises(TypeError, match="give one of its columns"):
            tiny.encode(table)
    with pytest.raises(TypeError, match="give one of its columns"):
        tiny.encode(datasets.Dataset.from_dict(columns))


def test_an_error_shows_no_more_than_the_beginning_of_a_value(tiny: SentenceTransformer) -> None:
    with pytest.raises(TypeError) as found:
        tiny.encode(["a", ["b"] * 100_000])  # type: ignore[list-item]
    assert len(str(found.value)) < 300
    with pytest.raises(ValueError, match="lone surrogate") as other:
        tiny.encode("\ud800" * 100_000)
    assert len(str(other.value)) < 300


@pytest.mark.parametrize("text", ["\ud800", "half \udfff of a character", "\ude00\ud83d"])
def test_half_of_a_character_is_refused(text: str, tiny: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match="text 2 holds a lone surrogate"):
        tiny.encode(["a", "b", text, "c"])
    with pytest.raises(ValueError, match="text 0 holds a lone surrogate"):
        tiny.encode(text)


def test_a_late_half_of_a_character_is_named_by_its_position(tiny: SentenceTransformer) -> None:
    for count in (5000, SORTED_TOGETHER + 5000):
        with pytest.raises(ValueError, match=f"text {count} holds a lone surrogate"):
            tiny.encode(["a"] * count + ["\ud800"])


# Prompts


def test_a_prompt_is_put_before_each_text(tiny: SentenceTransformer) -> None:
    with_prompt = tiny.encode(TEXTS, prompt="the river: ")
    assert_same(with_prompt, tiny.encode([f"the river: {text}" for text in TEXTS]))
    assert_same(tiny.encode("tea", prompt="the river: "), tiny.encode("the river: tea"))


def test_a_prompt_by_its_name(tiny_folder: Path) -> None:
    model = SentenceTransformer(tiny_folder, dtype="float32", prompts={"river": "the river: ", "garden": "garden: "})
    assert_same(model.encode(TEXTS, prompt_name="river"), model.encode(TEXTS, prompt="the river: "))
    assert_same(model.encode(TEXTS, prompt_name="river", prompt="a "), model.encode(TEXTS, prompt="a "))
    with pytest.raises(ValueError, match="no prompt called 'bridge'; it has query, document, river, garden"):
        model.encode(TEXTS, prompt_name="bridge")


def test_the_default_prompt_is_for_what_is_neither_query_nor_document(tiny_folder: Path) -> None:
    prompts = {"river": "the river: "}
    model = SentenceTransformer(tiny_folder, dtype="float32", prompts=prompts, default_prompt_name="river")
    plain = SentenceTransformer(tiny_folder, dtype="float32")
    assert_same(model.encode(TEXTS), plain.encode(TEXTS, prompt="the river: "))
    for encode in (model.encode_query, model.encode_document):
        assert_same(encode(TEXTS), plain.encode(TEXTS))
    assert_same(model.encode(TEXTS, prompt=""), plain.encode(TEXTS))
    with pytest.raises(ValueError, match="default_prompt_name 'bridge'"):
        SentenceTransformer(tiny_folder, default_prompt_name="bridge")


@pytest.mark.parametrize(
    ("prompts", "query", "document"),
    [
        ({}, "", ""),
        ({"query": "question: "}, "question: ", ""),
        ({"document": "text: ", "passage": "not this: "}, "", "text: "),
        ({"query": "question: ", "passage": "passage: "}, "question: ", "passage: "),
        ({"corpus": "corpus: "}, "", "corpus: "),
        ({"corpus": "not this: ", "passage": "passage: "}, "", "passage: "),
    ],
)
def test_queries_and_documents_have_prompts_of_their_own(
    prompts: dict[str, str], query: str, document: str, tiny_folder: Path, tmp_path: Path
) -> None:
    plain = SentenceTransformer(tiny_folder, dtype="float32")
    SentenceTransformer(tiny_folder, prompts=prompts).save_pretrained(tmp_path / "saved")
    for model in (
        SentenceTransformer(tiny_folder, dtype="float32", prompts=prompts),
        SentenceTransformer(tmp_path / "saved", dtype="float32"),
    ):
        assert_same(model.encode_query(TEXTS), plain.encode(TEXTS, prompt=query))
        assert_same(model.encode_document(TEXTS), plain.encode(TEXTS, prompt=document))


def test_queries_and_documents_take_the_arguments_of_encode(tiny: SentenceTransformer) -> None:
    for encode in (tiny.encode_query, tiny.encode_document):
        assert_same(encode(TEXTS, prompt="a "), tiny.encode(TEXTS, prompt="a "))
        assert_same(encode(TEXTS, "query", "a "), tiny.encode(TEXTS, prompt="a "))
        assert encode("rain", convert_to_tensor=True, truncate_dim=5).shape == (5,)
        with pytest.raises(TypeError, match="text 1"):
            encode(["a", 7])  # type: ignore[list-item]


@pytest.mark.parametrize("prompts", [["query: "], "query: ", {"query": 7}])
def test_prompts_that_are_no_texts_by_name_are_refused(prompts: Any, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="prompts must be texts by name"):
        SentenceTransformer(tiny_folder, prompts=prompts)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_the_pooling_can_leave_the_prompt_out(mode: str, tiny_folder: Path) -> None:
    prompt = "the river: "
    pooling = models.Pooling(DIMENSION, mode, include_prompt=False)
    model = SentenceTransformer(modules=[models.Transformer(tiny_folder), pooling], dtype="float32", device="cpu")
    skipped = len(model.tokenize([prompt]).ids) - 1  # its own tokens and the one that begins every text
    expected = []
    for tokens in model.encode(TEXTS, prompt=prompt, output_value="token_embeddings"):
        kept, places = tokens[skipped:].astype(np.float64), np.arange(skipped, len(tokens))[:, None] + 1
        assert len(kept) > 0
        expected.append(
            {
                "cls": kept[0],
                "max": kept.max(0),
                "mean": kept.mean(0),
                "mean_sqrt_len_tokens": kept.sum(0) / len(kept) ** 0.5,
                "weightedmean": (kept * places).sum(0) / places.sum(),
                "lasttoken": kept[-1],
            }[mode]
        )
    np.testing.assert_allclose(model.encode(TEXTS, prompt=prompt), expected, atol=2e-6)
    assert_same(model.encode(TEXTS, prompt=""), built(tiny_folder, mode=mode).encode(TEXTS))


# Fewer dimensions


def test_truncating_cuts_where_the_model_does_not_normalise(tiny: SentenceTransformer) -> None:
    np.testing.assert_array_equal(tiny.encode(TEXTS, truncate_dim=5), tiny.encode(TEXTS)[:, :5])
    assert tiny.encode("rain", truncate_dim=5).shape == (5,)


def test_truncating_normalises_again_where_the_model_normalises(tiny_folder: Path) -> None:
    model = built(tiny_folder, models.Normalize())
    short = model.encode(TEXTS)[:, :5]
    assert_same(model.encode(TEXTS, truncate_dim=5), short / np.linalg.norm(short, axis=1, keepdims=True))


def test_truncating_to_more_than_there_is_changes_nothing(tiny: SentenceTransformer) -> None:
    np.testing.assert_array_equal(tiny.encode(TEXTS, truncate_dim=1000), tiny.encode(TEXTS))
    tiny.truncate_dim = 1000
    assert tiny.get_embedding_dimension() == DIMENSION


def test_a_model_can_truncate_by_itself(tiny_folder: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_folder, dtype="float32", truncate_dim=7)
    assert model.encode(TEXTS).shape == (len(TEXTS), 7)
    assert model.encode(TEXTS, truncate_dim=9).shape == (len(TEXTS), 9)
    assert model.get_embedding_dimension() == model.get_sentence_embedding_dimension() == 7
    with model.truncate_embeddings(3):
        assert model.encode(TEXTS).shape == (len(TEXTS), 3)
    with model.truncate_sentence_embeddings(None):
        assert model.encode(TEXTS).shape == (len(TEXTS), DIMENSION)
    assert model.truncate_dim == 7
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(
        SentenceTransformer(tmp_path / "saved", dtype="float32").encode(TEXTS), model.encode(TEXTS)
    )


@pytest.mark.parametrize("truncate_dim", [0, -1, 2.5])
def test_truncating_to_nothing_is_refused(truncate_dim: Any, tiny: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match="truncate_dim must be a whole number, 1 or more"):
        tiny.encode(TEXTS, truncate_dim=truncate_dim)


# Comparing


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity_gives_what_it_is_given(name: Any, tiny_folder: Path) -> None:
    model = SentenceTransformer(tiny_folder, dtype="float32", similarity_fn_name=name)
    vectors = model.encode(TEXTS)
    left, right = vectors[:2].astype(np.float64), vectors[2:].astype(np.float64)
    differences = left[:, None] - right[None]  # (2, 4, dim)
    products = left @ right.T
    expected: NDArray[np.float64] = {
        "cosine": products / np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)),
        "dot": products,
        "euclidean": -np.linalg.norm(differences, axis=2),
        "manhattan": -np.abs(differences).sum(axis=2),
    }[name]
    arrays = model.similarity(vectors[:2], vectors[2:])
    tensors = model.similarity(torch.from_numpy(vectors[:2]), torch.from_numpy(vectors[2:]))
    assert isinstance(arrays, np.ndarray)
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_allclose(arrays, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tensors.numpy(), expected, rtol=1e-5, atol=1e-5)
    pairs = model.similarity_pairwise(vectors[:2], vectors[2:4])
    pairs_of_tensors = model.similarity_pairwise(torch.from_numpy(vectors[:2]), torch.from_numpy(vectors[2:4]))
    assert isinstance(pairs, np.ndarray)
    assert isinstance(pairs_of_tensors, torch.Tensor)
    np.testing.assert_allclose(pairs, np.diag(expected), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pairs_of_tensors.numpy(), np.diag(expected), rtol=1e-5, atol=1e-5)


def test_the_similarity_is_saved(tiny_folder: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_folder)
    assert model.similarity_fn_name == "cosine"
    model.similarity_fn_name = "dot"
    model.save_pretrained(tmp_path / "saved")
    assert SentenceTransformer(tmp_path / "saved").similarity_fn_name == "dot"
    assert SentenceTransformer(tmp_path / "saved", similarity_fn_name="manhattan").similarity_fn_name == "manhattan"
    with pytest.raises(ValueError, match="'maxsim' is not known; use one of cosine, dot, euclidean, manhattan"):
        model.similarity_fn_name = "maxsim"


# Put together from modules


def test_the_tutorials_way_of_building_a_model(tiny_folder: Path) -> None:
    transformer = models.Transformer(str(tiny_folder), max_seq_length=20)
    pooling = models.Pooling(
        transformer.get_word_embedding_dimension(),
        pooling_mode_mean_tokens=True,
        pooling_mode_cls_token=False,
        pooling_mode_max_tokens=False,
    )
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu", dtype="float32")
    assert model.max_seq_length == 20
    assert_same(model.encode(TEXTS), SentenceTransformer(tiny_folder, dtype="float32").encode(TEXTS))


def test_a_dense_layer_with_given_weights(tiny_folder: Path) -> None:
    generator = np.random.default_rng(5)
    weight, bias = generator.normal(size=(6, DIMENSION)), generator.normal(size=6)
    dense = models.Dense(DIMENSION, 6, activation_function=nn.Tanh(), init_weight=torch.tensor(weight), init_bias=bias)
    expected = np.tanh(built(tiny_folder).encode(TEXTS) @ weight.T + bias)
    model = built(tiny_folder, dense)
    assert model.get_embedding_dimension() == 6
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=2e-6)


def test_heads_follow_each_other(tiny_folder: Path) -> None:
    weight = np.random.default_rng(6).normal(size=(6, DIMENSION))
    dense = models.Dense(DIMENSION, 6, bias=False, activation_function=nn.ReLU(), init_weight=weight)
    values = np.maximum(built(tiny_folder).encode(TEXTS) @ weight.T, 0)
    norm = (values - values.mean(1, keepdims=True)) / np.sqrt(values.var(1, keepdims=True) + 1e-5)
    expected = norm / np.linalg.norm(norm, axis=1, keepdims=True)
    model = built(tiny_folder, models.Dropout(0.5), dense, models.LayerNorm(6), models.Normalize())
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)


def test_fresh_weights_are_drawn_once(tiny_folder: Path, tmp_path: Path) -> None:
    model = built(tiny_folder, models.Dense(DIMENSION, 6), models.Normalize())
    other = built(tiny_folder, models.Dense(DIMENSION, 6), models.Normalize())
    vectors = model.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 6)
    np.testing.assert_array_equal(model.encode(TEXTS), vectors)
    assert not np.allclose(other.encode(TEXTS), vectors, atol=1e-3)
    model.save_pretrained(tmp_path / "saved")
    assert_same(SentenceTransformer(tmp_path / "saved", dtype="float32").encode(TEXTS), vectors)


def test_several_poolings_side_by_side(tiny_folder: Path) -> None:
    modes = ["cls", "max", "mean"]
    model = SentenceTransformer(
        modules=[models.Transformer(tiny_folder), models.Pooling(DIMENSION, modes)], dtype="float32", device="cpu"
    )
    expected = np.concatenate([built(tiny_folder, mode=mode).encode(TEXTS) for mode in modes], axis=1)
    assert model.get_embedding_dimension() == 3 * DIMENSION
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-6)


def test_modules_that_do_not_fit_together_are_refused(tiny_folder: Path) -> None:
    transformer, pooling = models.Transformer(tiny_folder), models.Pooling(DIMENSION)
    wrong: list[list[models.Module]] = [[], [transformer], [pooling, transformer], [transformer, models.Normalize()]]
    for modules in wrong:
        with pytest.raises(ValueError, match="a model is a Transformer or WordEmbeddings, then a Pooling, or"):
            SentenceTransformer(modules=modules)
    with pytest.raises(ValueError, match="expects token vectors of 16 dimensions, the encoder gives 32"):
        SentenceTransformer(modules=[transformer, models.Pooling(16)])
    with pytest.raises(ValueError, match="not both"):
        SentenceTransformer(tiny_folder, modules=[transformer, pooling])
    with pytest.raises(ValueError, match="give a model's name or folder, or modules="):
        SentenceTransformer()


# Saved and loaded


def test_a_saved_model_gives_the_same_bits(tiny_folder: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    dense = models.Dense(2 * DIMENSION, 6, init_weight=generator.normal(size=(6, 2 * DIMENSION)), init_bias=np.ones(6))
    norm = models.LayerNorm(6, {"norm.weight": np.full(6, 2, "f"), "norm.bias": np.arange(6, dtype="f")})
    pooling = models.Pooling(DIMENSION, ["lasttoken", "weightedmean"], include_prompt=False)
    transformer = models.Transformer(tiny_folder, 12)
    modules: list[models.Module] = [transformer, pooling, dense, norm, models.Dropout(0.3), models.Normalize()]
    prompts = {"query": "the river: "}
    model = SentenceTransformer(modules=modules, dtype="float32", device="cpu", prompts=prompts)
    model.save_pretrained(tmp_path / "saved")
    loaded = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))
    np.testing.assert_array_equal(loaded.encode_query(TEXTS), model.encode_query(TEXTS))
    assert (loaded.max_seq_length, loaded.prompts) == (12, {"query": "the river: ", "document": ""})
    assert repr(loaded) == repr(model)


def test_what_is_given_wins_over_what_is_saved(tiny_folder: Path, tmp_path: Path) -> None:
    prompts = {"query": "saved: ", "river": "the river: "}
    SentenceTransformer(
        tiny_folder, prompts=prompts, default_prompt_name="river", truncate_dim=9, similarity_fn_name="dot"
    ).save_pretrained(tmp_path / "saved")
    saved = SentenceTransformer(tmp_path / "saved")
    assert saved.prompts == prompts | {"document": ""}
    assert (saved.default_prompt_name, saved.truncate_dim, saved.similarity_fn_name) == ("river", 9, "dot")
    given = SentenceTransformer(
        tmp_path / "saved",
        prompts={"query": "given: "},
        default_prompt_name="query",
        truncate_dim=5,
        similarity_fn_name="euclidean",
    )
    assert given.prompts == prompts | {"document": "", "query": "given: "}
    assert (given.default_prompt_name, given.truncate_dim, given.similarity_fn_name) == ("query", 5, "euclidean")


def test_the_true_model_saved_gives_the_same_bits(minilm: SentenceTransformer, tmp_path: Path) -> None:
    minilm.save(tmp_path / "saved")
    loaded = SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu")
    np.testing.assert_array_equal(loaded.encode(TEXTS), minilm.encode(TEXTS))
    assert loaded.max_seq_length == 256


def test_changed_weights_are_used_and_saved(tiny_folder: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(tiny_folder, dtype="float32", device="cpu")
    before = model.encode(TEXTS)
    np.testing.assert_array_equal(model.network(model.tokenize(TEXTS)).detach().numpy(), model.encode(TEXTS))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.25)
    changed = model.encode(TEXTS)
    assert not np.allclose(changed, before, atol=1e-2)
    model.save_pretrained(tmp_path / "saved")
    assert_same(SentenceTransformer(tmp_path / "saved", dtype="float32", device="cpu").encode(TEXTS), changed)
    assert_same(SentenceTransformer(tiny_folder, dtype="float32", device="cpu").encode(TEXTS), before)


def test_encoding_during_training_has_no_dropout(tiny_folder: Path) -> None:
    model = SentenceTransformer(tiny_folder, dtype="float32", device="cpu")
    before = model.encode(TEXTS)
    batch = model.tokenize(TEXTS)
    model.train()
    with torch.no_grad():
        assert not torch.equal(model.network(batch), model.network(batch))
    assert_same(model.encode(TEXTS), before)


# What computes


def test_a_dtype_that_no_engine_has_is_refused(tiny_folder: Path) -> None:
    assert SentenceTransformer(tiny_folder, dtype=torch.int8, device="cpu").dtype == "int8"
    with pytest.raises(ValueError, match="'float8' is not known; use one of auto, float32, bfloat16, float16, int8"):
        SentenceTransformer(tiny_folder, dtype="float8")


@pytest.mark.parametrize(("native", "dtype"), [(True, "bfloat16"), (False, "float32")])
@pytest.mark.parametrize("engine", ["native", "torch"])
def test_auto_is_bfloat16_where_the_processor_has_it(
    engine: Literal["native", "torch"],
    native: bool,
    dtype: str,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_engine, "has_native_bfloat16", lambda: native)
    monkeypatch.setattr(calibration, "is_native", lambda instructions, dtype: native)
    model = SentenceTransformer(tiny_folder, device="cpu", engine=engine)
    assert "dtype auto" in repr(model)
    model.encode("rain")
    assert model.dtype == model.description.dtype == dtype
    assert f"{engine} in {dtype} on cpu" in repr(model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_can_be_chosen(dtype: Any, tiny_folder: Path) -> None:
    expected = SentenceTransformer(tiny_folder, dtype="float32", device="cpu").encode(TEXTS)
    chosen = [
        SentenceTransformer(tiny_folder, dtype=dtype, device="cpu"),
        SentenceTransformer(tiny_folder, dtype=getattr(torch, dtype), device="cpu"),
        SentenceTransformer(tiny_folder, model_kwargs={"torch_dtype": dtype}, device="cpu"),
    ]
    moved = SentenceTransformer(tiny_folder, device="cpu")
    chosen.append({"float32": moved.float, "bfloat16": moved.bfloat16, "float16": moved.half}[dtype]())
    for model in chosen:
        vectors = model.encode(TEXTS)
        assert (model.dtype, vectors.dtype) == (dtype, np.float32)
        rounding = {"float32": 0, "bfloat16": 2**-8, "float16": 2**-11}[dtype]
        assert np.abs(vectors - expected).max() <= 8 * rounding
        assert (np.abs(vectors - expected).max() > 0) == (rounding > 0)


def test_a_device_that_is_not_there_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="the device 'kettle' cannot be used here"):
        SentenceTransformer(tiny_folder, device="kettle").encode("rain")


def test_several_threads_get_the_same_vectors(minilm_folder: Path) -> None:
    model = SentenceTransformer(minilm_folder, dtype="float32", device="cpu")  # its engine is made by who is first
    expected = SentenceTransformer(minilm_folder, dtype="float32", device="cpu").encode(TEXTS)

    def encoded(turn: int) -> NDArray[np.float32]:
        order = np.random.default_rng(turn).permutation(len(TEXTS))
        vectors = np.empty_like(expected)
        vectors[order] = model.encode([TEXTS[index] for index in order], batch_size=1 + turn % 3)
        return vectors

    with ThreadPoolExecutor(6) as pool:
        for vectors in pool.map(encoded, range(24)):
            assert_same(vectors, expected)


def test_the_description_tells_what_a_model_is(minilm: SentenceTransformer, minilm_folder: Path) -> None:
    description = minilm.description
    assert (description.origin, description.folder) == ("local folder", str(minilm_folder))
    assert description.architecture == "bert"
    assert [module.partition("(")[0] for module in description.modules] == ["Transformer", "Pooling", "Normalize"]
    assert (description.pooling, description.similarity) == ("mean", "cosine")
    assert (description.dimension, description.max_seq_length, description.parameters) == (384, 256, 22_565_376)
    assert (description.checkpoint_dtype, description.dtype) == ("float32", "float32")
    assert (description.engine, description.device) == ("native", "cpu")


# Length, batches, progress


def test_a_text_over_the_limit_loses_its_end(tiny: SentenceTransformer) -> None:
    text = "rain tea river music paper water"
    tiny.max_seq_length = 5  # with the first and the last token, which every text has
    assert_same(tiny.encode(text), tiny.encode("rain tea river"))
    tiny.max_seq_length = POSITIONS
    assert tiny.get_max_seq_length() == POSITIONS
    assert np.linalg.norm(tiny.encode(text) - tiny.encode("rain tea river")) > 0.01


def test_a_limit_that_the_model_cannot_have_is_refused(tiny: SentenceTransformer) -> None:
    for limit in (0, POSITIONS + 1):
        with pytest.raises(ValueError, match=f"max_seq_length must be between 1 and {POSITIONS}"):
            tiny.max_seq_length = limit
    tiny.max_seq_length = 2
    with pytest.raises(ValueError, match="adds 2 special tokens to each text; set it to 3 or more"):
        tiny.encode("rain")


class Spy:
    """An engine that notes what it is given."""

    name, dtype, device = "spy", "float32", "cpu"
    by_length = True

    def __init__(self) -> None:
        self.batches: list[TokenBatch] = []

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        for batch in batches:
            self.batches.append(batch)
            yield np.zeros((len(batch), DIMENSION), np.float32)

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        raise NotImplementedError


@pytest.mark.parametrize(("batch_size", "token_budget"), [(2, 4096), (None, 15), (2, 15), (1, 4096), (100, 1)])
def test_batches_keep_to_their_limits(
    batch_size: int | None, token_budget: int, tiny: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy()
    monkeypatch.setitem(tiny._live._engines, "", spy)
    tiny.encode(TEXTS, batch_size=batch_size, token_budget=token_budget)
    assert sum(len(batch) for batch in spy.batches) == len(TEXTS)
    for batch in spy.batches:
        assert len(batch) <= (batch_size or len(TEXTS))
        assert len(batch.ids) <= token_budget or len(batch) == 1


def test_progress_is_shown_on_request_only(tiny: SentenceTransformer, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.encode(TEXTS)
    tiny.encode(TEXTS, show_progress_bar=False)
    assert capsys.readouterr() == ("", "")
    tiny.encode(TEXTS, show_progress_bar=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "100%" in shown.err
    assert "6/6 sentences" in shown.err


# The true model

WORDS = ["kettle", "rain", "train", "late", "tea", "the", "of", "music", "bridge", "7,500", "naïve", "電車", "🚂"]
ANY_TEXT = st.one_of(
    st.text(max_size=40),  # any character but halves of one
    st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp", "Co", "Cn"]), max_size=20),  # none that is seen
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
)


@given(
    texts=st.lists(ANY_TEXT, min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
    token_budget=st.sampled_from([1, 20, 100, 4096]),
    batch_size=st.sampled_from([None, 1, 2, 5]),
)
@example(texts=["", "a", "rain " * 300, "a\0b", "rain"], order=Random(1), token_budget=300, batch_size=None)
@settings(max_examples=20)
def test_the_same_text_gives_the_same_vector_in_any_company(
    texts: list[str], order: Random, token_budget: int, batch_size: int | None, minilm: SentenceTransformer
) -> None:
    alone = [minilm.encode(text) for text in texts]
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)
    assert_same(minilm.encode(texts, token_budget=token_budget, batch_size=batch_size), alone)
    shuffled = list(range(len(texts)))
    order.shuffle(shuffled)
    company = [texts[index] for index in shuffled] + WORDS
    assert_same(minilm.encode(company)[: len(texts)], [alone[index] for index in shuffled])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0.01), ("bfloat16", 0.05)])
def test_the_published_value_on_the_sts_benchmark(
    dtype: str, tolerance: float, minilm_folder: Path, shared_data: Path
) -> None:
    from scipy.stats import spearmanr

    rows = list(read_rows(shared_data / "sts" / "stsb_test.parquet"))
    columns: dict[str, list[Any]] = {name: [row.values[name] for row in rows] for name in rows[0].values}
    model = SentenceTransformer(minilm_folder, dtype=dtype, device="cpu")
    cosines = model.similarity_pairwise(model.encode(columns["sentence1"]), model.encode(columns["sentence2"]))
    assert len(cosines) == 1379
    assert 100 * spearmanr(cosines, columns["score"]).statistic == pytest.approx(82.03, abs=tolerance)
