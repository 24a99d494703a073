"""The kernels against the network in torch: every architecture, precision, pooling and instruction set."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from numpy.typing import NDArray

from likewise import CrossEncoder, SentenceTransformer, models
from likewise.engine.kernel_encoder import kernel_encoder, not_known
from likewise.engine.library import DTYPES, Encoder, are_there, instruction_set, instruction_sets
from likewise.engine.native import NativeEngine, parts
from likewise.models.pooling import POOLING_MODES
from likewise.network.packed import packed_tokens
from likewise.network.pooling import Pooling
from likewise.tokens import TokenBatch
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.network.twins import load_ours
from tests.network.variants import VARIANTS
from tests.peer.inputs import SENTENCES as REAL_SENTENCES
from tests.peer.inputs import cosines
from tests.tiny_checkpoints import POSITIONS, tiny_classifier, tiny_encoder

pytestmark = pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")

INSTRUCTIONS = instruction_sets() if are_there() else []
SENTENCES = [
    "The kettle boils.",
    "",
    "A small train was late in the winter rain, and the station was not green.",
    "tea " * 30,
    "Ünïcödé ☔ and a bridge",
]

KernelEncoder = Callable[[str, str, str], Encoder]  # variant, instruction set, dtype


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def saved(variant: str) -> Path:
        model_type, changes = VARIANTS[variant]
        return tiny_encoder(tmp_path_factory.mktemp("encoder"), model_type, **changes)

    return saved


@pytest.fixture(scope="module")
def ours(folder_of: Callable[[str], Path]) -> KernelEncoder:
    @cache
    def made(variant: str, instructions: str, dtype: str) -> Encoder:
        return kernel_encoder(models.Transformer(folder_of(variant)), dtype, instructions)

    return made


@pytest.fixture(scope="module")
def in_torch(folder_of: Callable[[str], Path]) -> Callable[[str, TokenBatch], NDArray[np.float32]]:
    network = cache(lambda variant: load_ours(folder_of(variant)))

    def token_vectors(variant: str, batch: TokenBatch) -> NDArray[np.float32]:
        with torch.no_grad():
            return network(variant)(packed_tokens(batch, torch.device("cpu"))).numpy()

    return token_vectors


def texts_for(encoder: Encoder, lengths: Sequence[int], seed: int) -> list[list[int]]:
    """Random texts, in which the padding token is spelt out now and then."""
    ids = [*range(encoder.settings.vocabulary)] + [encoder.settings.padding_id] * 20
    return random_texts(lengths, seed, ids)


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=8)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[7, 7, 1, 7], seed=0)
@example(lengths=[1, POSITIONS], seed=0)
def test_token_vectors_equal_the_networks(
    variant: str,
    instructions: str,
    ours: KernelEncoder,
    in_torch: Callable[[str, TokenBatch], NDArray[np.float32]],
    lengths: list[int],
    seed: int,
) -> None:
    encoder = ours(variant, instructions, "float32")
    batch = packed(texts_for(encoder, lengths, seed))
    expected = in_torch(variant, batch)
    np.testing.assert_allclose(encoder.encode(batch, ["tokens"]), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize(("dtype", "lowest"), [("bfloat16", 0.9998), ("int8", 0.99)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_lower_precisions_stay_near(
    variant: str,
    dtype: str,
    lowest: float,
    instructions: str,
    ours: KernelEncoder,
    in_torch: Callable[[str, TokenBatch], NDArray[np.float32]],
) -> None:
    encoder = ours(variant, instructions, dtype)
    batch = packed(texts_for(encoder, [3, 40, 11, 80, 1], seed=1))
    found = cosines(encoder.encode(batch, ["tokens"]), in_torch(variant, batch))
    assert found.mean() > lowest


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["mean", "cls", "lasttoken"])
@pytest.mark.parametrize("variant", ["bert", "mpnet", "modernbert", "nomic_bert"])
@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
def test_a_text_has_the_same_bits_in_any_batch(
    variant: str, mode: str, dtype: str, instructions: str, ours: KernelEncoder, lengths: list[int], seed: int
) -> None:
    encoder = ours(variant, instructions, dtype)
    texts = texts_for(encoder, lengths, seed)
    alone = np.concatenate([encoder.encode(packed([text]), [mode]) for text in texts])
    order = np.random.default_rng(seed).permutation(len(texts))
    together = encoder.encode(packed([texts[place] for place in order]), [mode])
    np.testing.assert_array_equal(together, alone[order])


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize(
    "modes", [*[[mode] for mode in POOLING_MODES], ["cls", "mean"], list(POOLING_MODES)], ids="+".join
)
@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
def test_poolings_equal_the_networks(
    modes: list[str], instructions: str, ours: KernelEncoder, lengths: list[int], seed: int
) -> None:
    encoder = ours("modernbert", instructions, "float32")
    prompts = np.random.default_rng(seed).integers(0, lengths).tolist()
    for skipped in (None, prompts):
        batch = packed(texts_for(encoder, lengths, seed), prompt_lengths=skipped)
        tokens = torch.from_numpy(encoder.encode(batch, ["tokens"]))
        expected = Pooling(modes)(tokens, packed_tokens(batch, torch.device("cpu"))).numpy()
        np.testing.assert_allclose(encoder.encode(batch, modes), expected, atol=1e-5)


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_empty_texts_get_zeros_and_segments_are_heeded(
    instructions: str, ours: KernelEncoder, in_torch: Callable[[str, TokenBatch], NDArray[np.float32]]
) -> None:
    encoder = ours("bert", instructions, "float32")
    for mode in POOLING_MODES:
        found = encoder.encode(packed([[], [5, 6], []]), [mode])
        assert not found[[0, 2]].any()
        np.testing.assert_array_equal(found[1:2], encoder.encode(packed([[5, 6]]), [mode]))
    assert encoder.encode(packed([]), ["mean"]).shape == (0, 32)
    batch = packed([[5, 6, 7, 8]], segments=[[0, 0, 1, 1]])
    expected = in_torch("bert", batch)
    np.testing.assert_allclose(encoder.encode(batch, ["tokens"]), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("hidden", [36, 64, 96, 520, 1028])  # no multiples of vectors, panels or blocks of inputs
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_any_width_is_right(hidden: int, instructions: str, tmp_path: Path) -> None:
    changes = {"hidden_size": hidden, "intermediate_size": 2 * hidden + 6, "num_attention_heads": 4}
    folder = tiny_encoder(tmp_path, "bert", **changes)
    batch = packed(random_texts([9, 2, 33], 0, range(60)))
    network, tokens = load_ours(folder), packed_tokens(batch, torch.device("cpu"))
    with torch.no_grad():
        in_float32, exact = network(tokens).numpy(), network.double()(tokens).numpy()
    # Weights drawn so wide make wide encoders wild: what rounding alone does to them is the measure.
    rounding = np.abs(in_float32 - exact).max()
    for dtype, most in (("float32", 3 * rounding), ("bfloat16", 0.1 * np.abs(exact).max())):
        encoder = kernel_encoder(models.Transformer(folder), dtype, instructions)
        error = np.abs(encoder.encode(batch, ["tokens"]) - exact)
        assert (error.max() if dtype == "float32" else np.median(error)) < most
    encoder = kernel_encoder(models.Transformer(folder), "int8", instructions)
    assert cosines(encoder.encode(batch, ["tokens"]), in_float32).mean() > 0.9


def test_bad_input_is_refused(ours: KernelEncoder) -> None:
    encoder = ours("bert", INSTRUCTIONS[0], "float32")
    good = packed([[5, 6, 7]])
    for ids in ([5, 6, 10**6], [5, -1, 7]):
        with pytest.raises(ValueError, match="is none of"):
            encoder.encode(replace(good, ids=np.array(ids, np.int32)), ["mean"])
    for offsets in ([0, 2], [1, 3], [0, 4]):
        with pytest.raises(ValueError, match="offsets must go from 0 to 3"):
            encoder.encode(replace(good, offsets=np.array(offsets, np.int32)), ["mean"])
    with pytest.raises(ValueError, match="offsets must ascend"):
        encoder.encode(replace(good, offsets=np.array([0, 4, 3], np.int32)), ["mean"])
    with pytest.raises(ValueError, match="text 0 has 81 tokens"):
        encoder.encode(packed([[5] * (POSITIONS + 1)]), ["mean"])
    with pytest.raises(ValueError, match="segment 2 is none of 2"):
        encoder.encode(packed([[5]], segments=[[2]]), ["mean"])
    with pytest.raises(ValueError, match="cannot be left out"):
        encoder.encode(packed([[5]], prompt_lengths=[1]), ["mean"])
    with pytest.raises(ValueError, match="no pooling"):
        encoder.encode(good, ["tokens", "mean"])
    with pytest.raises(ValueError, match="there is no head 0"):
        encoder.multiply(0, np.zeros((1, 32), np.float32), 4)
    with pytest.raises(ValueError, match=r"must be \(96, 32\), not \(32, 32\)"):
        encoder.set_product("qkv", 0, "float32", np.zeros((32, 32), np.float32))
    with pytest.raises(ValueError, match="must have 32 numbers, not 31"):
        encoder.set_array("after_attention.weight", 0, np.zeros(31, np.float32))
    with pytest.raises(ValueError, match="no instruction set sse9"):
        Encoder(encoder.settings, "sse9")
    np.testing.assert_array_equal(encoder.encode(good, ["mean"]), encoder.encode(good, ["mean"]))  # and it works on


def test_an_encoder_without_its_weights_computes_nothing(ours: KernelEncoder) -> None:
    empty = Encoder(ours("bert", INSTRUCTIONS[0], "float32").settings, INSTRUCTIONS[0])
    with pytest.raises(ValueError, match="no embeddings yet"):
        empty.encode(packed([[5]]), ["mean"])


def test_the_instruction_set_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert instruction_set() == os.environ.get("LIKEWISE_ISA", INSTRUCTIONS[0])
    monkeypatch.setenv("LIKEWISE_ISA", "generic")
    assert instruction_set() == "generic"
    monkeypatch.setenv("LIKEWISE_ISA", "sse9")
    with pytest.raises(ValueError, match="LIKEWISE_ISA is 'sse9', but this machine has"):
        instruction_set()


def test_a_batch_is_parted_between_threads_at_texts() -> None:
    batch = packed([[1] * 100, [2], [3], [4] * 100])
    assert [len(part) for part in parts(batch, 2)] == [2, 2]
    assert [part.ids.tolist() for part in parts(packed([[1], [2]]), 5)] == [[1], [2]]


# The whole engine


def bi_encoder(folder: Path, *heads: models.Head, **arguments: object) -> SentenceTransformer:
    encoder = models.Transformer(folder)
    pooling = models.Pooling(encoder.get_embedding_dimension())
    return SentenceTransformer(modules=[encoder, pooling, *heads], **arguments)  # type: ignore[arg-type]


def test_auto_is_the_kernels_and_both_engines_agree(folder_of: Callable[[str], Path]) -> None:
    for variant in ("bert", "mpnet", "modernbert", "nomic_bert"):
        ours = bi_encoder(folder_of(variant), models.Normalize(), dtype="float32", device="cpu")
        theirs = bi_encoder(folder_of(variant), models.Normalize(), dtype="float32", engine="torch", device="cpu")
        assert (ours.engine.name, theirs.engine.name) == ("native", "torch")
        np.testing.assert_allclose(ours.encode(SENTENCES), theirs.encode(SENTENCES), atol=2e-6)
        assert "native in float32 on cpu" in repr(ours)
        assert 'torch in float32 on cpu (engine="torch" was asked for)' in repr(theirs)


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_the_true_model(instructions: str, minilm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_ISA", instructions)
    texts = REAL_SENTENCES[:16]  # tests/peer/test_recorded.py has them all, with the best instructions
    theirs = SentenceTransformer(minilm_folder, dtype="float32", engine="torch", device="cpu").encode(texts)
    ours = {dtype: SentenceTransformer(minilm_folder, dtype=dtype, engine="native").encode(texts) for dtype in DTYPES}
    np.testing.assert_allclose(ours["float32"], theirs, atol=1e-6)
    assert cosines(ours["bfloat16"], theirs).min() > 0.9998
    in_int8 = cosines(ours["int8"], theirs)
    assert in_int8.min() > 0.99  # of texts without a word
    assert in_int8[[bool(text.strip()) for text in texts]].mean() > 0.998


@pytest.mark.parametrize("model_type", ["bert", "roberta", "electra", "distilbert", "mpnet", "modernbert"])
def test_cross_encoders_with_their_heads(model_type: str, tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path, model_type, labels=3)
    pairs = [("The kettle boils.", text) for text in SENTENCES]
    ours, theirs = (CrossEncoder(folder, dtype="float32", engine=engine) for engine in ("native", "torch"))
    scores = ours.predict(pairs)
    np.testing.assert_allclose(scores, theirs.predict(pairs), atol=2e-5)
    np.testing.assert_array_equal(np.stack([ours.predict(pair) for pair in pairs]), scores)  # the same bits alone


def test_int8_needs_no_conversion_beforehand(folder_of: Callable[[str], Path]) -> None:
    for variant in ("bert", "nomic_bert"):
        exact = bi_encoder(folder_of(variant), models.Normalize(), dtype="float32").encode(SENTENCES)
        small = bi_encoder(folder_of(variant), models.Normalize(), dtype="int8")
        assert small.dtype == "int8"
        assert cosines(small.encode(SENTENCES), exact).mean() > 0.998


def test_what_the_kernels_do_not_know_goes_to_torch_but_never_int8(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_encoder(tmp_path, "bert", hidden_act="mish")
    assert not_known(models.Transformer(folder).settings) == "the activation function mish"
    model = bi_encoder(folder)
    assert model.engine.name == "torch"
    assert "the kernels do not know the activation function mish" in repr(model)
    for arguments in ({"dtype": "int8"}, {"engine": "native"}):
        with pytest.raises(ValueError, match="needs the native engine, but the kernels do not know the activation"):
            _ = bi_encoder(folder, **arguments).engine
    assert bi_encoder(folder_of("bert"), dtype="float16", device="cpu").engine.name == "torch"
    with pytest.raises(ValueError, match="was asked for"):
        _ = bi_encoder(folder_of("bert"), dtype="int8", engine="torch").engine
    model = bi_encoder(folder_of("bert"), dtype="int8")
    with pytest.raises(ValueError, match="save it and load it again in int8"):
        _ = model.network
    monkeypatch.setattr("likewise.engine.native.are_there", lambda: False)
    assert bi_encoder(folder_of("bert")).engine.name == "torch"
    with pytest.raises(ValueError, match="this installation has no kernels"):
        _ = bi_encoder(folder_of("bert"), dtype="int8").engine


def test_the_network_takes_over_once_it_is_asked_for(folder_of: Callable[[str], Path]) -> None:
    model = bi_encoder(folder_of("bert"), dtype="float32")
    before = model.encode(SENTENCES)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.mul_(1.5)
    assert model.engine.name == "torch"
    assert np.abs(model.encode(SENTENCES) - before).max() > 0.01


def test_heads_have_the_same_bits_for_a_row_alone(folder_of: Callable[[str], Path]) -> None:
    dense = models.Dense(32, 20)
    dense.arrays = {
        "linear.weight": np.random.default_rng(0).normal(size=(20, 32)).astype(np.float32),
        "linear.bias": np.ones(20, np.float32),
    }
    encoder = models.Transformer(folder_of("bert"))
    chain = models.chain_of([encoder, models.Pooling(32), dense, models.Normalize()])
    engine = NativeEngine(chain, "float32")
    texts = encoder.tokenize(SENTENCES)
    (together,) = engine.embed([texts])
    alone = [next(engine.embed([texts.take(np.array([place]))]))[0] for place in range(len(SENTENCES))]
    np.testing.assert_array_equal(together, np.stack(alone))
    assert together.shape == (5, 20)
