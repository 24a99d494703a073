"""A saved cross-encoder, in every generation of the format → what computes it, its settings and its activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.classification import ARCHITECTURES, is_classifier
from likewise.checkpoint.locate import Location
from likewise.checkpoint.model_settings import ModelSettings, read_model_settings
from likewise.checkpoint.settings import architecture_of, read_checkpoint
from likewise.checkpoint.values import about, whole_number
from likewise.models.classification_head import read_head
from likewise.models.logit_scorer import plain_logit_scorer, read_logit_scorer
from likewise.models.reading import read_modules

SCORES = "scores"  # what the last Dense gives in a model that is put together of modules


@dataclass(frozen=True)
class CrossEncoderCheckpoint:
    """What a cross-encoder's folder holds."""

    chain: models.Chain
    settings: ModelSettings
    activation: str | None  # the class that the checkpoint names


def read_cross_encoder(location: Location, labels: int | None, changes: Mapping[str, Any]) -> CrossEncoderCheckpoint:
    """Read the cross-encoder at ``location``; an encoder of another kind gets a new head.

    ``labels`` takes the place of the number in config.json, and ``changes`` that of its other entries.

    Raises:
        ValueError: A file is damaged, or the model is of a kind that is not supported.
    """
    folder = location.folder
    if labels is not None:
        whole_number(labels, "num_labels")
    settings = read_model_settings(folder, "CrossEncoder")
    checkpoint = read_checkpoint(folder)
    kinds = [entry.kind for entry in checkpoint.modules]
    last = checkpoint.modules[-1]
    if kinds == ["Transformer", "LogitScore"]:
        chain = _chain_of(read_logit_scorer(checkpoint.modules[0], last, location.origin, changes), labels)
    elif last.kind == "Dense" and last.settings.get("module_output_name") == SCORES:
        with about(folder):
            modules = read_modules(replace(checkpoint, modules=checkpoint.modules[:-1]), location.origin)
            dense = last.settings | {"module_output_name": None}
            scoring = read_modules(replace(checkpoint, modules=(replace(last, settings=dense),)), location.origin)
            chain = replace(models.chain_of([*modules, *scoring]), reads_pairs=True)
    elif kinds[0] == "Transformer" and "LogitScore" not in kinds:
        chain = _classifier(checkpoint.modules[0].folder, location, labels, changes)
    else:
        raise ValueError(
            f"{folder} is made of {', '.join(kinds[:12])}; a cross-encoder begins with a Transformer, which reads both "
            "texts, and a LogitScore stands right behind it"
        )
    config = chain.source.config if isinstance(chain.source, models.Transformer) else {}
    return CrossEncoderCheckpoint(chain, settings, settings.activation_fn or activation_name(config))


def activation_name(config: Mapping[str, Any]) -> str | None:
    """The class of the activation that config.json names: since sentence-transformers 4, before it, or not at all."""
    own = config.get("sentence_transformers")
    named = own.get("activation_fn") if isinstance(own, Mapping) else None
    named = named or config.get("sbert_ce_default_activation_function")
    return named if isinstance(named, str) else None


def _chain_of(scorer: models.LogitScorer, labels: int | None) -> models.Chain:
    if labels not in (None, 1):
        raise ValueError(f"a language model gives a pair one score, not num_labels={labels}; leave it out")
    return models.Chain(scorer, (), None, (), reads_pairs=True)


def _classifier(folder: Path, location: Location, labels: int | None, changes: Mapping[str, Any]) -> models.Chain:
    transformer = models.Transformer(folder, config_kwargs=changes)
    if architecture_of(transformer.config).endswith("ForCausalLM"):
        return _chain_of(plain_logit_scorer(folder, location.origin, changes), labels)
    if transformer.settings.model_type not in ARCHITECTURES:
        classifier = models.SequenceClassifier(folder, labels=labels, config_kwargs=changes)
        classifier.location = Location(folder, location.origin)
        return models.Chain(classifier, (), None, (), reads_pairs=True)
    transformer.location = Location(folder, location.origin)
    if labels is None and not is_classifier(transformer.config):
        labels = 1
    head = read_head(transformer, labels)
    pooling = models.Pooling(transformer.get_embedding_dimension(), head.settings.pooling)
    return models.Chain(transformer, (), pooling, (), head, reads_pairs=True)
