"""The kernels on texts as long as a model allows, beside short ones: near the network in torch, the same bits alone."""

from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import models
from likewise.engine.library import DTYPES, are_there, instruction_sets
from likewise.engine.native import NativeEngine
from likewise.models.pooling import POOLING_MODES
from likewise.network.packed import packed_tokens
from likewise.network.pooling import Pooling
from likewise.tokens import TokenBatch
from tests.network.batches import SEEDS, packed, random_texts
from tests.network.twins import load_ours
from tests.peer.inputs import cosines
from tests.tiny_checkpoints import counts_from_padding, tiny_encoder, vocabulary

pytestmark = pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")

INSTRUCTIONS = instruction_sets() if are_there() else []
LONGEST = {"bert": 8192, "mpnet": 2048, "modernbert": 8192, "nomic_bert": 8192}  # MPNet's bias grows with the square
ALL = tuple(POOLING_MODES)
NEAR = {"bfloat16": 0.9998, "int8": 0.99}  # the least mean cosine to float32: random weights are no kind ones
LIMITS = pytest.mark.parametrize("limit", [600, pytest.param(8192, marks=pytest.mark.slow)])
FEW = settings(max_examples=2, suppress_health_check=list(HealthCheck))

EngineOf = Callable[[str, str, str, tuple[str, ...]], NativeEngine]  # model type, instruction set, dtype, poolings
InTorch = Callable[[str, TokenBatch], NDArray[np.float32]]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def saved(model_type: str) -> Path:
        changes = {"max_position_embeddings": LONGEST[model_type] + 2 * counts_from_padding(model_type)}
        if model_type == "modernbert":
            changes["local_attention"] = 128  # as the true one has it
        return tiny_encoder(tmp_path_factory.mktemp("encoder"), model_type, **changes)

    return saved


@pytest.fixture(scope="module")
def engine_of(folder_of: Callable[[str], Path]) -> EngineOf:
    @cache
    def made(model_type: str, instructions: str, dtype: str, modes: tuple[str, ...]) -> NativeEngine:
        chain = models.chain_of([models.Transformer(folder_of(model_type)), models.Pooling(32, list(modes))])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LIKEWISE_ISA", instructions)
            return NativeEngine(chain, dtype, threads=2)

    return made


@pytest.fixture(scope="module")
def in_torch(folder_of: Callable[[str], Path]) -> InTorch:
    network = cache(lambda model_type: load_ours(folder_of(model_type)))

    def token_vectors(model_type: str, batch: TokenBatch) -> NDArray[np.float32]:
        with torch.no_grad():
            return network(model_type)(packed_tokens(batch, torch.device("cpu"))).numpy()

    return token_vectors


def drawn(data: st.DataObject, model_type: str, limit: int) -> list[list[int]]:
    """One long text among up to five short ones, in any order."""
    longest = min(LONGEST[model_type], limit)
    # The limit itself is drawn as often as any other length together: hypothesis seldom does.
    long = data.draw(st.just(longest) | st.integers(longest // 2, longest), label="the long text")
    lengths = data.draw(st.lists(st.integers(1, 200), max_size=5), label="the short texts")
    lengths.insert(data.draw(st.integers(0, len(lengths)), label="the place of the long text"), long)
    return random_texts(lengths, data.draw(SEEDS), range(len(vocabulary(model_type))))


def assert_near(found: NDArray[np.float32], expected: NDArray[np.float32], dtype: str, what: str) -> None:
    if dtype == "float32":
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0, err_msg=what)
    else:
        assert cosines(found, expected).mean() > NEAR[dtype], what


@LIMITS
@pytest.mark.parametrize("model_type", LONGEST)
@FEW
@given(data=st.data())
def test_tokens_and_poolings_equal_the_networks(
    model_type: str, limit: int, engine_of: EngineOf, in_torch: InTorch, data: st.DataObject
) -> None:
    batch = packed(drawn(data, model_type, limit))
    tokens = in_torch(model_type, batch)
    for instructions, dtype, modes in product(INSTRUCTIONS, DTYPES, [("cls",), ("lasttoken",), ALL]):
        what = f"{instructions}, {dtype}, {modes}"
        engine = engine_of(model_type, instructions, dtype, modes)
        pooled = Pooling(modes)(torch.from_numpy(tokens), packed_tokens(batch, torch.device("cpu"))).numpy()
        (found,) = engine.embed([batch])
        for place, mode in enumerate(modes):
            columns = slice(32 * place, 32 * (place + 1))
            assert_near(found[:, columns], pooled[:, columns], dtype, f"{what}: {mode}")
    for instructions, dtype in product(INSTRUCTIONS, DTYPES):
        (found,) = engine_of(model_type, instructions, dtype, ALL).token_vectors([batch])
        assert_near(found, tokens, dtype, f"{instructions}, {dtype}: tokens")


@LIMITS
@pytest.mark.parametrize("model_type", LONGEST)
@FEW
@given(data=st.data())
def test_the_same_bits_beside_a_long_text(
    model_type: str, limit: int, engine_of: EngineOf, data: st.DataObject
) -> None:
    texts = drawn(data, model_type, limit)
    order = data.draw(st.permutations(range(len(texts))))
    for instructions, dtype, modes in product(INSTRUCTIONS, DTYPES, [("cls",), ALL]):
        engine = engine_of(model_type, instructions, dtype, modes)
        alone = np.concatenate([*engine.embed([packed([text]) for text in texts])])
        (together,) = engine.embed([packed([texts[place] for place in order])])
        np.testing.assert_array_equal(together, alone[order], err_msg=f"{instructions}, {dtype}, {modes}")


@pytest.mark.parametrize("model_type", LONGEST)
def test_the_longest_text(model_type: str, engine_of: EngineOf, in_torch: InTorch) -> None:
    batch = packed(random_texts([9, LONGEST[model_type], 1], 0, range(len(vocabulary(model_type)))))
    expected = in_torch(model_type, batch)
    for dtype in DTYPES:
        (found,) = engine_of(model_type, INSTRUCTIONS[0], dtype, ALL).token_vectors([batch])
        assert_near(found, expected, dtype, dtype)
    with pytest.raises(ValueError, match=f"text 0 has {LONGEST[model_type] + 1} tokens, but the longest text has"):
        list(engine_of(model_type, INSTRUCTIONS[0], "float32", ALL).embed([packed([[5] * (LONGEST[model_type] + 1)])]))
