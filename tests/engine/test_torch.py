"""The torch engine: the same bits where they are asked for, a full memory, results of a GPU that are on their way."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise import SentenceTransformer, models
from likewise.engine import torch as room
from likewise.engine.torch import GPU_TOKEN_BUDGET, TorchEngine, in_flight, is_out_of_memory
from likewise.network import prepacked
from likewise.network.linear import Linear
from likewise.network.prepacked import PrepackedLinear, prepack
from likewise.tokens import TokenBatch
from tests.network.batches import packed
from tests.tiny_checkpoints import WORDS, tiny_encoder
from tests.tiny_language_models import tiny_language_model

MODEL_TYPES = ("bert", "mpnet", "modernbert", "qwen3", "deberta-v2")
LISTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=70).map(" ".join), min_size=1, max_size=12)

FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """A saved model of each architecture, with a head behind its pooling."""

    @cache
    def saved(model_type: str) -> Path:
        make = tiny_language_model if model_type == "qwen3" else tiny_encoder
        encoder = models.Transformer(make(tmp_path_factory.mktemp("encoder"), model_type))
        width = encoder.get_embedding_dimension()
        modules: list[models.Module] = [encoder, models.Pooling(width), models.Dense(width, 24), models.Normalize()]
        folder = tmp_path_factory.mktemp("model") / model_type
        SentenceTransformer(modules=modules, device="cpu").save_pretrained(folder)
        return folder

    return saved


@cache
def loaded(folder: Path, threads: int) -> SentenceTransformer:
    return SentenceTransformer(folder, engine="torch", device="cpu", dtype="float32", threads=threads)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=10)
@given(texts=LISTS, data=st.data())
def test_deterministic_changes_no_bit_by_order_budget_batch_size_or_threads(
    model_type: str, folder_of: FolderOf, texts: list[str], data: st.DataObject
) -> None:
    alone, together = (loaded(folder_of(model_type), threads) for threads in (1, 3))
    expected = np.stack([alone.encode(text, deterministic=True) for text in texts])
    order = data.draw(st.permutations(range(len(texts))))
    budget = data.draw(st.none() | st.integers(1, 300), label="token_budget")
    size = data.draw(st.none() | st.integers(1, 5), label="batch_size")
    options: dict[str, Any] = {"token_budget": budget, "batch_size": size, "deterministic": True}
    found = together.encode([texts[place] for place in order], **options)
    np.testing.assert_array_equal(found, expected[order])
    np.testing.assert_allclose(found, together.encode(texts)[order], atol=1e-5)


class TooSmall:
    """A network's memory that holds so many tokens, as torch tells of it."""

    def __init__(self, network: nn.Module, tokens: int, error: RuntimeError):
        self.compute, self.tokens, self.error = network.forward, tokens, error
        self.tried: list[int] = []

    def __call__(self, batch: TokenBatch) -> Tensor:
        self.tried.append(len(batch.ids))
        if len(batch.ids) > self.tokens:
            raise self.error
        vectors: Tensor = self.compute(batch)
        return vectors


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB). Tried to allocate 1.25 GB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
TEXTS = [" ".join(WORDS[: 1 + place % 9]) for place in range(40)]  # 3 to 11 tokens


@pytest.fixture
def fresh(tmp_path: Path) -> SentenceTransformer:
    return SentenceTransformer(tiny_encoder(tmp_path), engine="torch", device="cpu", dtype="float32", threads=1)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:10])
def test_a_full_memory_cuts_the_batch_and_keeps_the_smaller_budget(
    error: RuntimeError, fresh: SentenceTransformer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = fresh.encode(TEXTS)
    engine: Any = fresh.engine
    memory = TooSmall(engine.network, 30, error)
    monkeypatch.setattr(engine.network, "forward", memory)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(fresh.encode(TEXTS), expected, atol=1e-6)
    assert memory.tried[0] > memory.tried[1] > memory.tried[2]  # halves, and halves of them
    assert "out of memory on cpu" in caplog.text
    assert engine.token_budget <= 30
    memory.tried.clear()
    np.testing.assert_allclose(fresh.encode(TEXTS), expected, atol=1e-6)
    assert max(memory.tried) <= 30  # nothing fails a second time


def test_a_single_text_that_does_not_fit_is_named(fresh: SentenceTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = fresh.engine.network  # type: ignore[attr-defined]
    monkeypatch.setattr(network, "forward", TooSmall(network, 5, ERRORS[0]))
    with pytest.raises(torch.OutOfMemoryError) as raised:
        fresh.encode(TEXTS)
    assert "A single text of 11 tokens is more than cpu holds" in raised.value.__notes__[0]


def test_other_errors_are_no_full_memory(fresh: SentenceTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = fresh.engine.network  # type: ignore[attr-defined]
    memory = TooSmall(network, 5, RuntimeError("a size does not match"))
    monkeypatch.setattr(network, "forward", memory)
    with pytest.raises(RuntimeError, match="a size does not match"):
        fresh.encode(TEXTS)
    assert len(memory.tried) == 1
    assert not is_out_of_memory(memory.error)


def test_a_gpu_is_given_batches_before_earlier_results_are_collected(
    fresh: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh.encode(TEXTS)
    engine: Any = fresh.engine
    events: list[tuple[str, int]] = []

    def on_its_way(vectors: Tensor) -> Callable[[], NDArray[np.float32]]:
        number = sum(kind == "sent" for kind, _ in events)
        events.append(("sent", number))

        def collected() -> NDArray[np.float32]:
            events.append(("collected", number))
            found: NDArray[np.float32] = vectors.numpy()
            return found

        return collected

    monkeypatch.setattr(room, "on_its_way", on_its_way)
    monkeypatch.setattr(engine, "is_on_cpu", False)
    assert engine.token_budget == GPU_TOKEN_BUDGET
    np.testing.assert_allclose(fresh.encode(TEXTS, token_budget=20), expected, atol=1e-6)
    assert events[: room.IN_FLIGHT + 2] == [
        *(("sent", number) for number in range(room.IN_FLIGHT + 1)),
        ("collected", 0),
    ]
    assert [number for kind, number in events if kind == "collected"] == list(range(len(events) // 2))


def test_in_flight_takes_batches_as_they_are_needed() -> None:
    taken = 0

    def batches() -> Iterator[TokenBatch]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield packed([[1, 2]])

    results = in_flight(lambda batch: torch.ones(len(batch), 3), batches())
    next(results)
    assert taken == room.IN_FLIGHT + 1
    assert len(list(results)) == 49


@pytest.mark.parametrize("mkl_is_faster", [False, True])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_prepacked_weights_give_what_plain_ones_do(
    model_type: str, mkl_is_faster: bool, folder_of: FolderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepacked, "MKL_IS_FASTER", mkl_is_faster)
    fast, plain = (SentenceTransformer(folder_of(model_type), engine="torch", device="cpu") for _ in range(2))
    encoder: Any = fast.engine.network.encoder  # type: ignore[attr-defined]
    are_prepacked = any(isinstance(module, PrepackedLinear) for module in encoder.modules())
    assert are_prepacked == (not mkl_is_faster or model_type in ("bert", "mpnet", "modernbert"))
    assert not any(type(module) is Linear for module in encoder.modules())
    # A network that may train has nothing prepacked.
    assert not any(isinstance(module, PrepackedLinear) for module in plain.network.modules())
    np.testing.assert_allclose(fast.encode(TEXTS), plain.encode(TEXTS), atol=1e-5)


def test_an_activation_fused_into_its_product(fresh: SentenceTransformer) -> None:
    expected = fresh.encode(TEXTS)
    network: Any = fresh.network
    layer = network.encoder.layers[0]
    prepacked._fuse_activation(layer)
    assert (type(layer.expand), type(layer.activation)) == (PrepackedLinear, nn.Identity)
    layer.expand.plain = None  # by oneDNN, whatever is the fastest here
    np.testing.assert_allclose(fresh.encode(TEXTS), expected, atol=1e-5)


def test_layers_whose_weights_are_used_in_another_way_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, tokens: object) -> Tensor:
            return torch.ones(1, 4) @ self.layer.weight

    monkeypatch.setattr(prepacked, "MKL_IS_FASTER", False)
    module = Own()
    prepack(module)
    assert type(module.layer) is nn.Linear


def test_an_engine_for_the_same_bits_shares_the_network(fresh: SentenceTransformer) -> None:
    engine = fresh.engine
    assert isinstance(engine, TorchEngine)
    assert engine.deterministic().network is engine.network  # type: ignore[attr-defined]


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
def test_what_is_deterministic_is_computed_alone_by_one_thread(
    texts: list[str], fresh: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = fresh.engine
    seen: list[tuple[int, int]] = []
    compute = engine.network.forward

    def noted(batch: TokenBatch) -> Tensor:
        seen.append((len(batch), torch.get_num_threads()))
        vectors: Tensor = compute(batch)
        return vectors

    monkeypatch.setattr(engine.network, "forward", noted)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fresh.encode(texts, deterministic=True)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, 1)] * len(texts)
