"""The settings of a run: the incumbent's names and defaults, and errors that name what is nearest."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from likewise.training.arguments import NOT_NEEDED, SentenceTransformerTrainingArguments
from likewise.training_args import BatchSamplers

THEIRS: dict[str, Any] = json.loads((Path(__file__).parent / "arguments_6.2.json").read_text(encoding="utf-8"))
OURS = {field.name: field.default for field in fields(SentenceTransformerTrainingArguments)}
OWN = {"missing_rows", "tokens_cache", "token_budget"}
OTHER_DEFAULTS = {  # what ours is, where it means the same
    "router_mapping": None,
    "learning_rate_mapping": None,
    "warmup_ratio": None,
    "project": "likewise",  # of the tracker
    "gradient_checkpointing": False,
}


def test_every_argument_is_the_incumbents_or_ours() -> None:
    assert OURS.keys() - THEIRS.keys() == OWN


@pytest.mark.parametrize("name", sorted(OURS.keys() & THEIRS.keys()))
def test_the_defaults_are_the_same(name: str) -> None:
    assert OURS[name] == OTHER_DEFAULTS.get(name, THEIRS[name])


@pytest.mark.parametrize("name", sorted(THEIRS.keys() - OURS.keys()))
def test_an_argument_that_there_is_not_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(TypeError, match=f"no argument '{name}': (did you mean|leave it out|give|call|there are)"):
        SentenceTransformerTrainingArguments(**{name: 1})  # type: ignore[arg-type]


def test_a_slip_of_the_pen_is_told_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="no argument 'learning_rates': did you mean learning_rate"):
        SentenceTransformerTrainingArguments(learning_rates=1e-5)  # type: ignore[call-arg]
    assert not NOT_NEEDED.keys() & OURS.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_device_train_batch_size": 0}, "must be 1 or more, not 0"),
        ({"gradient_accumulation_steps": -1}, "must be 1 or more, not -1"),
        ({"lr_scheduler_type": "kettle"}, "lr_scheduler_type 'kettle' is not known; use one of linear, cosine"),
        ({"optim": "kettle"}, "optim 'kettle' is not known; use one of adamw_torch"),
        ({"eval_strategy": "kettle"}, "use one of no, steps, epoch"),
        ({"bf16": True, "fp16": True}, "exclude each other"),
        ({"save_steps": 0}, "save_steps must be above 0"),
        ({"warmup_steps": 5, "warmup_ratio": 0.1}, "not both"),
        ({"load_best_model_at_end": True}, "needs an eval_strategy"),
        ({"load_best_model_at_end": True, "eval_strategy": "epoch"}, "to be the same, not 'epoch' and 'steps'"),
        (
            {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 30, "save_steps": 40},
            "save_steps 40 is no multiple of eval_steps 30",
        ),
        ({"batch_sampler": "kettle"}, "kettle"),
    ],
)
def test_a_value_that_is_not_possible_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SentenceTransformerTrainingArguments(**arguments)


def test_what_follows_from_others() -> None:
    shares = {"eval_steps": 0.1, "save_steps": 0.3, "eval_strategy": "steps"}
    SentenceTransformerTrainingArguments(load_best_model_at_end=True, **shares)  # type: ignore[arg-type]
    best = SentenceTransformerTrainingArguments(
        load_best_model_at_end=True, eval_strategy="epoch", save_strategy="epoch"
    )
    assert (best.metric_for_best_model, best.greater_is_better) == ("loss", False)
    assert SentenceTransformerTrainingArguments(metric_for_best_model="eval_sts_spearman_cosine").greater_is_better
    assert SentenceTransformerTrainingArguments(warmup_ratio=0.1).warmup_steps == 0.1
    assert SentenceTransformerTrainingArguments(logging_steps=7).eval_steps == 7
    assert (
        SentenceTransformerTrainingArguments(batch_sampler="no_duplicates").batch_sampler is BatchSamplers.NO_DUPLICATES
    )
    assert "hub_token" not in SentenceTransformerTrainingArguments(hub_token="secret").to_dict()
    assert "secret" not in repr(SentenceTransformerTrainingArguments(hub_token="secret"))
