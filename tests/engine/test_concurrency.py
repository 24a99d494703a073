"""The native engine in many threads, in forked and in spawned processes, at any budget: always the same bits."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from likewise.engine.library import DTYPES, are_there, instruction_sets
from tests.tiny_checkpoints import WORDS, tiny_encoder

pytestmark = pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")

INSTRUCTIONS = instruction_sets() if are_there() else []
MODEL_TYPES = ("bert", "mpnet", "modernbert", "nomic_bert")
TEXTS = [" ".join(WORDS[(place * step) % len(WORDS)] for step in range(place % 60)) for place in range(64)]
LISTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=70).map(" ".join), min_size=1, max_size=12)

FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    return cache(lambda model_type: tiny_encoder(tmp_path_factory.mktemp("encoder"), model_type))


def unused(folder: Path, dtype: str, threads: int) -> SentenceTransformer:
    """A model that has no engine yet."""
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32), models.Normalize()]
    return SentenceTransformer(modules=modules, dtype=dtype, engine="native", threads=threads)


def loaded(folder: Path, dtype: str, threads: int, instructions: str = "") -> SentenceTransformer:
    model = unused(folder, dtype, threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIKEWISE_ISA", instructions)
        assert model.engine.name == "native"  # made now, with these instructions, or the best where none are named
    return model


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=LISTS, data=st.data())
def test_order_budget_batch_size_and_threads_change_no_bit(
    model_type: str, dtype: str, instructions: str, folder_of: FolderOf, texts: list[str], data: st.DataObject
) -> None:
    alone, together = (_kept(folder_of(model_type), dtype, threads, instructions) for threads in (1, 3))
    expected = np.stack([alone.encode(text) for text in texts])
    order = data.draw(st.permutations(range(len(texts))))
    budget = data.draw(st.integers(1, 300), label="token_budget")
    size = data.draw(st.none() | st.integers(1, 5), label="batch_size")
    found = together.encode([texts[place] for place in order], token_budget=budget, batch_size=size)
    np.testing.assert_array_equal(found, expected[order])


_kept = cache(loaded)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sixteen_threads_that_are_the_first_to_use_a_model(dtype: str, folder_of: FolderOf) -> None:
    expected = loaded(folder_of("modernbert"), dtype, threads=1).encode(TEXTS)
    model = unused(folder_of("modernbert"), dtype, threads=2)
    together = threading.Barrier(16)

    def encoded(number: int) -> NDArray[np.float32]:
        together.wait()
        order = np.random.default_rng(number).permutation(len(TEXTS))  # each thread has texts of its own order
        vectors = np.empty_like(expected)
        vectors[order] = model.encode([TEXTS[place] for place in order], token_budget=50 + number)
        return vectors

    with ThreadPoolExecutor(16) as pool:
        for found in pool.map(encoded, range(16)):
            np.testing.assert_array_equal(found, expected)


_shared: dict[str, SentenceTransformer] = {}  # with a process that is forked: no model can be pickled


def _encoded_by_the_shared() -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = _shared["model"].encode(TEXTS, token_budget=64)
    return vectors


def _encoded_by_a_new(folder: Path, dtype: str) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = loaded(folder, dtype, threads=2).encode(TEXTS, token_budget=64)
    return vectors


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("dtype", DTYPES)
def test_processes_forked_while_threads_compute(dtype: str, folder_of: FolderOf) -> None:
    _shared["model"] = loaded(folder_of("mpnet"), dtype, threads=2)
    expected = _encoded_by_the_shared()
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            np.testing.assert_array_equal(_encoded_by_the_shared(), expected)

    with ThreadPoolExecutor(4) as pool:
        computing = [pool.submit(compute) for _ in range(4)]
        try:
            for _ in range(3):
                with multiprocessing.get_context("fork").Pool(2) as processes:
                    for found in [processes.apply_async(_encoded_by_the_shared) for _ in range(4)]:
                        np.testing.assert_array_equal(found.get(timeout=60), expected)
        finally:
            stop.set()
        for done in computing:
            done.result()


def test_a_spawned_process_computes_the_same_bits(folder_of: FolderOf) -> None:
    folder = folder_of("bert")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.starmap_async(_encoded_by_a_new, [(folder, dtype) for dtype in DTYPES]).get(timeout=300)
    for dtype, vectors in zip(DTYPES, found, strict=True):
        np.testing.assert_array_equal(vectors, _encoded_by_a_new(folder, dtype), err_msg=dtype)
