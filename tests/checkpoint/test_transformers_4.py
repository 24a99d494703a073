"""What is added for Transformers 4 says what Transformers 5 said; the matrix test (tests/peer) loads it with both."""

import json
from pathlib import Path
from typing import Any

import pytest

from likewise import SentenceTransformer
from likewise.checkpoint.transformers_4 import config_for_both, tokenizer_settings_for_both
from tests.tiny_checkpoints import tiny_encoder

LINEAR = {"rope_type": "linear", "factor": 2.0}


@pytest.mark.parametrize(
    ("config", "added"),
    [
        ({"model_type": "bert"}, {}),
        ({"model_type": "qwen3", "rope_theta": 5.0}, {}),
        ({"model_type": "qwen3", "rope_parameters": None}, {}),
        ({"model_type": "qwen3", "rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, {"rope_theta": 5.0}),
        (
            {"model_type": "llama", "rope_parameters": LINEAR | {"rope_theta": 5.0, "partial_rotary_factor": 0.5}},
            {"rope_theta": 5.0, "partial_rotary_factor": 0.5, "rope_scaling": LINEAR},
        ),
        (
            {
                "model_type": "modernbert",
                "rope_parameters": {
                    kind: {"rope_theta": base} for kind, base in (("full_attention", 7.0), ("sliding_attention", 5.0))
                },
            },
            {"global_rope_theta": 7.0, "local_rope_theta": 5.0},
        ),
        (
            {"model_type": "modernbert", "layer_types": ["full_attention", *["sliding_attention"] * 3] * 2},
            {"global_attn_every_n_layers": 4},
        ),
        ({"model_type": "modernbert", "layer_types": ["full_attention", "sliding_attention"]}, {}),
        ({"model_type": "gemma3_text", "layer_types": ["full_attention"] * 3}, {}),
        ({"model_type": "modernbert", "rope_parameters": {"full_attention": {"rope_type": "default"}}}, {}),
    ],
)
def test_rotary_bases_are_kept_where_transformers_4_looks(config: dict[str, Any], added: dict[str, Any]) -> None:
    assert config_for_both(config) == config | added


@pytest.mark.parametrize("model_type", ["modernbert", "qwen3"])
def test_transformers_5_reads_the_same_from_both(model_type: str) -> None:
    from transformers import AutoConfig

    kinds = {"full_attention": 7.0, "sliding_attention": 5.0} if model_type == "modernbert" else {}
    nested = {kind: {"rope_type": "default", "rope_theta": base} for kind, base in kinds.items()}
    written = AutoConfig.for_model(model_type, rope_parameters=nested or LINEAR | {"rope_theta": 5.0}).to_dict()
    both = config_for_both(json.loads(json.dumps(written)))
    assert both != written
    assert AutoConfig.for_model(**both).rope_parameters == written["rope_parameters"]


def test_a_tokenizer_has_the_names_that_transformers_4_knows() -> None:
    written = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<a>"], "model_max_length": 9}
    assert tokenizer_settings_for_both(written) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<a>"],
        "model_max_length": 9,
    }
    named = {"tokenizer_class": "BertTokenizer", "extra_special_tokens": {"image_token": "<a>"}}
    assert tokenizer_settings_for_both(named) == named


@pytest.mark.parametrize("layout", ["legacy", "6"])
def test_the_legacy_layout_is_for_both(layout: Any, tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "tiny", "modernbert")
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "TokenizersBackend"}
    file.write_text(json.dumps(settings), encoding="utf-8")
    SentenceTransformer(folder, dtype="float32").save_pretrained(tmp_path / "saved", layout=layout)
    saved = {name: json.loads((tmp_path / "saved" / name).read_text()) for name in ("config.json", file.name)}
    is_legacy = layout == "legacy"
    assert saved[file.name]["tokenizer_class"] == ("PreTrainedTokenizerFast" if is_legacy else "TokenizersBackend")
    assert ("global_rope_theta" in saved["config.json"]) is is_legacy
