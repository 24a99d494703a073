"""Random tiny encoders with a working tokenizer, saved as Hugging Face saves them, for any test that needs a model."""

import json
from pathlib import Path
from string import ascii_lowercase, digits
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn

BERT_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet")
MODEL_TYPES = (*BERT_TYPES, "modernbert", "nomic_bert")
POSITIONS = 80  # the longest text of a tiny encoder, in tokens

# padding, unknown, first, last, mask; the padding token's place is the one that each architecture gives it
BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
ROBERTA_FIRST_IDS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDS = (
    *("the", "a", "of", "and", "is", "was", "in", "on", "to", "not", "it", "we", "rain", "kettle", "train", "river"),
    *("tea", "station", "boil", "water", "late", "winter", "bridge", "garden", "music", "paper", "small", "green"),
)
ENDINGS = ("##s", "##ed", "##ing", "##er", "##ly", "##ness")
PIECES = (
    *WORDS,
    *ENDINGS,
    *".,;:!?'\"()-",
    *(prefix + letter for prefix in ("", "##") for letter in ascii_lowercase + digits),
)


def counts_from_padding(model_type: str) -> bool:
    """Whether the architecture's positions begin behind its padding id, as RoBERTa's do."""
    return model_type in ("roberta", "xlm-roberta", "camembert", "mpnet")


def vocabulary(model_type: str = "bert") -> list[str]:
    """The tokens of a tiny encoder, by id: all letters, digits and simple punctuation are among them."""
    return [*(ROBERTA_FIRST_IDS if counts_from_padding(model_type) else BERT_SPECIAL_TOKENS), *PIECES]


def tiny_encoder(folder: Path, model_type: str = "bert", seed: int = 0, **changes: Any) -> Path:
    """Save a random encoder of 2 layers, 32 dimensions and 4 heads, and its tokenizer, into ``folder``; returns it.

    ``changes`` replaces entries of config.json. Every weight is drawn so wide that leaving one out is seen.
    """
    from transformers import AutoConfig, AutoModel  # 2.5 s

    model = AutoModel.from_config(AutoConfig.for_model(model_type, **(tiny_sizes(model_type) | changes)))
    draw_weights(model, seed)
    model.save_pretrained(folder)
    save_tokenizer(folder, model_type)
    return folder


def tiny_classifier(folder: Path, model_type: str = "bert", labels: int = 1, seed: int = 0, **changes: Any) -> Path:
    """As ``tiny_encoder``, with the classification head of its architecture; BERT's tokenizer tells the segments."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    sizes = tiny_sizes(model_type) | {"num_labels": labels}
    config = AutoConfig.for_model(model_type, **(sizes | changes))
    model = AutoModelForSequenceClassification.from_config(config)
    draw_weights(model, seed)
    model.save_pretrained(folder)
    save_tokenizer(folder, model_type, has_segments=model_type in ("bert", "electra"))
    return folder


def tiny_sizes(model_type: str) -> dict[str, Any]:
    """The entries of a tiny encoder's config.json."""
    padding_id = 1 if counts_from_padding(model_type) else 0
    sizes: dict[str, Any] = {
        "vocab_size": len(vocabulary(model_type)),
        "max_position_embeddings": POSITIONS + (padding_id + 1 if counts_from_padding(model_type) else 0),
        "pad_token_id": padding_id,
    }
    if model_type == "distilbert":
        sizes |= {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    else:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    if model_type == "modernbert":  # two local layers of three, which reach less far than the longest text
        sizes |= {"num_hidden_layers": 3, "local_attention": 16, "cls_token_id": 2, "sep_token_id": 3}
        sizes |= {"bos_token_id": 2, "eos_token_id": 3}
    if model_type == "electra":
        sizes |= {"embedding_size": 24}
    return sizes


def draw_weights(model: nn.Module, seed: int) -> None:
    """Fill every parameter: tables and matrices around 0, the scales of norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = parameter.dim() == 1 and name.endswith("weight")
            parameter.normal_(1.0 if is_scale else 0.0, 0.2, generator=generator)


def save_tokenizer(folder: Path, model_type: str = "bert", has_segments: bool = False) -> None:
    """Write tokenizer.json and tokenizer_config.json of a lower-casing WordPiece over ``vocabulary(model_type)``."""
    tokens = vocabulary(model_type)
    ids = {token: index for index, token in enumerate(tokens)}
    special = ROBERTA_SPECIAL_TOKENS if counts_from_padding(model_type) else BERT_SPECIAL_TOKENS
    padding, unknown, first, last, mask = special
    tokenizer = Tokenizer(WordPiece(ids, unk_token=unknown))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    tokenizer.add_special_tokens(list(special))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": POSITIONS,
        "model_input_names": ["input_ids", *["token_type_ids"] * has_segments, "attention_mask"],
        "pad_token": padding,
        "unk_token": unknown,
        "cls_token": first,
        "sep_token": last,
        "mask_token": mask,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
