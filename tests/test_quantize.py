"""Smaller vectors, against one number at a time; tests/peer compares with sentence-transformers."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import likewise.quantization
from likewise import SentenceTransformer, quantize, similarity, util
from likewise.quantize import (
    BINARY,
    SCALAR,
    Precision,
    check_precision,
    dequantize_embeddings,
    quantization_ranges,
    quantize_embeddings,
    unpacked_bits,
)
from tests.tiny_checkpoints import tiny_encoder

PRECISIONS: tuple[Precision, ...] = ("float32", "int8", "uint8", "binary", "ubinary")
TEXTS = ["The kettle boils.", "It was late.", "rain", "tea and music", "the green garden"]
SOME = np.random.default_rng(0).normal(size=(120, 16)).astype(np.float32)
DTYPES = {"int8": np.int8, "binary": np.int8, "uint8": np.uint8, "ubinary": np.uint8, "float32": np.float32}

MATRICES = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
    elements=st.floats(-1000, 1000, width=32),
)


def slow(vectors: NDArray[np.float32], precision: Precision, ranges: NDArray[np.float32]) -> list[list[int]]:
    """One number at a time, by the words of the module's docstring."""
    rows = []
    for vector in vectors:
        if precision in SCALAR:
            row = []
            for number, low, high in zip(vector, *ranges, strict=True):
                step = (high - low) / np.float32(255)
                with np.errstate(over="ignore"):
                    bucket = np.floor((number - low) / (step if step > 0 else np.float32(1)))
                row.append(int(min(max(bucket, 0), 255)) - (128 if precision == "int8" else 0))
        else:
            bits = "".join("1" if number > 0 else "0" for number in vector)
            bits += "0" * (-len(bits) % 8)
            offset = 128 if precision == "binary" else 0
            row = [int(bits[place : place + 8], 2) - offset for place in range(0, len(bits), 8)]
        rows.append(row)
    return rows


@given(vectors=MATRICES, seen=MATRICES, precision=st.sampled_from(PRECISIONS[1:]), at_once=st.integers(1, 40))
def test_codes_are_those_of_one_number_at_a_time(
    vectors: NDArray[np.float32], seen: NDArray[np.float32], precision: Precision, at_once: int
) -> None:
    seen = np.resize(seen, (len(seen), vectors.shape[1]))
    ranges = np.vstack((seen.min(0), seen.max(0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "NUMBERS_AT_ONCE", at_once)
        codes = quantize_embeddings(vectors, precision, ranges)
        calibrated = quantize_embeddings(vectors, precision, calibration_embeddings=seen)
    assert codes.dtype == DTYPES[precision]
    assert codes.tolist() == slow(vectors, precision, ranges)
    np.testing.assert_array_equal(calibrated, codes)
    if precision in BINARY:
        np.testing.assert_array_equal(unpacked_bits(codes, precision, vectors.shape[1]), vectors > 0)


@pytest.mark.parametrize("precision", SCALAR)
def test_what_is_restored_lies_within_a_bucket(precision: Precision) -> None:
    ranges = quantization_ranges(SOME, precision)
    restored = dequantize_embeddings(quantize_embeddings(SOME, precision), precision, ranges)
    width = (ranges[1] - ranges[0]) / 255
    assert (restored <= SOME + 1e-5).all()
    assert (SOME - restored <= 1.001 * width).all()
    assert similarity.pairwise_cos_sim(SOME, restored.astype(np.float32)).min() > 0.999


KINDS: dict[str, Callable[[NDArray[np.float32]], Any]] = {
    "array": lambda vectors: vectors,
    "reversed rows": lambda vectors: vectors[::-1].copy()[::-1],
    "read-only": lambda vectors: np.frombuffer(vectors.tobytes(), np.float32).reshape(vectors.shape),
    "list": lambda vectors: vectors.tolist(),
    "list of arrays": list,
    "tensor": torch.from_numpy,
    "tensor with a gradient": lambda vectors: torch.from_numpy(vectors).requires_grad_(),
    "list of tensors": lambda vectors: list(torch.from_numpy(vectors)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_arrays_tensors_and_lists_give_arrays(precision: Precision, kind: str) -> None:
    ranges = quantization_ranges(SOME, "int8")
    codes = quantize_embeddings(KINDS[kind](SOME), precision, ranges)
    assert isinstance(codes, np.ndarray)
    assert codes.dtype == DTYPES[precision]
    same = SOME.astype(np.float64) if kind == "list" else SOME  # numbers of Python are float64
    np.testing.assert_array_equal(codes, quantize_embeddings(same, precision, ranges))
    assert util.quantize_embeddings is likewise.quantization.quantize_embeddings is quantize_embeddings


def test_bfloat16_tensors_are_taken() -> None:
    vectors = torch.from_numpy(SOME).bfloat16()
    np.testing.assert_array_equal(quantize_embeddings(vectors, "uint8"), quantize_embeddings(vectors.float(), "uint8"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_matrices_of_a_list_share_their_buckets(precision: Precision) -> None:
    parts = [SOME[:3], SOME[3:3], SOME[3:]]
    for matrices in (parts, [torch.from_numpy(part) for part in parts]):
        codes = quantize_embeddings(matrices, precision)
        assert [len(part) for part in codes] == [3, 0, 117]
        np.testing.assert_array_equal(np.concatenate(codes), quantize_embeddings(SOME, precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_stays_nothing(precision: Precision) -> None:
    width = 2 if precision in BINARY else 16
    for shape, expected in (((0, 16), (0, width)), ((0,), (0,))):
        codes = quantize_embeddings(np.empty(shape, np.float32), precision)
        assert codes.shape == expected
        assert codes.dtype == DTYPES[precision]
    assert quantize_embeddings([], precision) == []


def test_few_embeddings_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        quantize_embeddings(SOME, "int8")
        quantize_embeddings(SOME[:5], "binary")
        quantize_embeddings(SOME[:5], "int8", calibration_embeddings=SOME[:5])
        assert caplog.messages == []
        quantize_embeddings(SOME[:99], "uint8")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("uint8 buckets are computed from 99 embeddings only; give ranges")


WRONG: Any = {"precision": "int4", "text": "tea"}
NAN = np.where(np.arange(16) == 3, np.nan, SOME)
RISING = np.vstack((SOME.min(0), SOME.max(0)))
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: quantize_embeddings(SOME, WRONG["precision"]), ValueError, "'int4' is not known; use one of 'float32', "),
    (lambda: check_precision("float16"), ValueError, "'float16' is not known"),
    (lambda: quantize_embeddings(SOME.astype(np.int8), "int8"), ValueError, "but are int8 already"),
    (lambda: quantize_embeddings(SOME.astype(np.uint8), "float32"), ValueError, "but are uint8 already"),
    (lambda: quantize_embeddings(SOME[None], "binary"), ValueError, r"not \(1, 120, 16\)"),
    (lambda: quantize_embeddings(np.float32(1), "binary"), ValueError, r"not \(\)"),
    (lambda: quantize_embeddings([[1.0, 2.0], [1.0]], "binary"), ValueError, "rows of equal length"),
    (lambda: quantize_embeddings([SOME, SOME[:, :8]], "int8"), ValueError, "same dimension, but there are 8, 16"),
    (lambda: quantize_embeddings(SOME * 1j, "int8"), TypeError, "complex"),
    (lambda: quantize_embeddings([[WRONG["text"]]], "int8"), TypeError, "real numbers"),
    (lambda: quantize_embeddings(SOME[0], "int8"), ValueError, "cannot be told from a single embedding; give ranges="),
    (lambda: quantize_embeddings(SOME[:1], "uint8"), ValueError, "ranges of uint8 cannot be told"),
    (lambda: quantize_embeddings(NAN, "int8"), ValueError, "row 0 of embeddings, counted from 0, holds NaN"),
    (lambda: quantize_embeddings(np.r_[SOME, NAN], "binary"), ValueError, "row 120 of embeddings"),
    (lambda: quantize_embeddings(SOME * np.inf, "uint8", RISING), ValueError, "NaN or infinity"),
    (lambda: quantize_embeddings(SOME, "int8", None, NAN), ValueError, "row 0 of calibration_embeddings"),
    (lambda: quantize_embeddings(SOME, "int8", None, SOME[0]), ValueError, r"with rows in it, not \(16,\)"),
    (lambda: quantize_embeddings(SOME, "int8", None, SOME[:, :8]), ValueError, r"\(2, 16\), .* not \(2, 8\)"),
    (lambda: quantize_embeddings(SOME, "int8", RISING.T), ValueError, r"\(2, 16\), lowest and highest, not \(16, 2\)"),
    (lambda: quantize_embeddings(SOME, "int8", RISING[::-1]), ValueError, "ranges of dimension 0 must rise, but are"),
    (lambda: quantize_embeddings(SOME, "int8", RISING * np.nan), ValueError, "row 0 of ranges"),
]


@pytest.mark.parametrize("place", range(len(REFUSED)))
def test_what_is_wrong_is_told(place: int) -> None:
    call, kind, words = REFUSED[place]
    with np.errstate(invalid="ignore"), pytest.raises(kind, match=words):
        call()


def test_the_row_that_is_wrong_is_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "NUMBERS_AT_ONCE", 32)  # two rows
    with pytest.raises(ValueError, match="row 121 of embeddings"):
        quantize_embeddings(np.r_[SOME, SOME[:1], NAN], "binary")


def test_similarities_of_codes_do_not_overflow() -> None:
    codes = np.array([[100, -100, 100], [100, 100, 100]], np.int8)
    kinds: tuple[Any, ...] = (codes, torch.from_numpy(codes))
    for kind in kinds:
        assert float(similarity.dot_score(kind, kind)[0, 0]) == 30000
        assert float(similarity.pairwise_euclidean_sim(kind[:1], kind[1:])[0]) == -200
        assert float(util.cos_sim(kind, kind)[0, 1]) == pytest.approx(1 / 3)


# encode(precision=)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    folder = tiny_encoder(tmp_path_factory.mktemp("tiny"))
    return SentenceTransformer(folder, dtype="float32", device="cpu", prompts={"query": "tea: "})


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
def test_encode_truncates_normalises_and_then_quantises(
    model: SentenceTransformer, method: str, precision: Precision
) -> None:
    encode = getattr(model, method)
    for arguments in ({}, {"truncate_dim": 12}, {"normalize_embeddings": True}):
        expected = quantize_embeddings(encode(TEXTS, **arguments), precision)
        codes = encode(TEXTS, precision=precision, **arguments)
        assert (codes.shape, codes.dtype) == (expected.shape, DTYPES[precision])
        np.testing.assert_array_equal(codes, expected)
        tensor = encode(TEXTS, precision=precision, convert_to_tensor=True, **arguments)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor.numpy(), codes)
        rows = encode(TEXTS, precision=precision, convert_to_numpy=False, **arguments)
        assert all(map(torch.equal, rows, tensor))
    with model.truncate_embeddings(8):
        assert encode(TEXTS, precision=precision).shape == (5, 1 if precision in BINARY else 8)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_text_and_no_text(model: SentenceTransformer, precision: Precision) -> None:
    assert model.encode([], precision=precision).shape == (0,)
    assert model.encode([], precision=precision).dtype == DTYPES[precision]
    if precision in SCALAR:
        with pytest.raises(ValueError, match="from a single embedding; give ranges="):
            model.encode("tea", precision=precision)
    else:
        np.testing.assert_array_equal(
            model.encode("tea", precision=precision), model.encode(["tea"], precision=precision)[0]
        )


def test_token_vectors_share_their_buckets(model: SentenceTransformer) -> None:
    vectors = model.encode(TEXTS, output_value="token_embeddings")
    codes = model.encode(TEXTS, output_value="token_embeddings", precision="int8")
    np.testing.assert_array_equal(np.concatenate(codes), quantize_embeddings(np.concatenate(vectors), "int8"))


def test_cosines_of_the_true_model_stay(minilm_folder: Path) -> None:
    model = SentenceTransformer(minilm_folder, device="cpu")
    vectors = model.encode([f"{text} {place}" for place in range(30) for text in TEXTS])
    true = model.similarity(vectors, vectors)
    codes = quantize_embeddings(vectors, "int8")
    restored = dequantize_embeddings(codes, "int8", quantization_ranges(vectors, "int8"))
    assert np.abs(model.similarity(restored, restored) - true).max() < 0.01
    bits = unpacked_bits(quantize_embeddings(vectors, "binary"), "binary")
    assert np.corrcoef(model.similarity(bits, bits).ravel(), true.ravel())[0, 1] > 0.9
