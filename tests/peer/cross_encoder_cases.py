"""Cross-encoders that both libraries load, by name: the rows of the table of formats, on each architecture."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cross_encoder.test_cross_encoder import ACTIVATIONS, OWN, other_classifier
from tests.tiny_checkpoints import POSITIONS, tiny_classifier, tiny_encoder
from tests.tiny_language_models import STRUCTURED, save_as_reranker, tiny_language_model, token_id

OTHERS = ("albert", "deberta", "deberta-v2", "data2vec-text", "xlnet")  # computed by Transformers
MODULES = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]
TRANSFORMER = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}
LOGITS = {"method": "forward", "method_output_name": "logits"}
TELLS_NO_FORMAT = {"modality_config": {"text": LOGITS, "message": LOGITS}}
TURN = {"add_generation_prompt": True, "answer_first": "answer: "}


@dataclass(frozen=True)
class Case:
    """One cross-encoder: the checkpoint that the test draws, and what a library is told when it loads it."""

    draw: Callable[[Path], Path]
    # "activation_fn" by name; "dense", "tokens": score_cross_encoders.py
    arguments: dict[str, Any] = field(default_factory=dict)


def _own(model_type: str, labels: int) -> Case:
    return Case(lambda folder: tiny_classifier(folder, model_type, labels))


def _other(name: str) -> Case:
    def draw(folder: Path) -> Path:
        other_classifier(folder, name)
        if name == "xlnet":  # it scores by its last token, and so sentence-transformers must not pad behind it
            _add(folder / "tokenizer_config.json", {"padding_side": "left"})
        return folder

    return Case(draw, {"max_length": POSITIONS})  # their limits are others, or none


def _reranker(variant: str, false: str | None = "no", settings: dict[str, Any] | None = None, **model: Any) -> Case:
    def draw(folder: Path) -> Path:
        save_as_reranker(tiny_language_model(folder, variant, **model), false=false, settings=settings)
        return folder

    return Case(draw, {"max_length": 50} if settings else {})


def _named(*places: str, **arguments: Any) -> Case:
    """A BERT that names its activation at ``places``, with the files that the version has which looks there."""

    def draw(folder: Path) -> Path:
        tiny_classifier(folder)
        for place in places:
            _add(folder / (place if place.endswith(".json") else "config.json"), ACTIVATIONS[place])
            if place.endswith(".json"):
                (folder / "modules.json").write_text(json.dumps(MODULES))
                (folder / "sentence_bert_config.json").write_text(json.dumps(TRANSFORMER))
        return folder

    return Case(draw, arguments)


def _add(file: Path, entries: dict[str, Any]) -> None:
    known = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(known | entries))


LOADED = {
    **{f"{model_type}, 1 label": _own(model_type, 1) for model_type in OWN},
    **{f"{model_type}, 3 labels": _own(model_type, 3) for model_type in OWN},
    **{name: _other(name) for name in OTHERS},
    "activation before 4": _named("before 4"),
    "activation since 4": _named("before 4", "since 4"),
    "activation since 5.4": _named("before 4", "since 4", "config_sentence_transformers.json"),
    "activation of the call": _named(*ACTIVATIONS, activation_fn="Sigmoid"),
    "max_length": Case(lambda folder: tiny_classifier(folder), {"max_length": 20}),
    "prompts": Case(
        lambda folder: tiny_classifier(folder),
        {"prompts": {"query": "we not: ", "other": "green "}, "default_prompt_name": "other"},
    ),
    "language model, plain": Case(lambda folder: tiny_language_model(folder)),
    "language model, parts of messages": Case(
        lambda folder: tiny_language_model(folder, "llama", STRUCTURED, in_file=False), {"max_length": 60}
    ),
    "language model, no template": Case(lambda folder: tiny_language_model(folder, "llama", None), {"max_length": 40}),
    "language model, gemma2": _reranker("gemma2", final_logit_softcapping=2.0),
    "language model, granite": _reranker("granite", logits_scaling=3.0),
    "language model, phi": _reranker("phi", None),
    "language model, arguments of its template": _reranker(
        "qwen2", settings=TELLS_NO_FORMAT | {"processing_kwargs": {"chat_template": TURN}}, template=STRUCTURED
    ),
    "language model, end not put back": _reranker(
        "qwen3", settings={"processing_kwargs": {"chat_template": {"restore_suffix": False}}}
    ),
    "language model, text alone": _reranker("qwen3", settings={"modality_config": {"text": LOGITS}}),
}
SAVED = {  # made and saved by sentence-transformers, then read by us
    "another activation, saved": _named("before 4", "since 4", activation_fn="Tanh"),
    "prompts, saved": LOADED["prompts"],
    "max_length, saved": LOADED["max_length"],
    "encoder, 1 label": Case(lambda folder: tiny_encoder(folder, "mpnet", initializer_range=0.5)),
    "encoder, 3 labels": Case(lambda folder: tiny_encoder(folder, "modernbert"), {"num_labels": 3}),
    "pooling and dense, 1 label": Case(lambda folder: tiny_encoder(folder, "bert"), {"dense": 1}),
    "language model, saved": Case(lambda folder: tiny_language_model(folder, tie_word_embeddings=True)),
    "language model, one token, saved": Case(
        lambda folder: tiny_language_model(folder, "qwen2", tie_word_embeddings=True),
        {"tokens": [token_id("yes"), None], "activation_fn": "Tanh", "prompts": {"river": "the river"}},
    ),
    "pooling and dense, 3 labels": Case(lambda folder: tiny_encoder(folder, "roberta"), {"dense": 3}),
}
