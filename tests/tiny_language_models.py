"""Random tiny language models with a tokenizer of their own and a chat template, saved as Hugging Face saves them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from tests.other_checkpoints import VARIANTS
from tests.tiny_checkpoints import draw_weights

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<|turn|>", "<|end|>")
LIMIT = 120  # tokens of a chat
LEARNT_FROM = (
    "judge whether the document answers the question, and say yes or no",
    "the train to the station was late, and the river in the garden was green",
    "is there tea? no, the kettle is not boiling: rain in winter, a small bridge, music on paper",
    "question: document: instruction: answer yes no yes no",
)

# A message's content as a text, as Qwen3-Reranker reads it, with the instruction in front …
FLAT = (
    "{{ bos_token }}"
    "{%- set given = messages | selectattr('role', 'eq', 'system') | map(attribute='content') | first -%}"
    "<|turn|>{{ given or 'judge whether the document answers the question' }}\n"
    "question: {{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }}\n"
    "document: {{ messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first }}<|end|>\n"
    "<|turn|>answer\n"
)
# … and as a list of parts, by roles as they come, with the instruction at the end and a turn that begins on request.
STRUCTURED = (
    "{% for message in messages if message.role != 'system' %}"
    "<|turn|>{{ message.role }}: {{ message.content[0].text }}<|end|>\n"
    "{% endfor %}"
    "{% for message in messages if message.role == 'system' %}{{ message.content[0].text }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>{{ answer_first }}{% endif %}"
)
BLIND = "{% for message in messages if message.role == 'query' %}{{ message.content }}{% endfor %}answer"
STRICT = "{% for message in messages %}{{ raise_exception('only users may speak') }}{% endfor %}"


def tiny_language_model(
    folder: Path, variant: str = "qwen3", template: str | None = FLAT, in_file: bool = True, **changes: Any
) -> Path:
    """Save a random language model of one of VARIANTS into ``folder``, and its tokenizer; returns it.

    A text begins with ``<s>``, as Llama's do; a chat does so where its template writes it.
    The chat ``template`` is a file of its own or, not ``in_file``, in tokenizer_config.json. ``changes`` replaces
    entries of config.json.
    """
    from transformers import AutoConfig, AutoModelForCausalLM  # 2.5 s

    model_type, sizes = VARIANTS[variant] if variant in VARIANTS else (variant, VARIANTS["llama"][1])
    positions = {"n_positions" if model_type == "gpt2" else "max_position_embeddings": 2 * LIMIT}
    known = {"vocab_size": tokenizer().get_vocab_size(), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(sizes | positions | known | changes)))
    draw_weights(model, 0)
    model.save_pretrained(folder)
    begins_texts = Tokenizer.from_str(tokenizer().to_str())
    begins_texts.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", token_id("<s>"))]
    )
    begins_texts.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": LIMIT,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    if template is not None and in_file:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    elif template is not None:
        settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return folder


def save_as_reranker(
    folder: Path, true: str = "yes", false: str | None = "no", settings: dict[str, Any] | None = None
) -> None:
    """Write what sentence-transformers 6.2 keeps beside the language model in ``folder``, which scores by two tokens.

    ``settings`` replaces entries of sentence_bert_config.json.
    """
    output = {"method": "forward", "method_output_name": "logits"}
    encoder = {
        "transformer_task": "text-generation",
        "modality_config": {"text": output, "message": output | {"format": "flat"}},
        "module_output_name": "causal_logits",
    }
    types = ("base.modules.transformer.Transformer", "cross_encoder.modules.logit_score.LogitScore")
    rows = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.{kind}"}
        for place, (path, kind) in enumerate(zip(("", "1_LogitScore"), types, strict=True))
    ]
    ids = {"true_token_id": token_id(true), "false_token_id": None if false is None else token_id(false)}
    (folder / "1_LogitScore").mkdir()
    for name, value in (
        ("modules.json", rows),
        ("sentence_bert_config.json", encoder | (settings or {})),
        ("1_LogitScore/config.json", ids | {"module_input_name": "causal_logits"}),
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder", "prompts": {}}),
    ):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")


def token_id(token: str) -> int:
    """The id of one of the tokenizer's tokens."""
    found = tokenizer().token_to_id(token)
    assert found is not None, token
    return int(found)


@cache
def tokenizer() -> Tokenizer:
    """A byte-level BPE of few merges, as those of language models are, before it learns what begins a text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([*LEARNT_FROM, "yes", "no"] * 9, trainer)
    return made
