"""What Transformers calls the arrays of each encoder, in our words and back."""

from typing import Any

import pytest

from likewise.checkpoint.names import NAMES, our_names, stored_names
from tests.tiny_checkpoints import MODEL_TYPES

NOT_OURS = ("pooler.",)  # of the parts of a bare encoder


@pytest.fixture(scope="module", params=MODEL_TYPES)
def bare_encoder(request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """A model type, and the names of everything that Transformers saves of it."""
    import torch
    from transformers import AutoConfig, AutoModel

    # Twelve layers, so that a layer's number may have two digits.
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 12, "num_attention_heads": 2}
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(request.param, **sizes))
    return request.param, list(model.state_dict())


def test_every_array_of_the_encoder_has_a_name(bare_encoder: tuple[str, list[str]]) -> None:
    model_type, stored = bare_encoder
    names = our_names(model_type, stored)
    assert [name for name in stored if name not in names] == [name for name in stored if name.startswith(NOT_OURS)]
    assert len(set(names.values())) == len(names)
    assert not {"layers.11.query.weight", "layers.11.qkv.weight"}.isdisjoint(names.values())


@pytest.mark.parametrize("prefix", ["", "bert.", "model.", "a.b."])
def test_names_come_back(bare_encoder: tuple[str, list[str]], prefix: str) -> None:
    model_type, stored = bare_encoder
    names = our_names(model_type, [prefix + name for name in stored])
    back = stored_names(model_type, names.values())
    assert {prefix + back[ours]: ours for ours in names.values()} == names


def test_every_model_type_is_tried_here() -> None:
    assert NAMES.keys() == set(MODEL_TYPES)


def test_names_of_norms_in_the_first_checkpoints() -> None:
    stored = ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.3.output.LayerNorm.gamma"]
    stored += ["bert.encoder.layer.3.output.LayerNorm.beta"]
    ours = ["embeddings.tokens.weight", "layers.3.output_norm.weight", "layers.3.output_norm.bias"]
    assert our_names("bert", stored) == dict(zip(stored, ours, strict=True))


@pytest.mark.parametrize(
    "other",
    [
        "cls.predictions.decoder.weight",
        "cls.predictions.transform.LayerNorm.weight",
        "bert.embeddings.position_ids",
        "bert.pooler.dense.weight",
        "encoder.layer.0.output.dense.weight",  # without the prefix: another model's
        "bert.encoder.layer.0.output.dense.weight_scale",
        "bert.encoder.layer.x.output.dense.weight",
        "bert.encoder.layer.0.crossattention.output.dense.weight",
        "bert.embeddings.xLayerNorm.weight",
    ],
)
def test_other_arrays_are_left_out(other: str) -> None:
    tokens = "bert.embeddings.word_embeddings.weight"
    assert our_names("bert", [tokens, other]) == {tokens: "embeddings.tokens.weight"}


def test_several_models_in_one_checkpoint_are_told() -> None:
    two = ["a.embeddings.word_embeddings.weight", "b.embeddings.word_embeddings.weight"]
    with pytest.raises(ValueError, match=r"one array called embeddings.word_embeddings.weight, but here is a\..*, b\."):
        our_names("bert", two)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (["wte.weight", "wpe.weight"], "only wte.weight, wpe.weight"),
        (["myembeddings.word_embeddings.weight"], "only myembeddings"),
        ([], "none at all"),
    ],
)
def test_a_checkpoint_without_token_embeddings_is_told(stored: list[str], found: str) -> None:
    with pytest.raises(ValueError, match=rf"a distilbert model has one array called .*, but here is {found}"):
        our_names("distilbert", stored)


def test_an_array_that_the_architecture_lacks_is_told() -> None:
    with pytest.raises(ValueError, match=r"a distilbert model has no array embeddings\.segments\.weight"):
        stored_names("distilbert", ["embeddings.tokens.weight", "embeddings.segments.weight"])
