"""Random tiny encoders of architectures that Transformers computes, saved as Hugging Face saves them."""

from pathlib import Path
from typing import Any

from tests.tiny_checkpoints import POSITIONS, draw_weights

TOKENS = 60  # in the vocabulary
WINDOW = 10  # tokens that a layer with a sliding window sees

_BERT = {
    "vocab_size": TOKENS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
}
_DECODER = _BERT | {"num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 1, "eos_token_id": 2}
_GEMMA = _DECODER | {"sliding_window": WINDOW, "query_pre_attn_scalar": 8}
_T5 = {"vocab_size": TOKENS, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "pad_token_id": 0}
_BOTH = {side: {"layers": 2, "attention_heads": 4, "ffn_dim": 48} for side in ("encoder", "decoder")}
_BART = {f"{side}_{key}": value for side, sizes in _BOTH.items() for key, value in sizes.items()} | {
    "vocab_size": TOKENS,
    "d_model": 32,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 1,
    "decoder_start_token_id": 1,
}
_GPT2 = {"vocab_size": TOKENS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
_DEBERTA = _BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
_LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # its name → model_type, entries of config.json
    "albert": ("albert", _BERT | {"embedding_size": 24}),
    "bart": ("bart", _BART),
    "data2vec-text": ("data2vec-text", _BERT | {"pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}),
    "deberta": ("deberta", _DEBERTA),
    "deberta-v2": ("deberta-v2", _DEBERTA | {"position_buckets": 8, "share_att_key": True}),
    "deberta-v2, convolution": ("deberta-v2", _DEBERTA | {"conv_kernel_size": 3, "norm_rel_ebd": "layer_norm"}),
    "eurobert": ("eurobert", _DECODER | {"mask_token_id": 3}),
    "fnet": ("fnet", _BERT),
    "gemma": ("gemma", _DECODER),
    "gemma2": ("gemma2", _GEMMA),
    "gemma3_text": ("gemma3_text", _GEMMA | _LAYERS),
    "gemma3_text, bidirectional": ("gemma3_text", _GEMMA | _LAYERS | {"use_bidirectional_attention": True}),
    "gpt2": ("gpt2", _GPT2 | {"bos_token_id": 1, "eos_token_id": 2}),
    "gpt_neox": ("gpt_neox", _BERT),
    "granite": ("granite", _DECODER),
    "llama": ("llama", _DECODER),
    "llama, bidirectional": ("llama", _DECODER | {"is_causal": False}),
    "longt5": ("longt5", _T5 | {"local_radius": 5}),
    "marian": ("marian", _BART),
    "mistral": ("mistral", _DECODER | {"sliding_window": WINDOW}),
    "mt5": ("mt5", _T5),
    "olmo": ("olmo", _DECODER),
    "olmo2": ("olmo2", _DECODER),
    "opt": ("opt", _BERT | {"word_embed_proj_dim": 32, "ffn_dim": 48}),
    "pegasus": ("pegasus", _BART),
    "phi": ("phi", _DECODER),
    "phi3": ("phi3", _DECODER),
    "phi3, longrope": (
        "phi3",
        _DECODER
        | {
            "original_max_position_embeddings": 20,
            "rope_scaling": {"type": "longrope", "long_factor": [2.0] * 4, "short_factor": [1.0] * 4},
        },
    ),
    "prophetnet": (
        "prophetnet",
        {
            "vocab_size": TOKENS,
            "hidden_size": 32,
            "num_encoder_layers": 2,
            "num_encoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "num_decoder_layers": 1,
            "num_decoder_attention_heads": 4,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": POSITIONS,
            "pad_token_id": 0,
        },
    ),
    "qwen2": ("qwen2", _DECODER | {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 1}),
    "qwen3": ("qwen3", _DECODER),
    "roformer": ("roformer", _BERT | {"embedding_size": 32}),
    "smollm3": ("smollm3", _DECODER),
    "starcoder2": ("starcoder2", _DECODER | {"sliding_window": WINDOW}),
    "switch_transformers": ("switch_transformers", _T5 | {"num_experts": 2, "num_sparse_encoder_layers": 1}),
    "t5": ("t5", _T5),
    "t5gemma": ("t5gemma", {"encoder": _GEMMA | _LAYERS, "decoder": _GEMMA, "vocab_size": TOKENS, "pad_token_id": 0}),
    "umt5": ("umt5", _T5),
    "xlm": (
        "xlm",
        {
            "vocab_size": TOKENS,
            "emb_dim": 32,
            "n_layers": 2,
            "n_heads": 4,
            "max_position_embeddings": POSITIONS,
            "pad_token_id": 2,
            "pad_index": 2,
        },
    ),
    "xmod": (
        "xmod",
        _BERT
        | {"pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}
        | {"languages": ["en_XX"], "default_language": "en_XX"},
    ),
    "xlnet": ("xlnet", {"vocab_size": TOKENS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
}


def save_other_encoder(folder: Path, variant: str, **changes: Any) -> Any:
    """Save a random encoder of 2 layers and 32 dimensions, without a tokenizer; returns Transformers' model."""
    from transformers import AutoConfig, AutoModel

    model_type, sizes = VARIANTS[variant]
    config = AutoConfig.for_model(model_type, **(sizes | changes))
    # DeBERTa and XLM know one kind of attention only; elsewhere this is the plainest.
    plain = {} if model_type in ("deberta", "xlm") else {"attn_implementation": "eager"}
    model = AutoModel.from_config(config, **plain)
    draw_weights(model, 0)
    model.save_pretrained(folder)
    return model.eval()
