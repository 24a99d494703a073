"""The tiny encoders that every version of sentence-transformers fabricates its models from, made once by us."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.tiny_checkpoints import MODEL_TYPES, POSITIONS, WORDS, draw_weights, save_tokenizer, tiny_encoder, vocabulary

SIZES: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48}
OTHERS: dict[str, dict[str, Any]] = {  # model type → config.json, where tiny_checkpoints does not know it
    "albert": SIZES | {"embedding_size": 24, "num_hidden_groups": 1, "max_position_embeddings": POSITIONS},
    "deberta-v2": SIZES
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "norm_rel_ebd": "layer_norm"}
    | {"share_att_key": True, "position_biased_input": False, "max_position_embeddings": POSITIONS},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8}
    | {"feed_forward_proj": "gated-gelu", "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    "qwen3": SIZES
    | {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": POSITIONS, "tie_word_embeddings": True}
    | {"pad_token_id": 256, "eos_token_id": 257, "bos_token_id": None}
    | {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}},
}
ROTARY: dict[str, Any] = {  # bases that are nobody's default
    "full_attention": {"rope_type": "default", "rope_theta": 300.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
}
CHANGES: dict[str, dict[str, Any]] = {"modernbert": {"rope_parameters": ROTARY}}
FOR_TRANSFORMERS_4: dict[str, dict[str, Any]] = {  # it does not know rope_parameters
    "modernbert": {"global_rope_theta": 300.0, "local_rope_theta": 50.0},
    "qwen3": {"rope_theta": 300.0},
}
CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": False}

ENCODERS = (*MODEL_TYPES, *OTHERS)


def save_sources(folder: Path) -> None:
    """Write an encoder of each architecture, with its tokenizer, into a folder of its name, and two more of BERT's."""
    for model_type in MODEL_TYPES:
        tiny_encoder(folder / model_type, model_type, **CHANGES.get(model_type, {}))
    for model_type, config in OTHERS.items():
        _save_other(folder / model_type, model_type, config)
    for model_type, older in FOR_TRANSFORMERS_4.items():
        _update(folder / model_type / "config.json", older)
    tiny_encoder(folder / "bert-hidden-states", output_hidden_states=True)
    tiny_encoder(folder / "bert-cased")
    _update(folder / "bert-cased" / "tokenizer.json", {"normalizer": CASED})  # its vocabulary has no capitals


def _save_other(folder: Path, model_type: str, config: dict[str, Any]) -> None:
    from transformers import AutoConfig, AutoModel, T5EncoderModel

    makers = {"t5": _unigram, "qwen3": _bytes}
    tokenizer = makers[model_type]() if model_type in makers else None
    size = tokenizer.get_vocab_size() if tokenizer else len(vocabulary())
    made = AutoConfig.for_model(model_type, **({"vocab_size": size, "pad_token_id": 0} | config))
    torch.manual_seed(0)
    model = T5EncoderModel(made) if model_type == "t5" else AutoModel.from_config(made)
    draw_weights(model, 0)
    model.save_pretrained(folder)
    if tokenizer is None:
        save_tokenizer(folder)
    else:
        special: dict[str, Any] = {"pad_token": "<|pad|>", "eos_token": "<|end|>"}
        if model_type == "t5":
            special = {"pad_token": "<pad>", "eos_token": "</s>", "additional_special_tokens": ["<extra_id_0>"]}
        _save_tokenizer(folder, tokenizer, special)


def _unigram() -> Tokenizer:
    """Pieces with scores, as SentencePiece has them: words with their blank before them, and single letters."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -4.0 - place / 100) for place, word in enumerate(WORDS)]
    pieces += [(letter, -8.0 - place / 100) for place, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz.,!?'")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", "<extra_id_0>"])
    return tokenizer


def _bytes() -> Tokenizer:
    """One token for each byte, and one after the end, as a decoder that embeds by its last token has it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: place for place, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|pad|>", "<|end|>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <|end|>", special_tokens=[("<|end|>", 257)])
    return tokenizer


def _save_tokenizer(folder: Path, tokenizer: Tokenizer, special: dict[str, Any]) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS}
    settings |= {"model_input_names": ["input_ids", "attention_mask"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special, indent=2), encoding="utf-8")


def _update(file: Path, values: dict[str, Any]) -> None:
    content = json.loads(file.read_text(encoding="utf-8")) | values
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
