"""config.json of ModernBERT and NomicBERT means here what it means to Transformers, in every generation."""

from typing import Any

import pytest

from likewise.checkpoint.encoder_settings import encoder_settings
from likewise.checkpoint.rotary_settings import ModernBertSettings, NomicBertSettings


def modernbert(**config: Any) -> ModernBertSettings:
    settings = encoder_settings({"model_type": "modernbert"} | config)
    assert isinstance(settings, ModernBertSettings)
    return settings


def nomic(**config: Any) -> NomicBertSettings:
    settings = encoder_settings({"model_type": "nomic_bert"} | config)
    assert isinstance(settings, NomicBertSettings)
    return settings


def test_what_modernbert_leaves_out_has_transformers_default() -> None:
    from transformers import ModernBertConfig

    assert modernbert() == modernbert(**ModernBertConfig().to_dict())
    assert (modernbert().layers, modernbert().longest, modernbert().reach) == (22, 8192, 64)
    assert modernbert().is_local[:5] == (False, True, True, False, True)


def test_both_generations_of_modernbert_are_read() -> None:
    from transformers import ModernBertConfig

    older = {"global_rope_theta": 1234.0, "local_rope_theta": 56.0, "global_attn_every_n_layers": 4}
    older |= {"num_hidden_layers": 6, "local_attention": 32}
    newer = ModernBertConfig(**older).to_dict()
    assert "rope_parameters" in newer
    assert "layer_types" in newer
    settings = modernbert(**older)
    assert settings == modernbert(
        **{name: value for name, value in newer.items() if name not in older}
        | {
            "num_hidden_layers": 6,
            "local_attention": 32,
        }
    )
    assert (settings.global_base, settings.local_base, settings.reach) == (1234.0, 56.0, 16)
    assert settings.is_local == (False, True, True, True, False, True)


def test_what_nomic_leaves_out_has_transformers_default() -> None:
    from transformers import NomicBertConfig

    assert nomic() == nomic(**NomicBertConfig().to_dict())


def test_both_generations_of_nomic_are_read() -> None:
    older: dict[str, Any] = {
        "n_embd": 64,
        "n_layer": 3,
        "n_head": 4,
        "n_inner": 96,
        "activation_function": "swiglu",
        "n_positions": 90,
    }
    older |= {"rotary_emb_base": 500, "layer_norm_epsilon": 1e-5, "rotary_emb_fraction": 0.5, "qkv_proj_bias": True}
    newer: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 96,
    }
    newer |= {"hidden_act": "silu", "max_position_embeddings": 90, "rope_parameters": {"rope_theta": 500}}
    newer |= {"layer_norm_eps": 1e-5, "rotary_emb_fraction": 0.5, "qkv_proj_bias": True}
    assert nomic(**older) == nomic(**newer)
    assert nomic(**older).rotary_width == 8  # of 16
    assert nomic(**older, rotary_scaling_factor=2, max_trained_positions=40).longest == 40


@pytest.mark.parametrize(
    ("model_type", "config", "words"),
    [
        ("modernbert", {"layer_types": ["full_attention"]}, "layer_types must name the attention of each of 22 layers"),
        ("modernbert", {"num_hidden_layers": 1, "layer_types": ["slow"]}, "layer_types must name"),
        ("modernbert", {"num_hidden_layers": 1, "layer_types": 7}, "layer_types must name"),
        ("modernbert", {"global_attn_every_n_layers": 0}, "must be a whole number from 1"),
        ("modernbert", {"num_attention_heads": 5}, "hidden_size 768 is not num_attention_heads 5 times"),
        ("modernbert", {"hidden_size": 6, "num_attention_heads": 2}, "a head of 3 dimensions cannot be rotated"),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type 'yarn' is not"),
        ("modernbert", {"rope_parameters": {"full_attention": 7}}, "rope_parameters must be an object, not 7"),
        ("modernbert", {"norm_bias": "yes"}, "norm_bias must be true or false, not 'yes'"),
        ("modernbert", {"mlp_dropout": 2}, "mlp_dropout must be a number from 0 to 1, not 2"),
        ("modernbert", {"num_hidden_layers": 10**9}, "num_hidden_layers must be a whole number from 0 to 1,000"),
        ("nomic_bert", {"prenorm": True}, "prenorm True is not supported, only False is"),
        ("nomic_bert", {"rotary_emb_interleaved": True}, "rotary_emb_interleaved True is not supported"),
        ("nomic_bert", {"moe_every_n_layers": 2}, "a mixture of experts"),
        ("nomic_bert", {"num_experts": 8}, "a mixture of experts"),
        ("nomic_bert", {"activation_function": "relu2"}, "activation_function 'relu2' is not supported"),
        ("nomic_bert", {"head_dim": 7}, "hidden_size 768 is not num_attention_heads 12 times head_dim 7"),
        ("nomic_bert", {"n_embd": -3}, "n_embd must be a whole number from 1"),
        ("nomic_bert", {"n_embd": True}, "n_embd must be a whole number from 1"),
        ("bert", {"layer_norm_eps": float("inf")}, "layer_norm_eps must be a number 0 or more, not inf"),
        ("bert", {"layer_norm_eps": float("nan")}, "layer_norm_eps must be a number 0 or more, not nan"),
        ("bert", {"hidden_act": None, "vocab_size": "many"}, "vocab_size must be a whole number"),
        ("bert", {"hidden_act": 3}, "hidden_act must be a name, not 3"),
        ("mpnet", {"relative_attention_num_buckets": 16}, "relative_attention_num_buckets 16 is not supported"),
        ("roberta", {"max_position_embeddings": 2}, "max_position_embeddings 2 leaves no position for a token"),
        ("distilbert", {"n_layers": 1.5}, "n_layers must be a whole number"),
    ],
)
def test_what_cannot_be_computed_is_named(model_type: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encoder_settings({"model_type": model_type} | config)
