"""Rerankers that are language models, against Transformers' own template and logits, pair by pair."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from likewise import CrossEncoder
from likewise.checkpoint.model_files import missing_files, needed_files
from likewise.cli import app
from likewise.cross_encoder.losses import BinaryCrossEntropyLoss
from tests.tiny_checkpoints import WORDS
from tests.tiny_language_models import (
    BLIND,
    FLAT,
    LIMIT,
    STRICT,
    STRUCTURED,
    save_as_reranker,
    tiny_language_model,
    token_id,
)

LONG = " ".join(WORDS * 2)
PAIRS = [
    ("is there tea?", "the kettle is boiling"),
    ("rain", "the river was in the garden, and the bridge was small"),
    ("", "music"),
    ("", ""),
    ("Straße", "茶 and <|end|> in a text"),
    (LONG, "a small green bridge"),
    ("a small green bridge", LONG),
    *(("the train", " ".join(["late"] * times)) for times in range(60, 90, 3)),  # about the limit
]
INSTRUCTION = "say whether the river is meant"


def their_scores(
    folder: Path,
    pairs: Sequence[tuple[str, str]],
    instruction: str | None = None,
    tokens: tuple[str, ...] = ("yes", "no"),
    limit: int = LIMIT,
    is_structured: bool = False,
    **arguments: Any,
) -> np.ndarray:
    """(pairs,): each pair rendered, tokenised and computed by Transformers alone; of a long one the end is kept."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids_of(*pair: str) -> list[int]:
        roles = [("system", instruction), *zip(("query", "document"), pair, strict=True)]
        chat = [
            {"role": role, "content": [{"type": "text", "text": text}] if is_structured else text}
            for role, text in roles
            if text is not None
        ]
        found: list[int] = tokenizer.apply_chat_template(chat, **arguments)["input_ids"]
        return found

    @cache
    def end() -> list[int]:
        first, second = ids_of("a", "a"), ids_of("?!", "?!")
        count = next(n for n in range(len(first)) if first[-n - 1 :] != second[-n - 1 :])
        return first[len(first) - count :]

    found = []
    for pair in pairs:
        ids = ids_of(*pair)
        if len(ids) > limit:
            ids = ids[: limit - len(end())] + end()
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1].double()
        true, *false = (float(logits[token_id(token)]) for token in tokens)
        found.append(true - sum(false))
    return np.array(found)


def load(folder: Path, **arguments: Any) -> CrossEncoder:
    return CrossEncoder(folder, activation_fn=torch.nn.Identity(), dtype="float32", device="cpu", **arguments)


def assert_equal(found: Any, expected: np.ndarray) -> None:
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("variant", ["qwen3", "llama", "gemma2"])
def test_a_plain_language_model_scores_by_yes_and_no(variant: str, tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path, variant, in_file=variant != "llama")
    model = load(folder)
    assert (model.num_labels, model.max_seq_length) == (1, LIMIT)
    expected = their_scores(folder, PAIRS)
    assert_equal(model.predict(PAIRS), expected)
    assert_equal(model.predict(PAIRS, batch_size=1), expected)
    assert_equal(model.predict(PAIRS, prompt=INSTRUCTION), their_scores(folder, PAIRS, INSTRUCTION))
    assert [hit["corpus_id"] for hit in model.rank("rain", [text for _, text in PAIRS[:4]])] == np.argsort(
        -their_scores(folder, [("rain", text) for _, text in PAIRS[:4]])
    ).tolist()


def test_the_cut_leaves_what_the_template_puts_behind_the_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_language_model(tmp_path)
    model = load(folder, max_length=40)
    tokens = model.tokenize(PAIRS)
    assert tokens.lengths.max() == 40 < tokens.full_lengths.max()
    for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        assert model.tokenizer.decode(tokens.ids[start:stop].tolist(), False).endswith("<|end|>\n<|turn|>answer")
    assert_equal(model.predict(PAIRS), their_scores(folder, PAIRS, limit=40))
    assert "were longer than 40 tokens" in caplog.text
    shortest = load(folder, max_length=3).tokenize(PAIRS[:1])
    assert shortest.ids.tolist() == tokens.ids[tokens.offsets[1] - 3 : tokens.offsets[1]].tolist()


def test_a_template_may_read_parts_of_messages_and_values_of_the_checkpoint(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"add_generation_prompt": True, "answer_first": "answer: "}
    folder = tiny_language_model(tmp_path, template=STRUCTURED)
    output = {"method": "forward", "method_output_name": "logits"}
    given = {"chat_template": arguments, "text": {"max_length": 50}}
    save_as_reranker(
        folder, settings={"modality_config": {"message": output, "text": output}, "processing_kwargs": given}
    )
    model = load(folder, prompts={"river": INSTRUCTION}, default_prompt_name="river")
    expected = their_scores(folder, PAIRS, INSTRUCTION, limit=50, is_structured=True, **arguments)
    assert_equal(model.predict(PAIRS), expected)
    model.save_pretrained(tmp_path / "saved")
    assert_equal(load(tmp_path / "saved").predict(PAIRS), expected)


def test_one_token_may_score_alone(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    save_as_reranker(folder, "Ġyes", None)
    model = load(folder)
    assert_equal(model.predict(PAIRS), their_scores(folder, PAIRS, tokens=("Ġyes",)))
    assert repr(model.live.routes.first.source) == "LogitScorer(qwen3, 'Ġyes')"


def test_without_a_template_the_texts_follow_each_other(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_language_model(tmp_path, template=None)
    model, theirs = load(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    expected = []
    for first, second in PAIRS[:5]:
        ids = model.tokenizer.encode(f"the {first}", second).ids
        assert ids.count(token_id("<s>")) == 2
        with torch.no_grad():
            logits = theirs(torch.tensor([ids])).logits[0, -1]
        expected.append(float(logits[token_id("yes")] - logits[token_id("no")]))
    assert_equal(model.predict(PAIRS[:5], prompt="the "), np.array(expected))


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("has_network", [True, False])
def test_what_is_saved_scores_the_same(is_tied: bool, has_network: bool, tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path / "made", tie_word_embeddings=is_tied)
    save_as_reranker(folder, "Ġyes", "Ġno")
    model = load(folder)
    if has_network:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
    scores = model.predict(PAIRS)
    model.activation_fn = torch.nn.Tanh()
    model.save_pretrained(tmp_path / "saved")
    again = CrossEncoder(tmp_path / "saved", dtype="float32", device="cpu")
    assert isinstance(again.activation_fn, torch.nn.Tanh)
    np.testing.assert_allclose(again.predict(PAIRS), np.tanh(scores), atol=1e-6)
    assert_equal(scores, their_scores(tmp_path / "saved", PAIRS, tokens=("Ġyes", "Ġno")))
    assert "LogitScorer(qwen3, 'Ġyes' or 'Ġno')" in (tmp_path / "saved" / "README.md").read_text()


def test_the_hub_is_asked_for_all_its_files(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    save_as_reranker(folder)
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    assert set(needed_files([*files, "1_LogitScore/config.json"], folder)) >= {"chat_template.jinja", "modules.json"}
    assert not missing_files(folder)
    (folder / "1_LogitScore" / "config.json").unlink()
    assert missing_files(folder) == ["1_LogitScore/config.json"]


def test_rerank_of_the_command_line_takes_one(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("the kettle\nthe river\n")
    done = CliRunner().invoke(app, ["rerank", "rain", str(tmp_path / "texts.txt"), "--model", str(folder)])
    assert done.exit_code == 0, done.output
    assert "the river" in done.output


# What is refused


def test_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training language models that score pairs is not there yet"):
        BinaryCrossEntropyLoss(load(tiny_language_model(tmp_path)))


@pytest.mark.parametrize(
    ("template", "prompt", "words"),
    [
        (BLIND, None, "leaves out messages of the role 'document'"),
        (STRICT, None, "takes no messages of the roles query, document: only users may speak"),
        ("{{ messages[0].content", None, "takes no messages of the roles"),
        ("{% if messages[0].role == 'system' %}{{ raise_exception('!') }}{% endif %}" + FLAT, "the", "roles system, q"),
    ],
)
def test_a_template_that_does_not_show_both_texts(
    template: str, prompt: str | None, words: str, tmp_path: Path
) -> None:
    model = load(tiny_language_model(tmp_path, template=template))
    with pytest.raises(ValueError, match=words):
        model.predict(PAIRS, prompt=prompt)


def test_no_code_runs_in_a_template(tmp_path: Path) -> None:
    escape = FLAT + "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(ValueError, match="takes no messages of the roles"):
        load(tiny_language_model(tmp_path, template=escape)).predict(PAIRS)


def test_a_template_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path, template=None)
    save_as_reranker(folder)
    with pytest.raises(ValueError, match=r"by a chat template, but has none; put it into chat_template\.jinja"):
        load(folder).predict(PAIRS)


def test_a_language_model_without_yes_and_no_must_say_by_what_it_scores(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocab = tokenizer["model"]["vocab"]
    tokenizer["model"] |= {"merges": [], "vocab": {"nay" if name == "no" else name: i for name, i in vocab.items()}}
    file.write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match="has no token 'no'"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "entries", "words"),
    [
        ("1_LogitScore/config.json", {"true_token_id": None}, "true_token_id must be a whole number"),
        ("1_LogitScore/config.json", {"false_token_id": 10**6}, "false_token_id must be a whole number from 0 to"),
        ("1_LogitScore/config.json", {"module_input_name": "scores"}, "LogitScore needs a Transformer"),
        ("sentence_bert_config.json", {"transformer_task": "any-to-any"}, "LogitScore needs a Transformer"),
        ("sentence_bert_config.json", {"modality_config": {"image": {}}}, "does not ask for the logits of a text"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"truncation": False}}}, "'truncation', which is"),
        ("sentence_bert_config.json", {"processing_kwargs": {"chat_template": 3}}, "must be an object of objects"),
    ],
)
def test_settings_that_are_not_supported(file: str, entries: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    save_as_reranker(folder)
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | entries))
    with pytest.raises(ValueError, match=words) as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_one_score_a_pair(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    assert load(folder, num_labels=1).num_labels == 1
    with pytest.raises(ValueError, match="not num_labels=2"):
        load(folder, num_labels=2)


def test_a_logit_score_stands_behind_a_transformer(tmp_path: Path) -> None:
    folder = tiny_language_model(tmp_path)
    save_as_reranker(folder)
    rows = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*rows, rows[1]]))
    with pytest.raises(ValueError, match="is made of Transformer, LogitScore, LogitScore"):
        load(folder)
