"""The tokenizer of every generation of files gives the ids that Transformers gives, whole and without padding."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer

from likewise.checkpoint.tokenizer import read_tokenizer
from tests.tiny_checkpoints import save_tokenizer, vocabulary

TEXTS = [
    "",
    "   \t\r\n ",
    "The kettle's boiling, isn't it?!",
    "RIVER river RiVeR",
    "a café, l'été, Ångström and naïve Zoë; ἄλφα",
    "water中国tea 水",
    "small 😀 green 👩‍👩‍👧 garden",
    "zero\u200bwidth, null\x00, bell\x07, no-break\u00a0space,\u3000wide",
    "x" * 300,
    "late " * 300,
    "[MASK] river [SEP] x[CLS]y [PAD] [UNK]",
    "a <mask> b<mask>c <s>the</s> late<pad>",
    "İstanbul ß ﬁ Ⅷ",
    "3.14 1,000 $5 a-b_c/d\\e",
]
PIECES = st.sampled_from(
    [*"abz AZ09.,'-é中水ä", " ", "\n", "\u00a0", "\u0301", "😀", "the", "boiling", "[MASK]", "<mask>", "</s>"]
)
VARIED_TEXT = st.lists(PIECES, max_size=30).map("".join)


def write_settings(folder: Path, **changes: object) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(changes))


def wordpiece_folder(folder: Path, **changes: object) -> Path:
    """A folder as the first BERT checkpoints have it."""
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in (*vocabulary(), "é", "中")), encoding="utf-8")
    write_settings(folder, **changes)
    return folder


def byte_level_folder(folder: Path, **changes: object) -> Path:
    """A folder as the first RoBERTa checkpoints have it."""
    tokenizer = ByteLevelBPETokenizer()
    sentences = 3 * ["The train to the station was late.", "the kettle is boiling and the river is green"]
    special: list[str | AddedToken] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(iter(sentences), vocab_size=320, special_tokens=special, show_progress=False)
    tokenizer.save_model(str(folder))
    write_settings(folder, **changes)
    return folder


def assert_same_ids(tokenizer: Tokenizer, theirs: Any, texts: list[str]) -> None:
    for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert encoding.ids == theirs(text)["input_ids"], text


@pytest.fixture(scope="module")
def bert_tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy  # in plain Python

    folder = wordpiece_folder(tmp_path_factory.mktemp("bert"))
    return read_tokenizer(folder), BertTokenizerLegacy.from_pretrained(folder)


@pytest.fixture(scope="module")
def roberta_tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    from transformers import RobertaTokenizer

    folder = byte_level_folder(tmp_path_factory.mktemp("roberta"))
    return read_tokenizer(folder), RobertaTokenizer.from_pretrained(folder)


@settings(max_examples=50)
@given(text=VARIED_TEXT)
def test_vocab_txt_gives_the_ids_of_bert(bert_tokenizers: tuple[Tokenizer, Any], text: str) -> None:
    assert_same_ids(*bert_tokenizers, [text])


@settings(max_examples=50)
@given(text=VARIED_TEXT)
def test_merges_give_the_ids_of_roberta(roberta_tokenizers: tuple[Tokenizer, Any], text: str) -> None:
    assert_same_ids(*roberta_tokenizers, [text])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"do_lower_case": True},
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "strip_accents": False},
        {"strip_accents": None},
        {"tokenize_chinese_chars": False},
    ],
    ids=str,
)
def test_the_settings_of_a_wordpiece_tokenizer_are_obeyed(tmp_path: Path, changes: dict[str, Any]) -> None:
    from transformers import BertTokenizer
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    tokenizer = read_tokenizer(wordpiece_folder(tmp_path, **changes))
    for kind in (BertTokenizer, BertTokenizerLegacy):
        assert_same_ids(tokenizer, kind.from_pretrained(tmp_path), TEXTS)


@pytest.mark.parametrize("add_prefix_space", [True, False])
def test_the_settings_of_a_byte_level_tokenizer_are_obeyed(tmp_path: Path, add_prefix_space: bool) -> None:
    from transformers import RobertaTokenizer

    tokenizer = read_tokenizer(byte_level_folder(tmp_path, add_prefix_space=add_prefix_space))
    assert_same_ids(tokenizer, RobertaTokenizer.from_pretrained(tmp_path), TEXTS)


def test_special_tokens_are_marked_in_every_generation(tmp_path: Path) -> None:
    folders = {kind: tmp_path / kind for kind in ("wordpiece", "byte level", "json")}
    for folder in folders.values():
        folder.mkdir()
    wordpiece_folder(folders["wordpiece"])
    byte_level_folder(folders["byte level"])
    save_tokenizer(folders["json"])
    for folder in folders.values():
        mask = read_tokenizer(folder).encode("the river").special_tokens_mask
        assert [mask[0], mask[-1], sum(mask)] == [1, 1, 2]


def test_tokenizer_json_goes_before_the_older_files(tmp_path: Path) -> None:
    wordpiece_folder(tmp_path)
    save_tokenizer(tmp_path, "roberta")
    assert read_tokenizer(tmp_path).encode("the").tokens == ["<s>", "the", "</s>"]


@pytest.mark.parametrize("direction", ["left", "right"])
def test_truncation_and_padding_of_tokenizer_json_are_switched_off(tmp_path: Path, direction: str) -> None:
    save_tokenizer(tmp_path)
    file = str(tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.enable_truncation(6, direction=direction)
    tokenizer.enable_padding(length=8, direction=direction)
    tokenizer.save(file)
    texts = ["the river", "late " * 50]
    assert [len(encoding) for encoding in Tokenizer.from_file(file).encode_batch(texts)] == [8, 8]
    assert [len(encoding) for encoding in read_tokenizer(tmp_path).encode_batch(texts)] == [4, 52]


@pytest.mark.parametrize("make", [wordpiece_folder, byte_level_folder])
def test_lower_case_is_for_any_tokenizer(tmp_path: Path, make: Callable[..., Path]) -> None:
    make(tmp_path, do_lower_case=False)
    kept, lowered = read_tokenizer(tmp_path), read_tokenizer(tmp_path, lower_case=True)
    for text in TEXTS:
        if "[" not in text:  # special tokens are found before the text is changed
            assert lowered.encode(text).ids == kept.encode(text.lower()).ids
    assert kept.encode("THE RIVER").ids != kept.encode("the river").ids


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    write_settings(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path} holds no tokenizer")):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe"])
def test_damaged_json_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    wordpiece_folder(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / file))):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"the\nriver\n", b"[CLS]\n", b"\xff\xfe\n"])
def test_a_damaged_vocab_txt_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "vocab.txt"))):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b"[]"),
        ("vocab.json", b'{"a": 0}'),
        ("vocab.json", b'{"a": "b"}'),
        ("vocab.json", b'{"<s>": 0}'),
        ("merges.txt", b"#version: 0.2\na b\nunknown pieces\n"),
        ("merges.txt", b"#version: 0.2\none two three\n"),
        ("merges.txt", b"\xff\xfe\n"),
    ],
)
def test_damaged_merges_are_named(tmp_path: Path, file: str, content: bytes) -> None:
    byte_level_folder(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "vocab.json"))):
        read_tokenizer(tmp_path)
