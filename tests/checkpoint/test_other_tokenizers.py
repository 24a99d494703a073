"""The tokenizers of other architectures give the ids that Transformers gives, whichever files they are stored in."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from likewise.checkpoint.tokenizer import read_tokenizer
from likewise.tokens import special_tokens, tokenize

SENTENCES = 4 * [
    "the train to the station was late",
    "the kettle is boiling and the river is green",
    "tea and water in winter",
]
TEXTS = [
    "the river is late",
    "",
    "tea  and   kettle\n\nboil",
    "a <pad> b</s>c <cls>[SEP] [MASK]",
    "Ünï中 😀 ﬁ",
    " leading and trailing ",
    "UPPER Case",
]
BYTES = pre_tokenizers.ByteLevel.alphabet()
UNIGRAM: dict[str, list[str]] = {  # class → its special tokens, in the order of their ids
    "AlbertTokenizer": ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
    "DebertaV2Tokenizer": ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"],
    "T5Tokenizer": ["<pad>", "</s>", "<unk>"],
    "XLNetTokenizer": ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"],
}


def save_unigram(folder: Path, name: str) -> None:
    """tokenizer.json and tokenizer_config.json, as the class called ``name`` saves them."""
    import transformers

    special = UNIGRAM[name]
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    unknown = next(token for token in special if "unk" in token.lower())
    trainer = trainers.UnigramTrainer(vocab_size=70, special_tokens=special, unk_token=unknown, show_progress=False)
    trained.train_from_iterator(SENTENCES, trainer)
    vocabulary = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"]]
    extra = {"extra_ids": 3} if name == "T5Tokenizer" else {}
    getattr(transformers, name)(vocab=vocabulary, **extra).save_pretrained(folder)


def byte_level(special: list[str]) -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=BYTES, show_progress=False)
    trained.train_from_iterator(SENTENCES, trainer)
    return trained


def save_qwen(folder: Path) -> None:
    """As Qwen3-Embedding has it: the end of the text is added by the post-processor of tokenizer.json."""
    from transformers import Qwen2Tokenizer

    trained = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    Qwen2Tokenizer(vocab=model["vocab"], merges=merges, eos_token="<|im_end|>").save_pretrained(folder)
    file = str(folder / "tokenizer.json")
    saved = Tokenizer.from_file(file)
    end = ("<|endoftext|>", saved.token_to_id("<|endoftext|>"))
    saved.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="$A <|endoftext|>", pair="$A $B <|endoftext|>", special_tokens=[end]),
        ]
    )
    saved.save(file)


def save_merges(folder: Path, model_type: str, special: list[str]) -> None:
    """vocab.json and merges.txt alone."""
    byte_level(special).model.save(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))


def assert_same_ids(folder: Path) -> None:
    from transformers import AutoTokenizer

    ours, theirs = read_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text)["input_ids"], text
    before, after = special_tokens(ours)
    whole = theirs(TEXTS[0])["input_ids"]
    short = theirs(TEXTS[0], truncation=True, max_length=before + after + 2)["input_ids"]
    assert len(short) == before + after + 2 < len(whole)
    assert tokenize(ours, TEXTS[:1], max_length=before + after + 2).ids.tolist() == short


@pytest.mark.parametrize("name", UNIGRAM)
def test_unigram_tokenizers_give_the_ids_of_transformers(tmp_path: Path, name: str) -> None:
    save_unigram(tmp_path, name)
    assert_same_ids(tmp_path)


def test_qwen_ends_a_text_as_transformers_does(tmp_path: Path) -> None:
    save_qwen(tmp_path)
    assert_same_ids(tmp_path)
    assert special_tokens(read_tokenizer(tmp_path)) == (0, 1)


def test_both_special_tokens_of_xlnet_stand_at_the_end(tmp_path: Path) -> None:
    save_unigram(tmp_path, "XLNetTokenizer")
    assert special_tokens(read_tokenizer(tmp_path)) == (0, 2)


@pytest.mark.parametrize(
    ("model_type", "special"),
    [
        ("deberta", ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]),
        ("gpt2", ["<|endoftext|>"]),
        ("qwen2", ["<|endoftext|>"]),
    ],
)
def test_merges_of_other_architectures_are_read_by_transformers(
    tmp_path: Path, model_type: str, special: list[str]
) -> None:
    save_merges(tmp_path, model_type, special)
    assert_same_ids(tmp_path)


@pytest.mark.parametrize(
    ("model_type", "file"), [("t5", "spiece.model"), ("deberta-v2", "spm.model"), ("albert", "spiece.model")]
)
def test_sentencepiece_files_are_read_by_transformers(tmp_path: Path, model_type: str, file: str) -> None:
    sentencepiece: Any = pytest.importorskip("sentencepiece")
    with (tmp_path / file).open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_writer=model,
            vocab_size=60,
            hard_vocab_limit=False,
            pad_id=3,
            user_defined_symbols="[CLS],[SEP],[MASK]",
        )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    assert_same_ids(tmp_path)


def test_a_damaged_sentencepiece_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    (tmp_path / "spiece.model").write_bytes(b"no model")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "spiece.model"))):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("missing", ["transformers", "sentencepiece"])
def test_without_what_reads_it_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    (tmp_path / "spiece.model").write_bytes(b"")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"The tokenizer .*spiece.model needs the package .*likewise\[transformers\]"):
        read_tokenizer(tmp_path)


def test_code_of_a_tokenizer_is_not_run(tmp_path: Path) -> None:
    save_merges(tmp_path, "kettle", ["[CLS]"])
    (tmp_path / "kettle.py").write_text(f"open({str(tmp_path / 'trapped')!r}, 'w')")
    settings = {"tokenizer_class": "Kettle", "auto_map": {"AutoTokenizer": ["kettle.Kettle", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "vocab.json"))):
        read_tokenizer(tmp_path)
    assert not (tmp_path / "trapped").exists()
