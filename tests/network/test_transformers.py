"""Architectures that Transformers computes: packed, padded or one length at a time, each as Transformers alone."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from likewise import SentenceTransformer, models
from likewise.network.packed import packed_tokens
from likewise.network.parts import build_part
from likewise.network.transformers import ENCODER_ONLY, PACKED, PADDED, TransformersEncoder
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.tiny_checkpoints import POSITIONS, draw_weights, save_tokenizer, vocabulary

SIZES: dict[str, Any] = {
    "vocab_size": len(vocabulary()),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
}
T5 = {"vocab_size": len(vocabulary()), "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
BART = {"vocab_size": len(vocabulary()), "d_model": 32, "encoder_layers": 2, "decoder_layers": 1}
BART |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
BART |= {"max_position_embeddings": POSITIONS, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
DECODER = SIZES | {"num_key_value_heads": 2, "head_dim": 8}
GEMMA = DECODER | {"query_pre_attn_scalar": 8, "sliding_window": 16, "attn_logit_softcapping": 5.0}
GPT2 = {"vocab_size": len(vocabulary()), "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
CASES: dict[str, tuple[str, dict[str, Any]]] = {  # name → model_type, its configuration
    "albert": ("albert", SIZES | {"embedding_size": 16}),
    "bart": ("bart", BART),
    "bert-generation, not on our lists": ("bert-generation", SIZES),
    "data2vec-text": ("data2vec-text", SIZES | {"max_position_embeddings": POSITIONS + 1}),
    "deberta": ("deberta", SIZES | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta-v2": ("deberta-v2", SIZES | {"relative_attention": True, "pos_att_type": ["c2p"], "position_buckets": 8}),
    "eurobert": ("eurobert", DECODER),
    "gemma": ("gemma", DECODER),
    "gemma2, capped, sliding": ("gemma2", GEMMA),
    "gemma3_text, sliding": ("gemma3_text", DECODER | {"query_pre_attn_scalar": 8, "sliding_window": 16}),
    "gpt2": ("gpt2", GPT2),
    "llama": ("llama", DECODER),
    "marian": ("marian", BART),
    "mistral, sliding": ("mistral", DECODER | {"sliding_window": 16}),
    "mt5": ("mt5", T5),
    "phi": ("phi", SIZES),
    "qwen2": ("qwen2", DECODER),
    "qwen3": ("qwen3", DECODER),
    "qwen3, reads both ways": ("qwen3", DECODER | {"is_causal": False}),
    "roformer": ("roformer", SIZES),
    "t5": ("t5", T5),
    "umt5": ("umt5", T5),
    "xlnet": ("xlnet", {"vocab_size": len(vocabulary()), "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
}
IDS = range(5, len(vocabulary()))


def saved(folder: Path, case: str, **changes: Any) -> nn.Module:
    """Save the tiny model of the case as Transformers saves it; returns the part of it that reads text."""
    from transformers import AutoConfig, AutoModel

    model_type, sizes = CASES[case]
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **(sizes | changes)), attn_implementation="eager")
    draw_weights(model, 0)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    encoder = model.get_encoder() if model_type in ENCODER_ONLY else model
    return encoder.eval()


def load(folder: Path) -> TransformersEncoder:
    part = build_part(models.Transformer(folder), shared=False)
    assert isinstance(part, TransformersEncoder)
    return part


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[TransformersEncoder, nn.Module]]:
    @cache
    def pair(case: str) -> tuple[TransformersEncoder, nn.Module]:
        folder = tmp_path_factory.mktemp("model")
        theirs = saved(folder, case)
        return load(folder), theirs

    return pair


def their_states(model: Any, text: list[int]) -> list[Tensor]:
    """Of the text alone: (length, hidden) after the embeddings and each layer."""
    ids = torch.tensor([text])
    inputs: dict[str, Any] = {"input_ids": ids}
    if model.config.model_type != "xlnet":
        inputs["attention_mask"] = torch.ones_like(ids)
    else:
        inputs["token_type_ids"] = torch.tensor([[0] * (len(text) - 1) + [2]])
    outputs = model(**inputs, output_hidden_states=True)
    states = outputs.decoder_hidden_states if model.config.model_type == "bart" else outputs.hidden_states
    return [*(layer[0] for layer in states[:-1]), outputs.last_hidden_state[0]]


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=6)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[40, 40, 17, 3], seed=0)
def test_a_batch_equals_transformers_on_each_text_alone(
    pairs: Callable[[str], tuple[TransformersEncoder, nn.Module]], case: str, lengths: list[int], seed: int
) -> None:
    ours, theirs = pairs(case)
    texts = random_texts(sorted(lengths, reverse=True), seed, IDS)
    with torch.no_grad():
        states = ours(packed_tokens(packed(texts), torch.device("cpu"))).split([len(text) for text in texts])
        for actual, text in zip(states, texts, strict=True):
            expected = their_states(theirs, text)[-1]
            torch.testing.assert_close(actual, expected, atol=1e-5 * max(1, float(expected.abs().max())), rtol=0)


@pytest.mark.parametrize("case", ["qwen3", "t5", "albert", "xlnet", "bart"])
def test_the_states_of_all_layers(pairs: Callable[[str], tuple[TransformersEncoder, nn.Module]], case: str) -> None:
    ours, theirs = pairs(case)
    texts = random_texts([9, 9, 4], 0, IDS)
    with torch.no_grad():
        layers = ours.all_layers(packed_tokens(packed(texts), torch.device("cpu")))
        expected = [their_states(theirs, text) for text in texts]
    assert len(layers) == len(expected[0])
    for layer, states in enumerate(layers):
        for actual, text in zip(states.split([9, 9, 4]), expected, strict=True):
            torch.testing.assert_close(actual, text[layer], atol=1e-5, rtol=1e-5)


def test_every_architecture_on_the_lists_is_named_once() -> None:
    assert not PACKED & PADDED
    assert not PACKED & ENCODER_ONLY.keys()


@pytest.mark.parametrize("case", ["qwen3", "t5", "bert-generation, not on our lists"])
def test_gradients_reach_every_weight(pairs: Callable[[str], tuple[TransformersEncoder, nn.Module]], case: str) -> None:
    ours, _ = pairs(case)
    ours.zero_grad()
    ours(packed_tokens(packed(random_texts([9, 9, 4], 0, IDS)), torch.device("cpu"))).square().sum().backward()
    without = [name for name, weight in ours.named_parameters() if weight.grad is None]
    assert [name for name in without if "pooler" not in name] == []


@pytest.mark.parametrize("case", ["qwen3", "t5", "deberta", "deberta-v2"])
def test_a_model_is_encoded_and_saved(case: str, tmp_path: Path) -> None:
    saved(tmp_path / "model", case)
    source = models.Transformer(tmp_path / "model")
    model = SentenceTransformer(modules=[source, models.Pooling(32, "lasttoken")], dtype="float32", device="cpu")
    texts = ["The kettle boils.", "", "It was late, and the train was not in the station.", "tea"] * 3
    vectors = model.encode(texts)
    for size in (1, 5):
        assert abs(model.encode(texts, batch_size=size) - vectors).max() < 5e-6
    with ThreadPoolExecutor(4) as threads:
        for other in threads.map(lambda _: model.encode(texts), range(8)):
            assert abs(other - vectors).max() < 5e-6
    model.save_pretrained(tmp_path / "saved")
    _ = model.network  # from now on it is the model
    model.save_pretrained(tmp_path / "trained")
    for folder in ("saved", "trained"):
        again = SentenceTransformer(tmp_path / folder, dtype="float32", device="cpu")
        assert abs(again.encode(texts) - vectors).max() < 1e-6
    rounded = SentenceTransformer(tmp_path / "saved", dtype="bfloat16", device="cpu").encode(texts)
    assert rounded.shape == vectors.shape


def test_a_decoder_without_modules_json_gives_its_last_tokens_vector(tmp_path: Path) -> None:
    saved(tmp_path, "qwen3")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    for architecture, pooling in (("Qwen3ForCausalLM", "lasttoken"), ("Qwen3Model", "mean")):
        (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}), encoding="utf-8")
        assert SentenceTransformer(tmp_path, device="cpu").description.pooling == pooling


# What is told


def test_missing_and_misshapen_weights_are_told(tmp_path: Path) -> None:
    saved(tmp_path, "qwen3")
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    name = "layers.1.mlp.up_proj.weight"
    save_file({key: value for key, value in weights.items() if key != name}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 of the arrays the model needs, such as .*up_proj\.weight") as found:
        load(tmp_path)
    assert str(file) in str(found.value)
    save_file(weights | {name: torch.zeros(3, 32)}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"up_proj\.weight has the shape \(3, 32\), but config\.json means \(48, 32\)"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "kettle"}, "'kettle' is not computed here nor by Transformers"),
        ({"model_type": "kettle", "auto_map": {"AutoModel": "m.M"}}, "but by code of its own, which is never run"),
        ({"model_type": None}, '"model_type" must name the architecture'),
        ({"model_type": 7}, '"model_type" must name the architecture'),
        ({"hidden_size": "wide"}, "hidden_size must be a whole number"),
        ({"num_attention_heads": "many"}, "config.json describes no qwen3|makes no qwen3"),
    ],
)
def test_a_configuration_that_makes_no_model_is_told(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    saved(tmp_path, "qwen3")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    with pytest.raises(ValueError, match=words) as found:
        load(tmp_path)
    assert str(tmp_path) in str(found.value)
    assert len(str(found.value)) < 400


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "qwen3")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"The architecture 'qwen3' needs .* pip install 'likewise\[transformers\]'"):
        load(tmp_path)


def test_transformers_speaks_no_word_while_a_model_is_loaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, "t5")
    capfd.readouterr()
    load(tmp_path)
    assert capfd.readouterr() == ("", "")
