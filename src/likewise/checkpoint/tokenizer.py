"""The tokenizer of a checkpoint, without the truncation and padding that its file may carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing

from likewise.checkpoint.settings import read_object
from likewise.checkpoint.values import reason
from likewise.extras import extra
from likewise.tokens import tokenizer_errors

SENTENCE_PIECES = ("spiece.model", "sentencepiece.bpe.model", "spm.model", "tokenizer.model", "source.spm")
# The files that make up a tokenizer, in every generation of the format; saving copies those that are there.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    *SENTENCE_PIECES,
    "target.spm",
    "bpe_encoder.bin",
    "prophetnet.tokenizer",
)


def read_tokenizer(folder: Path, lower_case: bool = False) -> Tokenizer:
    """The tokenizer in ``folder``: tokenizer.json, or the older vocab.txt (BERT) or vocab.json, merges.txt (RoBERTa).

    Other older files are read with the transformers package.

    ``lower_case`` lower-cases each text first, as "do_lower_case" in sentence_bert_config.json asks.

    Raises:
        FileNotFoundError: No such file is there.
        ImportError: The transformers package is needed, and is not installed.
        ValueError: A file is damaged.
    """
    files = next((files for files in READERS if all((folder / file).is_file() for file in files)), None)
    if files is None:
        raise FileNotFoundError(f"{folder} holds no tokenizer: {', '.join(map(' with '.join, READERS))}: none is there")
    settings = tokenizer_settings(folder)
    try:
        with tokenizer_errors():
            tokenizer = READERS[files](*(str(folder / file) for file in files), settings)
            tokenizer.encode("")  # what is wrong with its special tokens is seen only now
    except ImportError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        damaged = " with ".join([str(folder / files[0]), *files[1:]])
        raise ValueError(f"{damaged} makes no tokenizer: {reason(error)}; fetch it again") from error
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
    first, last = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    if first is None or last is None:  # not RoBERTa's, but GPT-2's, DeBERTa's, …
        return _by_transformers(vocabulary, settings)
    tokenizer.post_processor = RobertaProcessing(("</s>", last), ("<s>", first), add_prefix_space=prefix_space)
    tokenizer.add_special_tokens(
        [t for t in ("<s>", "</s>", "<unk>", "<pad>", "<mask>") if tokenizer.token_to_id(t) is not None]
    )
    return tokenizer


def _by_transformers(file: str, settings: dict[str, Any]) -> Tokenizer:
    """What Transformers makes of the files beside ``file``: only it knows what each architecture puts around a text."""
    folder = Path(file).parent
    with extra("transformers", f"The tokenizer {file}"):
        from transformers import AutoTokenizer

        if Path(file).name in SENTENCE_PIECES:
            import sentencepiece  # noqa: F401  # Transformers would ask for it later, in words of its own
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    made: Tokenizer = tokenizer.backend_tokenizer
    return made


READERS: dict[tuple[str, ...], Callable[..., Tokenizer]] = {  # the files of each generation, the newest first
    ("tokenizer.json",): _from_json,
    ("vocab.txt",): _wordpiece,
    ("vocab.json", "merges.txt"): _byte_level,
    **{(name,): _by_transformers for name in SENTENCE_PIECES},
}
