"""Every other architecture gives, in batches of mixed lengths, what Transformers gives for each text alone."""

import copy
import inspect
import json
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from likewise.checkpoint.arrays import read_arrays
from likewise.checkpoint.other_settings import NO_LIMIT, other_settings
from likewise.network.packed import PackedTokens, packed_tokens
from likewise.network.transformers import ENCODER_ONLY, PACKED, PADDED, TransformersEncoder, batches, read_encoder
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.other_checkpoints import TOKENS, VARIANTS, save_other_encoder

IDS = range(3, TOKENS)
MIXED = [40, 23, 23, 7, 7, 7, 3, 1, 1]  # beyond any window and of few tokens, equal and not
Pair = tuple[TransformersEncoder, Any]  # ours, theirs


def load(folder: Path, **changes: object) -> TransformersEncoder:
    config = json.loads((folder / "config.json").read_text()) | changes
    return read_encoder(other_settings(config), read_arrays(folder), config)


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    @cache
    def loaded(variant: str) -> Pair:
        folder = tmp_path_factory.mktemp("other")
        model = save_other_encoder(folder, variant)
        has_encoder = VARIANTS[variant][0] in ENCODER_ONLY
        return load(folder), model.get_encoder().eval() if has_encoder else model

    return loaded


def batch(texts: Sequence[Sequence[int]]) -> PackedTokens:
    return packed_tokens(packed(texts), torch.device("cpu"))


def alone(model: Any, text: Sequence[int], all_layers: bool = False) -> Any:
    """What Transformers gives for one text without padding: its output."""
    inputs = {"input_ids": torch.tensor([text])}
    if "attention_mask" in inspect.signature(model.forward).parameters:
        inputs["attention_mask"] = torch.ones(1, len(text), dtype=torch.long)
    if model.config.model_type == "xlnet":  # what its tokenizer makes: <cls>, the last token, is a segment of its own
        inputs["token_type_ids"] = torch.tensor([[0] * (len(text) - 1) + [2]])
    return model(**inputs, output_hidden_states=all_layers)


def texts_alone(model: Any, texts: Sequence[Sequence[int]]) -> Tensor:
    return torch.cat([alone(model, text).last_hidden_state[0] for text in texts])


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_equals_each_text_alone(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts(MIXED, 0, IDS)
    with torch.no_grad():
        assert_equal(ours(batch(texts)), texts_alone(theirs, texts))


@pytest.mark.parametrize("variant", ["deberta-v2", "gemma2", "llama", "mistral", "t5", "xlnet"])
@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[7, 7, 1, 7], seed=0)
def test_any_batch_equals_each_text_alone(
    pair_of: Callable[[str], Pair], variant: str, lengths: list[int], seed: int
) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts(lengths, seed, range(TOKENS))  # padding tokens spelt out too
    with torch.no_grad():
        assert_equal(ours(batch(texts)), texts_alone(theirs, texts))


@given(lengths=LENGTHS, most=st.sampled_from([0, 1 / 8, 1]))
def test_batches_keep_every_text_and_little_padding(lengths: list[int], most: float) -> None:
    runs = [(2, length) for length in lengths]
    cut = [list(part) for part in batches(runs, most)]
    assert [run for part in cut for run in part] == runs
    for part in cut:
        rows, tokens = sum(texts for texts, _ in part), sum(texts * length for texts, length in part)
        assert rows * max(length for _, length in part) <= (1 + most) * tokens


@pytest.mark.parametrize(("variant", "shapes"), [("t5", [(1, 70), (8, 10)]), ("fnet", [(1, 70), (4, 10), (4, 9)])])
def test_one_long_text_does_not_pad_the_short_ones(
    pair_of: Callable[[str], Pair], variant: str, shapes: list[tuple[int, int]]
) -> None:
    ours, _ = pair_of(variant)
    seen: list[tuple[int, ...]] = []
    hook = ours.backbone.register_forward_pre_hook(
        lambda module, inputs, named: seen.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    ours(batch(random_texts([70, *[10] * 4, *[9] * 4], 0, IDS)))
    hook.remove()
    assert seen == shapes


def test_every_architecture_of_the_registries_is_held_to_transformers() -> None:
    assert {model_type for model_type, _ in VARIANTS.values()} >= PACKED | PADDED
    assert not PACKED & PADDED


@pytest.mark.parametrize("variant", ["bart", "deberta", "fnet", "gemma3_text", "qwen3", "t5", "xlnet"])
def test_all_layers_equal_transformers(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts(MIXED, 0, IDS)
    with torch.no_grad():
        outputs = [alone(theirs, text, all_layers=True) for text in texts]
        theirs_by_layer = [output.get("decoder_hidden_states", output.get("hidden_states")) for output in outputs]
        layers = ours.all_layers(batch(texts))
    assert len(layers) == 3
    for ours_of_layer, *theirs_of_layer in zip(layers, *theirs_by_layer, strict=True):
        assert_equal(ours_of_layer, torch.cat([states[0] for states in theirs_of_layer]))


@pytest.mark.parametrize("variant", ["fnet", "gemma2", "llama", "t5"])
def test_texts_without_tokens_have_no_vectors(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts([5, 4], 0, IDS)
    with torch.no_grad():
        assert_equal(ours(batch([[], texts[0], [], texts[1], []])), texts_alone(theirs, texts))
        assert ours(batch([[], []])).shape == ours(batch([])).shape == (0, 32)
        assert [layer.shape for layer in ours.all_layers(batch([[]]))] == [(0, 32)] * 3


@pytest.mark.parametrize("variant", ["albert", "gemma2", "mistral", "t5"])
def test_every_gradient_equals_transformers(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts(MIXED, 0, IDS)
    direction = torch.randn(sum(MIXED), 32, generator=torch.Generator().manual_seed(0))
    ours.zero_grad()
    theirs.zero_grad()
    (ours(batch(texts)) * direction).sum().backward()
    (texts_alone(theirs, texts) * direction).sum().backward()
    expected = {name: weight.grad for name, weight in theirs.named_parameters() if weight.grad is not None}
    assert len(expected) > 10
    for name, weight in ours.backbone.named_parameters():
        if name in expected:
            assert weight.grad is not None, name
            distance = (weight.grad - expected[name]).norm()
            assert distance <= 1e-5 * max(1, expected[name].norm()), name


@pytest.mark.parametrize("variant", ["deberta", "gemma2", "phi3, longrope", "qwen3", "t5", "xlnet"])
def test_threads_do_not_disturb_each_other(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, _ = pair_of(variant)
    batches = [batch(random_texts([40 - i, 7, 7, 1 + i], i, IDS)) for i in range(12)]
    with torch.no_grad():
        expected = [ours(one) for one in batches]

    def computed(one: PackedTokens) -> Tensor:
        with torch.no_grad():
            return ours(one)

    with ThreadPoolExecutor(4) as threads:
        for result, wanted in zip(threads.map(computed, batches * 3), expected * 3, strict=True):
            assert_equal(result, wanted)


@pytest.mark.parametrize(
    "variant", ["albert", "deberta", "gemma2", "mistral", "qwen3", "switch_transformers", "t5", "xlnet", "xmod"]
)
def test_bfloat16_stays_near_float32(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    texts = random_texts(MIXED, 0, IDS)
    near = copy.deepcopy(ours)
    for part in near.modules():
        if isinstance(part, nn.Linear) and not near.float32_only:
            part.to(torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        states = near(batch(texts))
    with torch.no_grad():
        cosines = torch.cosine_similarity(states, texts_alone(theirs, texts))
    assert states.dtype == torch.float32
    assert cosines.min() > 0.99


def test_dropout_is_for_training_only(tmp_path: Path) -> None:
    save_other_encoder(tmp_path, "qwen2", attention_dropout=0.5)
    ours = load(tmp_path)
    tokens = batch(random_texts([9, 9], 0, IDS))
    assert torch.equal(ours(tokens), ours(tokens))
    ours.train()
    assert not torch.equal(ours(tokens), ours(tokens))


@pytest.mark.parametrize("variant", ["marian", "prophetnet", "t5"])
def test_an_encoder_saved_alone_is_read(pair_of: Callable[[str], Pair], tmp_path: Path, variant: str) -> None:
    ours, _ = pair_of(variant)
    ours.backbone.save_pretrained(tmp_path)
    tokens = batch(random_texts([9, 4], 0, IDS))
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(tokens), ours(tokens))


def test_saved_arrays_are_read_again(pair_of: Callable[[str], Pair], tmp_path: Path) -> None:
    from likewise.checkpoint.arrays import write_arrays

    ours, _ = pair_of("qwen3")
    arrays = {name: tensor.detach().numpy() for name, tensor in ours.state_dict().items()}
    write_arrays(tmp_path / "model.safetensors", ours.parted(arrays))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"} | VARIANTS["qwen3"][1]))
    tokens = batch(random_texts([9, 4], 0, IDS))
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(tokens), ours(tokens))


# Damaged checkpoints


def test_missing_weights_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_other_encoder(tmp_path, "qwen3")
    file = tmp_path / "model.safetensors"
    save_file({k: v for k, v in load_file(file).items() if "layers.1.mlp" not in k}, file, {"format": "pt"})
    with pytest.raises(
        ValueError, match=f"{re.escape(str(file))} lacks 3 of the arrays .*layers.1.mlp.down_proj.weight"
    ):
        load(tmp_path)


def test_a_missing_pooler_is_none_of_our_business(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = save_other_encoder(tmp_path, "albert")
    file = tmp_path / "model.safetensors"
    save_file({k: v for k, v in load_file(file).items() if "pooler" not in k}, file, {"format": "pt"})
    texts = random_texts(MIXED, 0, IDS)
    with torch.no_grad():
        assert_equal(load(tmp_path)(batch(texts)), texts_alone(model, texts))


def test_other_shapes_are_named(tmp_path: Path) -> None:
    save_other_encoder(tmp_path, "t5")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path)) + r".* has the shape \(48, 32\), but .*\(50, 32\)"):
        load(tmp_path, d_ff=50)


def test_nothing_of_a_pickle_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "trapped",)

    save_other_encoder(tmp_path, "t5")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"shared.weight": Trap()}))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "pytorch_model.bin"))):
        load(tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_pytorch_weights_are_read(pair_of: Callable[[str], Pair], tmp_path: Path) -> None:
    ours, _ = pair_of("t5")
    torch.save(ours.backbone.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"} | VARIANTS["t5"][1]))
    tokens = batch(random_texts([9, 4], 0, IDS))
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(tokens), ours(tokens))


def test_code_of_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    config = {"model_type": "kettle", "hidden_size": 32, "vocab_size": 9, "auto_map": {"AutoModel": "kettle.Kettle"}}
    (tmp_path / "kettle.py").write_text(f"open({str(tmp_path / 'trapped')!r}, 'w')")
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    told = re.escape(str(tmp_path / "config.json"))
    with pytest.raises(ValueError, match=f"{told}: the architecture 'kettle' .*never run"):
        load(tmp_path)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("variant", "changes", "words"),
    [
        (
            "t5gemma",
            {"encoder": {"hidden_size": 32, "vocab_size": 60, "num_hidden_layers": 10**9}},
            "num_hidden_layers",
        ),
        ("t5", {"num_layers": 200, "d_ff": 400}, "a model of 5,954,080 numbers, but the arrays hold 39,424"),
    ],
)
def test_a_model_much_larger_than_its_weights_is_not_built(
    tmp_path: Path, variant: str, changes: dict[str, object], words: str
) -> None:
    save_other_encoder(tmp_path, variant)
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}.*{words}"):
        load(tmp_path, **changes)


def test_a_configuration_that_cannot_be_is_named(tmp_path: Path) -> None:
    save_other_encoder(tmp_path, "qwen3")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        load(tmp_path, num_hidden_layers="two")


def test_masks_of_old_gpt2_files_do_no_harm(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from likewise.checkpoint.arrays import write_arrays

    model = save_other_encoder(tmp_path, "gpt2")
    file = tmp_path / "model.safetensors"
    mask = torch.ones(1, 1, 80, 80, dtype=torch.bool).tril()
    save_file(load_file(file) | {"h.0.attn.bias": mask}, file, {"format": "pt"})
    texts = random_texts(MIXED, 0, IDS)
    with torch.no_grad():
        assert_equal(load(tmp_path)(batch(texts)), texts_alone(model, texts))
    write_arrays(tmp_path / "again.safetensors", read_arrays(tmp_path))
    assert torch.equal(load_file(tmp_path / "again.safetensors")["h.0.attn.bias"], mask)


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_other_encoder(tmp_path, "t5")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"The architecture 't5' needs .*pip install 'likewise\[transformers\]'"):
        load(tmp_path)


def test_loading_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    save_other_encoder(tmp_path, "qwen2")
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    load(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("variant", ["data2vec-text", "gpt2", "llama", "t5", "xlnet"])
def test_the_longest_text_has_positions(pair_of: Callable[[str], Pair], variant: str) -> None:
    ours, theirs = pair_of(variant)
    longest = ours.settings.longest
    texts = random_texts([300 if longest == NO_LIMIT else longest, 2], 0, IDS)
    with torch.no_grad():
        assert_equal(ours(batch(texts)), texts_alone(theirs, texts))
