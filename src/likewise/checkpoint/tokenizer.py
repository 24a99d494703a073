"""The tokenizer of a checkpoint, without the truncation and padding that its file may carry."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing

from likewise.checkpoint.settings import read_object

# The files that make up a tokenizer, in every generation of the format; saving copies those that are there.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)


def read_tokenizer(folder: Path, lower_case: bool = False) -> Tokenizer:
    """The tokenizer in ``folder``: tokenizer.json, or the older vocab.txt (BERT) or vocab.json, merges.txt (RoBERTa).

    ``lower_case`` lower-cases each text first, as "do_lower_case" in sentence_bert_config.json asks.

    Raises:
        FileNotFoundError: None of these files is there.
        ValueError: A file is damaged.
    """
    if (folder / "tokenizer.json").is_file():
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the tokenizers library raises plain Exception
            raise ValueError(f"{folder / 'tokenizer.json'} is not a tokenizer: {error}; fetch it again") from error
    elif (folder / "vocab.txt").is_file():
        tokenizer = _wordpiece(folder)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = _byte_level(folder)
    else:
        raise FileNotFoundError(
            f"{folder} holds no tokenizer: no tokenizer.json, vocab.txt or vocab.json with merges.txt is in it; "
            "with the transformers package, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) may make it"
        )
    tokenizer.no_truncation()  # all-MiniLM-L6-v2 cuts at 128 tokens here, half of its own limit,
    tokenizer.no_padding()  # and pads every text to 128
    if lower_case:
        steps = [normalizers.Lowercase()] + ([tokenizer.normalizer] if tokenizer.normalizer else [])
        tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, empty where there is none."""
    path = folder / "tokenizer_config.json"
    return read_object(path) if path.is_file() else {}


def _wordpiece(folder: Path) -> Tokenizer:
    settings = tokenizer_settings(folder)
    strip_accents = settings.get("strip_accents")
    return BertWordPieceTokenizer(
        str(folder / "vocab.txt"),
        lowercase=bool(settings.get("do_lower_case", True)),
        strip_accents=strip_accents if isinstance(strip_accents, bool) else None,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
    )._tokenizer


def _byte_level(folder: Path) -> Tokenizer:
    vocabulary, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    prefix_space = bool(tokenizer_settings(folder).get("add_prefix_space", False))
    tokenizer: Tokenizer = ByteLevelBPETokenizer(vocabulary, merges, add_prefix_space=prefix_space)._tokenizer
    first, last = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    if first is None or last is None:
        raise ValueError(f"{vocabulary} lacks <s> or </s>, so it is not a RoBERTa vocabulary; save a tokenizer.json")
    tokenizer.post_processor = RobertaProcessing(("</s>", last), ("<s>", first), add_prefix_space=prefix_space)
    tokenizer.add_special_tokens(
        [t for t in ("<s>", "</s>", "<unk>", "<pad>", "<mask>") if tokenizer.token_to_id(t) is not None]
    )
    return tokenizer
