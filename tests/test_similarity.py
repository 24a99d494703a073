import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import likewise.similarity_functions
from likewise import similarity
from likewise.similarity import (
    SimilarityFunction,
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    normalize_embeddings,
    pairwise_cos_sim,
    pairwise_dot_score,
    pairwise_euclidean_sim,
    pairwise_manhattan_sim,
)

Vector = Sequence[float]
Function = Callable[[Any, Any], Any]


def dot(a: Vector, b: Vector) -> float:
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a: Vector, b: Vector) -> float:
    length = math.sqrt(dot(a, a)) * math.sqrt(dot(b, b))
    return dot(a, b) / length if length else 0.0


def euclidean(a: Vector, b: Vector) -> float:
    return -math.dist(a, b)


def manhattan(a: Vector, b: Vector) -> float:
    return -math.fsum(abs(float(x) - float(y)) for x, y in zip(a, b, strict=True))


FUNCTIONS: list[tuple[Function, Function, Callable[[Vector, Vector], float]]] = [
    (cos_sim, pairwise_cos_sim, cosine),
    (dot_score, pairwise_dot_score, dot),
    (euclidean_sim, pairwise_euclidean_sim, euclidean),
    (manhattan_sim, pairwise_manhattan_sim, manhattan),
]
NAMES = ["cosine", "dot", "euclidean", "manhattan"]
ALL_PAIRS = [functions[0] for functions in FUNCTIONS]
PAIRWISE = [functions[1] for functions in FUNCTIONS]

all_functions = pytest.mark.parametrize(("all_pairs", "pairwise", "textbook"), FUNCTIONS, ids=NAMES)
every_function = pytest.mark.parametrize("function", ALL_PAIRS + PAIRWISE)


def random_vectors(seed: int, *shape: int) -> NDArray[np.float64]:
    """Quarters from -16 to 16, which every floating type here holds exactly, and some zero vectors."""
    generator = np.random.default_rng(seed)
    vectors = generator.integers(-64, 65, shape) / 4
    return vectors * (generator.random((*shape[:-1], 1)) > 0.2)


TYPES: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "float64 array": lambda vectors: vectors,
    "float32 array": lambda vectors: vectors.astype(np.float32),
    "float16 array": lambda vectors: vectors.astype(np.float16),
    "big-endian array": lambda vectors: vectors.astype(">f4"),
    "Fortran-ordered array": lambda vectors: np.asfortranarray(vectors.astype(np.float32)),
    "list": lambda vectors: vectors.tolist(),
    "list of arrays": lambda vectors: list(vectors.astype(np.float32)),
    "float64 tensor": torch.from_numpy,
    "float32 tensor": lambda vectors: torch.from_numpy(vectors).float(),
    "float16 tensor": lambda vectors: torch.from_numpy(vectors).half(),
    "bfloat16 tensor": lambda vectors: torch.from_numpy(vectors).bfloat16(),
    "sparse tensor": lambda vectors: torch.from_numpy(vectors).float().to_sparse(),
    "list of tensors": lambda vectors: list(torch.from_numpy(vectors).float()),
}


@all_functions
@settings(max_examples=50)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 30),
    dim=st.integers(1, 8),
    kind=st.sampled_from(list(TYPES)),
    seed=st.integers(0, 2**32 - 1),
)
def test_scores_follow_the_textbook_formula_in_the_kind_that_was_given(
    all_pairs: Function,
    pairwise: Function,
    textbook: Callable[[Vector, Vector], float],
    rows: int,
    columns: int,
    dim: int,
    kind: str,
    seed: int,
) -> None:
    a, b = random_vectors(seed, rows, dim), random_vectors(seed + 1, columns, dim)
    if kind == "bfloat16 tensor":
        a, b = (torch.from_numpy(side).bfloat16().double().numpy() for side in (a, b))
    convert, pairs = TYPES[kind], min(rows, columns)

    scores, pair_scores = all_pairs(convert(a), convert(b)), pairwise(convert(a[:pairs]), convert(b[:pairs]))

    expected = np.array([[textbook(x, y) for y in b] for x in a])
    width = "float64" if kind.startswith("float64") else "float32"
    is_tensor = "tensor" in kind
    for actual, wanted in ((scores, expected), (pair_scores, expected.diagonal())):
        assert isinstance(actual, torch.Tensor if is_tensor else np.ndarray)
        assert str(actual.dtype) == ("torch." if is_tensor else "") + width
        np.testing.assert_allclose(np.asarray(actual), wanted, rtol=1e-6, atol=1e-12 if width == "float64" else 1e-5)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_])
def test_integers_are_computed_in_float32(kind: type[np.generic]) -> None:
    vectors = np.full((2, 200), 100).astype(kind)
    expected = 200.0 * float(vectors[0, 0]) ** 2
    as_array, as_tensor = dot_score(vectors, vectors), dot_score(torch.from_numpy(vectors), torch.from_numpy(vectors))
    assert as_array.dtype == np.float32
    assert as_tensor.dtype == torch.float32
    assert as_array.tolist() == as_tensor.tolist() == [[expected, expected]] * 2


@every_function
def test_an_array_or_a_list_beside_a_tensor_becomes_a_tensor(function: Function) -> None:
    a, b = random_vectors(0, 3, 5).astype(np.float32), random_vectors(1, 3, 5)
    b.flags.writeable = False  # torch would warn of such memory
    expected = function(a.astype(np.float64), b)
    for left, right in ((torch.from_numpy(a), b), (torch.from_numpy(a), b.tolist()), (a, torch.tensor(b))):
        scores = function(left, right)
        assert isinstance(scores, torch.Tensor)
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-6, atol=1e-6)


@all_functions
@pytest.mark.parametrize("kind", ["float32 array", "list", "float32 tensor"])
def test_a_single_vector_counts_as_one_row(all_pairs: Function, pairwise: Function, textbook: Any, kind: str) -> None:
    a, b = random_vectors(5, 1, 4), random_vectors(6, 3, 4)
    one, many = TYPES[kind](a[0]), TYPES[kind](b)
    assert all_pairs(one, many).shape == (1, 3)
    assert all_pairs(many, one).shape == (3, 1)
    assert all_pairs(one, one).shape == (1, 1)
    assert pairwise(one, TYPES[kind](a)).shape == (1,)
    assert pairwise(one, one).shape == ()
    assert float(pairwise(one, many[1])) == pytest.approx(textbook(a[0], b[1]), abs=1e-6)


@every_function
@pytest.mark.parametrize("convert", [np.zeros, torch.zeros])
def test_shapes_that_do_not_fit_are_named(function: Function, convert: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"dimension.*\(2, 3\) and \(2, 4\)"):
        function(convert((2, 3)), convert((2, 4)))
    with pytest.raises(ValueError, match=r"\(3,\) and \(2, 4\)"):
        function(convert((3,)), convert((2, 4)))
    with pytest.raises(ValueError, match=r"\(2, 3, 4\) and \(2, 4\)"):
        function(convert((2, 3, 4)), convert((2, 4)))
    with pytest.raises(ValueError, match=r"\(\) and \(2, 4\)"):
        function(convert(()), convert((2, 4)))


@pytest.mark.parametrize("function", PAIRWISE)
def test_pairwise_does_not_repeat_a_row_without_a_partner(function: Function) -> None:
    with pytest.raises(ValueError, match=r"as many rows.*\(1, 4\) and \(2, 4\)"):
        function(np.zeros((1, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"\(4,\) and \(2, 4\)"):
        function(torch.zeros(4), torch.zeros(2, 4))


@pytest.mark.parametrize("wrong", [np.array([["1", "2"]]), [["a", "b"]], [[None, 1.0]], np.array([[1 + 2j]])])
def test_what_is_no_real_number_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="embeddings must be real numbers"):
        cos_sim(wrong, wrong)


def test_complex_tensors_are_refused() -> None:
    with pytest.raises(TypeError, match=r"embeddings must be real numbers, not torch\.complex64"):
        dot_score(torch.zeros(1, 2, dtype=torch.complex64), torch.zeros(1, 2))


@all_functions
@pytest.mark.parametrize("convert", [np.zeros, torch.zeros])
def test_no_rows_give_no_scores(
    all_pairs: Function, pairwise: Function, textbook: object, convert: Callable[[Any], Any]
) -> None:
    nothing = convert((0,))  # what encoding no text gives
    for empty in (nothing, convert((0, 4))):
        assert all_pairs(empty, convert((3, 4))).shape == (0, 3)
        assert all_pairs(convert((3, 4)), empty).shape == (3, 0)
        assert pairwise(empty, convert((0, 4))).shape == (0,)
    assert all_pairs(nothing, nothing).shape == (0, 0)
    assert pairwise(nothing, nothing).shape == (0,)
    assert all_pairs(convert((2, 0)), convert((3, 0))).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor])
def test_a_zero_vector_has_the_cosine_zero(convert: Callable[[Any], Any]) -> None:
    zero, other = convert([[0.0, 0.0]]), convert([[3.0, 4.0]])
    assert cos_sim(zero, other).tolist() == [[0.0]]
    assert pairwise_cos_sim(zero, zero).tolist() == [0.0]
    assert normalize_embeddings(zero).tolist() == [[0.0, 0.0]]


@every_function
def test_every_function_is_differentiable(function: Function) -> None:
    a, b = (torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.autograd.gradcheck(function, (a.requires_grad_(), b.requires_grad_()))


@every_function
def test_the_gradient_at_equal_and_zero_vectors_is_finite(function: Function) -> None:
    vectors = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    function(vectors, vectors).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


def test_products_keep_float32_under_autocast() -> None:
    vectors = torch.tensor([[1.0, 2**-10]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert dot_score(vectors, vectors).item() == 1 + 2**-20
        assert cos_sim(vectors.bfloat16(), vectors).dtype == torch.float32


@pytest.mark.parametrize("convert", [lambda array: array, torch.from_numpy], ids=["arrays", "tensors"])
def test_distances_of_nearly_equal_vectors_are_exact(convert: Callable[[Any], Any]) -> None:
    generator = np.random.default_rng(0)
    a = generator.standard_normal((40, 384)).astype(np.float32)
    b = np.nextafter(a, np.float32(9), where=generator.random(a.shape) < 0.1, out=a.copy())  # in the last bit only
    expected = -np.sqrt(((a.astype(np.float64)[:, None] - b.astype(np.float64)) ** 2).sum(-1))
    assert -1e-5 < expected.diagonal().min() < expected.diagonal().max() < 0

    np.testing.assert_allclose(np.asarray(euclidean_sim(convert(a), convert(b))), expected, rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(pairwise_euclidean_sim(convert(a), convert(b))), expected.diagonal(), rtol=1e-5
    )


@pytest.mark.parametrize("function", [euclidean_sim, manhattan_sim])
@given(
    rows=st.integers(0, 7),
    columns=st.integers(0, 7),
    dim=st.integers(1, 5),
    block=st.integers(1, 99),
    seed=st.integers(0, 99),
)
def test_blocks_do_not_change_a_distance(
    function: Function, rows: int, columns: int, dim: int, block: int, seed: int
) -> None:
    a, b = random_vectors(seed, rows, dim), random_vectors(seed + 1, columns, dim)
    expected = function(a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "_BLOCK", block)
        np.testing.assert_array_equal(function(a, b), expected)


@pytest.mark.parametrize("function", [euclidean_sim, manhattan_sim])
@pytest.mark.parametrize(("rows", "columns"), [(300, 400), (1, 120000), (120000, 1)])
def test_distances_need_little_memory_beside_their_result(function: Function, rows: int, columns: int) -> None:
    a, b = np.zeros((rows, 128), np.float32), np.zeros((columns, 128), np.float32)
    tracemalloc.start()
    try:
        result = function(a, b)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < result.nbytes + 4 * 2**20 < rows * columns * 128


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_normalising_is_exact_and_keeps_the_floating_type(kind: str) -> None:
    vectors = random_vectors(3, 2, 3, 200)  # token embeddings have three axes
    wide = vectors.astype(kind).astype(np.float64)
    lengths = np.sqrt((wide**2).sum(-1, keepdims=True))
    expected = np.divide(wide, lengths, where=lengths > 0, out=np.zeros_like(wide))
    relative, absolute = {"float16": (2**-11, 1e-7), "float32": (1e-6, 1e-7), "float64": (1e-14, 1e-14)}[kind]
    for unit in (
        normalize_embeddings(vectors.astype(kind)),
        normalize_embeddings(torch.from_numpy(vectors.astype(kind))),
    ):
        assert str(unit.dtype).removeprefix("torch.") == kind
        np.testing.assert_allclose(np.asarray(unit), expected, rtol=relative, atol=absolute)


def test_normalising_integers_or_a_list_gives_float32() -> None:
    assert normalize_embeddings(np.array([3, 4], np.int8)).dtype == np.float32
    np.testing.assert_allclose(normalize_embeddings([[3, 4]]), [[0.6, 0.8]], rtol=1e-6)
    assert normalize_embeddings(torch.tensor([3, 4])).tolist() == pytest.approx([0.6, 0.8])


def test_every_name_leads_to_its_functions() -> None:
    assert SimilarityFunction.possible_values() == NAMES
    for name, (all_pairs, pairwise, _) in zip(NAMES, FUNCTIONS, strict=True):
        assert SimilarityFunction(name) == name
        assert SimilarityFunction.to_similarity_fn(name) is all_pairs
        assert SimilarityFunction.to_similarity_pairwise_fn(SimilarityFunction(name)) is pairwise
    assert SimilarityFunction["DOT"] is SimilarityFunction["DOT_PRODUCT"]


@pytest.mark.parametrize("name", ["maxsim", "Cosine", None])
def test_an_unknown_name_is_answered_with_the_known_ones(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a similarity function; use one of cosine, dot, euclidean, manhattan"):
        SimilarityFunction.to_similarity_fn(name)


def test_the_older_import_path_leads_to_the_same_class() -> None:
    assert likewise.similarity_functions.SimilarityFunction is SimilarityFunction


def test_arrays_do_not_load_torch() -> None:
    code = """
import sys, numpy as np
from likewise import similarity, similarity_functions
from likewise.search import semantic_search
vectors = np.ones((2, 3))
for name in similarity.SimilarityFunction.possible_values():
    similarity.SimilarityFunction.to_similarity_fn(name)(vectors, vectors.tolist())
semantic_search(vectors, vectors)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
