"""LoRA adapters compute what peft computes on the same model of Transformers, and come off as they went on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from torch import Tensor, nn

from likewise.network import adapters
from likewise.network.adapted_layers import adapters_of, view_of
from tests.network.batches import packed
from tests.network.twins import load_ours, load_theirs, their_token_vectors, token_vectors
from tests.tiny_checkpoints import MODEL_TYPES, tiny_encoder

TEXTS = [[2, 7, 9, 3], [2, 5, 11, 23, 8, 40, 17, 3], [2, 3]]
NAMES = {  # what users write for each architecture
    "distilbert": ["q_lin", "v_lin"],
    "modernbert": ["Wqkv", "mlp.Wo"],
    "mpnet": ["q", "v", "o"],
    "nomic_bert": ["q_proj", "v_proj"],
}
KINDS: dict[str, dict[str, Any]] = {
    "by default": {},
    "all linear layers": {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3},
    "a pattern": {"target_modules": r".*layer\.1\..*(key|intermediate\.dense)"},
    "one layer": {"target_modules": ["query", "key"], "layers_to_transform": [1]},
    "ranks": {"target_modules": ["query", "dense"], "rank_pattern": {"query": 2}, "alpha_pattern": {"query": 5}},
    "biases": {"target_modules": ["key"], "bias": "all"},
    "biases of what is adapted": {"target_modules": ["key", "value"], "bias": "lora_only"},
    "whole layers": {"target_modules": ["value"], "modules_to_save": ["LayerNorm", "attention.self.query"]},
    "tables": {"target_modules": ["word_embeddings", "token_type_embeddings"]},
    "magnitudes": {"target_modules": ["query", "dense"], "use_dora": True},
}
CASES = [("bert", kind) for kind in KINDS]
CASES += [(model_type, kind) for model_type in MODEL_TYPES[1:] for kind in ("all linear layers", "by name")]


def config_for(model_type: str, kind: str) -> LoraConfig:
    named = {"target_modules": NAMES.get(model_type, ["query", "value"])}
    return LoraConfig(r=4, task_type="FEATURE_EXTRACTION", **KINDS.get(kind, named))


def draw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: w + 0.2 * torch.randn(w.shape, generator=generator) for name, w in sorted(weights.items())}


def with_drawn_adapter(encoder: Any, config: LoraConfig, name: str = "default") -> Any:
    adapters.add(encoder, config, name)
    adapters.load_state(encoder, name, draw(adapters.state(encoder, name)))
    return encoder


@torch.no_grad()
def vectors_of(encoder: Any) -> Tensor:
    return torch.cat(token_vectors(encoder, packed(TEXTS)))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def encoder(bert: Path) -> Any:
    return load_ours(bert)


def learning(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    yield from ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


@pytest.mark.parametrize(("model_type", "kind"), CASES)
def test_values_and_gradients_are_those_of_peft(model_type: str, kind: str, tmp_path: Path) -> None:
    config = config_for(model_type, kind)
    folder = tiny_encoder(tmp_path, model_type)
    ours = with_drawn_adapter(load_ours(folder), config)
    theirs = inject_adapter_in_model(config, load_theirs(folder))
    of_pooler = {key: value for key, value in get_peft_model_state_dict(theirs).items() if "pooler" in key}
    set_peft_model_state_dict(theirs, of_pooler | adapters.state(ours, "default"))

    actual = token_vectors(ours, packed(TEXTS))
    expected = [their_token_vectors(theirs, text) for text in TEXTS]
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    torch.cat(actual).square().mean().backward()
    torch.cat(expected).square().mean().backward()
    gradients = {name: weight.grad for name, weight in learning(theirs) if "pooler" not in name}
    own = dict(learning(view_of(ours)))
    assert own.keys() == gradients.keys()
    assert any(gradient is not None and gradient.abs().max() > 1e-2 for gradient in gradients.values())
    for name, weight in own.items():
        torch.testing.assert_close(weight.grad, gradients[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("model_type", "kind"), CASES)
def test_an_adapter_merges_and_comes_off(model_type: str, kind: str, tmp_path: Path) -> None:
    encoder = load_ours(tiny_encoder(tmp_path, model_type))
    before, weights = vectors_of(encoder), {name: w.clone() for name, w in encoder.state_dict().items()}
    with_drawn_adapter(encoder, config_for(model_type, kind))
    adapted = vectors_of(encoder)
    assert (adapted - before).abs().max() > 1e-2
    torch.testing.assert_close(vectors_of(adapters.merged_copy(encoder)), adapted, atol=1e-5, rtol=0)
    if "biases" not in kind:  # these are trained in place, as peft does it
        adapters.enable(encoder, False)
        assert torch.equal(vectors_of(encoder), before)
        adapters.enable(encoder, True)
        assert torch.equal(vectors_of(encoder), adapted)
        adapters.delete(encoder, ["default"])
        assert torch.equal(vectors_of(encoder), before)
    else:
        adapters.merge(encoder)
        torch.testing.assert_close(vectors_of(encoder), adapted, atol=1e-5, rtol=0)
    assert {name: w.shape for name, w in encoder.state_dict().items()} == {n: w.shape for n, w in weights.items()}
    assert all(weight.requires_grad for weight in encoder.parameters())
    assert not adapters_of(encoder)


def test_a_new_adapter_changes_nothing_yet(encoder: Any) -> None:
    before = vectors_of(encoder)
    adapters.add(encoder, LoraConfig(target_modules="all-linear"), "new")
    torch.testing.assert_close(vectors_of(encoder), before, atol=1e-6, rtol=0)
    assert adapters.active(encoder) == ["new"]


def test_adapters_are_added_up(encoder: Any) -> None:
    with_drawn_adapter(encoder, LoraConfig(r=2, target_modules=["query"]), "first")
    first = vectors_of(encoder)
    with_drawn_adapter(encoder, LoraConfig(r=3, target_modules=["value", "dense"]), "second")
    second = vectors_of(encoder)
    names = [name for name, _ in learning(encoder)]
    assert names
    assert all(".second." in name for name in names)
    adapters.activate(encoder, ["first"])
    assert torch.equal(vectors_of(encoder), first)
    adapters.activate(encoder, ["first", "second"])
    both = vectors_of(encoder)
    assert min((both - first).abs().max(), (both - second).abs().max()) > 1e-2
    torch.testing.assert_close(vectors_of(adapters.merged_copy(encoder)), both, atol=1e-5, rtol=0)
    adapters.delete(encoder, ["second"])
    assert adapters.active(encoder) == ["first"]
    torch.testing.assert_close(vectors_of(encoder), first, atol=1e-6, rtol=0)


def test_deleting_the_active_one_leaves_another(encoder: Any) -> None:
    with_drawn_adapter(encoder, LoraConfig(r=2, target_modules=["query"]), "first")
    first = vectors_of(encoder)
    with_drawn_adapter(encoder, LoraConfig(r=2, target_modules=["query"]), "second")
    adapters.delete(encoder, ["second"])
    assert adapters.active(encoder) == ["first"]
    assert torch.equal(vectors_of(encoder), first)


def test_dropout_of_the_adapter_is_on_in_training_only(encoder: Any) -> None:
    with_drawn_adapter(encoder, LoraConfig(r=2, lora_dropout=0.5, target_modules=["query"]))
    assert torch.equal(vectors_of(encoder), vectors_of(encoder))
    for module in encoder.train().modules():
        if isinstance(module, nn.Dropout) and module.p != 0.5:
            module.p = 0.0
    for layer in encoder.layers:
        layer.attention_dropout = 0.0
    assert not torch.equal(vectors_of(encoder), vectors_of(encoder))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (LoraConfig(target_modules=["q_lin"]), "names 'q_lin', .* called LayerNorm, dense, key, .*, query, "),
        (LoraConfig(target_modules=["query", "kettle"]), "target_modules names 'kettle'"),
        (LoraConfig(target_modules=["query"], modules_to_save=["kettle"]), "modules_to_save names 'kettle'"),
        (LoraConfig(target_modules=".*kettle"), "not found in the base model.*its layers are called LayerNorm, dense"),
        (LoraConfig(target_modules=["attention.self"]), "its layers are called"),
        (LoraConfig(target_modules=["intermediate.dense"], modules_to_save=["attention"]), "takes single layers"),
        (LoraConfig(target_modules=["query"], init_lora_weights="pissa"), "changes the base model's weights"),
        (LoraConfig(target_modules=["query"], trainable_token_indices=[1]), "trainable_token_indices is not supported"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_changes(config: LoraConfig, words: str, encoder: Any) -> None:
    encoder.embeddings.requires_grad_(False)
    before = {name: weight.requires_grad for name, weight in encoder.named_parameters()}
    with pytest.raises(ValueError, match=words):
        adapters.add(encoder, config, "default")
    assert {name: weight.requires_grad for name, weight in encoder.named_parameters()} == before
    with_drawn_adapter(encoder, LoraConfig(target_modules=["key"]), "first")
    vectors, names = vectors_of(encoder), [name for name, _ in learning(encoder)]
    with pytest.raises(ValueError, match=words):
        adapters.add(encoder, config, "second")
    assert torch.equal(vectors_of(encoder), vectors)
    assert [name for name, _ in learning(encoder)] == names
    assert [*adapters_of(encoder)] == adapters.active(encoder) == ["first"]


def test_an_architecture_without_defaults_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"target_modules.*its layers are called LayerNorm, dense, k, o, .*, q, "):
        adapters.add(load_ours(tiny_encoder(tmp_path, "mpnet")), LoraConfig(), "default")


def test_other_kinds_and_names_are_refused(encoder: Any) -> None:
    with pytest.raises(TypeError, match=r"peft\.LoraConfig, not by"):
        adapters.add(encoder, PeftConfig(), "default")
    with pytest.raises(ValueError, match="a name without a dot"):
        adapters.add(encoder, LoraConfig(), "a.b")
    adapters.add(encoder, LoraConfig(), "default")
    with pytest.raises(ValueError, match="an adapter called 'default' already"):
        adapters.add(encoder, LoraConfig(), "default")


def test_the_configuration_given_is_left_alone(encoder: Any) -> None:
    config = LoraConfig()
    before = config.to_dict()
    adapters.add(encoder, config, "default", trains=False)
    assert config.to_dict() == before
    assert not list(learning(encoder))


def test_weights_that_do_not_fit_are_told(encoder: Any) -> None:
    adapters.add(encoder, LoraConfig(r=4, target_modules=["query"]), "default")
    weights = adapters.state(encoder, "default")
    name = min(weights)
    adapters.load_state(encoder, "default", {f"bert.{key}": value for key, value in weights.items()})
    with pytest.raises(ValueError, match=r"no place for 'kettle\.weight'"):
        adapters.load_state(encoder, "default", weights | {"kettle.weight": torch.ones(1)})
    with pytest.raises(ValueError, match=r"query\.lora_A\.weight' are missing"):
        adapters.load_state(encoder, "default", {key: value for key, value in weights.items() if key != name})
    with pytest.raises(ValueError, match=r"has the shape \(3, 32\), but the encoder needs \(4, 32\)"):
        adapters.load_state(encoder, "default", weights | {name: torch.ones(3, 32)})
