"""The tokenizer of a checkpoint, without the truncation and padding that its file may carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing

from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import shortened
from likewise.extras import extra

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
    "spm.model",
    "tokenizer.model",
    "source.spm",
    "target.spm",
    "bpe_encoder.bin",
    "prophetnet.tokenizer",
)


def read_tokenizer(folder: Path, lower_case: bool = False) -> Tokenizer:
    """The tokenizer in ``folder``: tokenizer.json, or the older vocab.txt (BERT) or vocab.json, merges.txt (RoBERTa).

    What other architectures had before tokenizer.json, such as spiece.model, is read by Transformers.
    ``lower_case`` lower-cases each text first, as "do_lower_case" in sentence_bert_config.json asks.

    Raises:
        FileNotFoundError: No file of a tokenizer is there.
        ImportError: Transformers has to read it, and is not installed.
        ValueError: A file is damaged.
    """
    settings = tokenizer_settings(folder)
    files = next((files for files in READERS if all((folder / file).is_file() for file in files)), None)
    if files is None or ("merges.txt" in files and not _is_roberta(folder)):
        tokenizer = _by_transformers(folder)
    else:
        try:
            tokenizer = READERS[files](*(str(folder / file) for file in files), settings)
        except Exception as error:  # the tokenizers library raises plain Exception
            damaged = " with ".join([str(folder / files[0]), *files[1:]])
            raise ValueError(f"{damaged} makes no tokenizer: {error}; fetch it again") from error
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


def _is_roberta(folder: Path) -> bool:
    """Whether the vocabulary has RoBERTa's ends; only their own code knows what GPT-2, Qwen or DeBERTa put there."""
    vocabulary = (folder / "vocab.json").read_bytes()
    return all(f'"{token}"'.encode() in vocabulary for token in ROBERTA_ENDS)


def _by_transformers(folder: Path) -> Tokenizer:
    found = [name for name in TOKENIZER_FILES if name != "tokenizer_config.json" and (folder / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no tokenizer: no tokenizer.json, vocab.txt or vocab.json with merges.txt is in it"
        )
    origin = " with ".join([str(folder / found[0]), *found[1:]])
    with extra("transformers", f"The tokenizer in {folder}, which has no tokenizer.json,"):
        import transformers

        if Path(found[0]).suffix in (".model", ".spm"):
            import sentencepiece  # noqa: F401  # Transformers would ask for it later, in words of its own
    try:
        read = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        tokenizer: Tokenizer = read.backend_tokenizer
    except Exception as error:  # each tokenizer's class fails in its own way
        reason = shortened(" ".join(str(error).split()))
        raise ValueError(f"{origin} makes no tokenizer that Transformers can convert: {reason}") from error
    return tokenizer


def _from_json(file: str, settings: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_file(file)


def _wordpiece(vocabulary: str, settings: dict[str, Any]) -> Tokenizer:
    strip_accents = settings.get("strip_accents")
    return BertWordPieceTokenizer(
        vocabulary,
        lowercase=bool(settings.get("do_lower_case", True)),
        strip_accents=strip_accents if isinstance(strip_accents, bool) else None,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
    )._tokenizer


def _byte_level(vocabulary: str, merges: str, settings: dict[str, Any]) -> Tokenizer:
    prefix_space = bool(settings.get("add_prefix_space", False))
    tokenizer: Tokenizer = ByteLevelBPETokenizer(vocabulary, merges, add_prefix_space=prefix_space)._tokenizer
    first, last = (tokenizer.token_to_id(token) for token in ROBERTA_ENDS)
    if first is None or last is None:
        raise ValueError("<s> or </s> is not in the vocabulary")
    tokenizer.post_processor = RobertaProcessing(("</s>", last), ("<s>", first), add_prefix_space=prefix_space)
    tokenizer.add_special_tokens(
        [t for t in ("<s>", "</s>", "<unk>", "<pad>", "<mask>") if tokenizer.token_to_id(t) is not None]
    )
    return tokenizer


ROBERTA_ENDS = ("<s>", "</s>")
READERS: dict[tuple[str, ...], Callable[..., Tokenizer]] = {  # the files of each generation, the newest first
    ("tokenizer.json",): _from_json,
    ("vocab.txt",): _wordpiece,
    ("vocab.json", "merges.txt"): _byte_level,
}
