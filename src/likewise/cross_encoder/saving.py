"""A cross-encoder → a folder that every sentence-transformers, Transformers and we can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from likewise import models
from likewise.checkpoint.arrays import NamedArrays
from likewise.checkpoint.classification import ARCHITECTURES, is_classifier, labels_of, stored_head_names
from likewise.checkpoint.model_card import ModelFacts, model_card
from likewise.checkpoint.model_settings import ModelSettings
from likewise.checkpoint.names import stored_names
from likewise.checkpoint.write import ModuleFiles, write_checkpoint
from likewise.cross_encoder.reading import SCORES
from likewise.engine.live import LiveModel
from likewise.files import whole_folder
from likewise.models.logit_scorer import LOGITS
from likewise.saving import Card, StoredForm, add_packed, has_own_card, with_calibration


def save_cross_encoder(
    chain: models.Chain,
    live: LiveModel,
    settings: ModelSettings,
    path: str | os.PathLike[str],
    form: StoredForm,
    card: Card | None,
) -> None:
    """Write the model into the folder ``path``, whole or not at all; without a ``card`` none is written.

    The activation is written to all the places where a version of sentence-transformers looks for it.

    Raises:
        ValueError: There is no such dtype, or what ``form`` asks for is not to be had.
    """
    form.check(live)
    written = _parts(chain, live)
    encoder = with_calibration(written[0], chain.source, live) if form.dtype is None else written[0]
    config = encoder.json["config.json"] | {
        "sentence_transformers": {"activation_fn": settings.activation_fn, "version": "5.3.0"},
        "sbert_ce_default_activation_function": settings.activation_fn,
    }
    written[0] = replace(encoder, json={**encoder.json, "config.json": config})
    own = {
        "model_type": "CrossEncoder",
        "activation_fn": settings.activation_fn,
        "prompts": dict(settings.prompts),
        "default_prompt_name": settings.default_prompt_name,
    }
    with whole_folder(path) as folder:
        write_checkpoint(folder, written, own, "6", form.weights)
        form.add_files_of_kernels(folder)
        if card is not None and not has_own_card(path):
            facts = _facts(chain, settings, card, Path(os.path.realpath(path)).name)
            (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def write_copy(chain: models.Chain, live: LiveModel, folder: Path, for_cpu: bool) -> None:
    """Write into the empty ``folder`` what another process of this machine loads to compute the same logits.

    The arguments are those of ``saving.write_copy``. The activation, which may be any function, stays where it is.
    """
    written = _parts(chain, live)
    written[0] = with_calibration(written[0], chain.source, live)
    write_checkpoint(folder, written, {"model_type": "CrossEncoder"}, "6", None)
    if for_cpu:
        add_packed(folder, live)


def _parts(chain: models.Chain, live: LiveModel) -> list[ModuleFiles]:
    """What the folder of each module holds; an encoder and its classifier are one."""
    source = chain.source
    assert isinstance(source, models.Transformer)
    if chain.classifier is not None:
        return [_classifier_files(source, _named(source, chain.classifier, live), chain.dimension)]
    if isinstance(source, models.LogitScorer):
        return _language_model_files(source, live)
    if isinstance(source, models.SequenceClassifier):
        return [_classifier_files(source, live.arrays(source), source.labels)]
    modules = (source, *chain.token_layers, *([chain.pooling] if chain.pooling else []), *chain.heads)
    parts = [module.files(live.arrays(module), "6") for module in modules]
    last = parts[-1]
    parts[-1] = replace(last, json={"config.json": {**last.json["config.json"], "module_output_name": SCORES}})
    return parts


def _language_model_files(source: models.LogitScorer, live: LiveModel) -> list[ModuleFiles]:
    arrays = NamedArrays.of(live.arrays(source))
    if live.has_network:  # which has but those rows of the head that it needs
        head = str(live.part(source).head)
        arrays = arrays.with_changed(
            {name: source.stored[name] for name in source.stored if name.startswith(f"{head}.")}
        )
    true, *false = source.tokens
    scoring = {"true_token_id": true, "false_token_id": false[0] if false else None, "module_input_name": LOGITS}
    return [source.files(arrays, "6"), ModuleFiles("LogitScore", {"config.json": scoring})]


def _named(source: models.Transformer, head: models.ClassificationHead, live: LiveModel) -> NamedArrays:
    """The arrays of an encoder and of its head, as Transformers' class stores them."""
    model_type = source.settings.model_type
    encoder, own = NamedArrays.of(live.arrays(source)), NamedArrays.of(live.arrays(head))
    prefix = ARCHITECTURES[model_type].prefix
    stored = encoder.renamed({ours: prefix + name for ours, name in stored_names(model_type, encoder).items()})
    return stored.with_changed(own.renamed(stored_head_names(model_type, own)))


def _classifier_files(source: models.Transformer, arrays: Mapping[str, Any], labels: int) -> ModuleFiles:
    files = source.files({}, "6")
    config = dict(files.json["config.json"])
    architecture = ARCHITECTURES.get(source.settings.model_type)
    if architecture is not None:
        config["architectures"] = [f"{architecture.name}ForSequenceClassification"]
    elif not is_classifier(config):
        config["architectures"] = [_transformers_class(config["model_type"])]
    if not is_classifier(source.config) or labels_of(source.config) != labels:
        config["id2label"] = {str(label): f"LABEL_{label}" for label in range(labels)}
        config["label2id"] = {f"LABEL_{label}": label for label in range(labels)}
    config.pop("num_labels", None)  # Transformers takes it from the names, and fails where they disagree
    json = {
        **files.json,
        "config.json": config,
        "sentence_bert_config.json": {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
            "module_output_name": SCORES,
        },
    }
    return replace(files, json=json, arrays=arrays)


def _transformers_class(model_type: str) -> str:
    import transformers  # only it computes this architecture

    names = transformers.models.auto.modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    return str(names[model_type])


def _facts(chain: models.Chain, settings: ModelSettings, card: Card, folder: str) -> ModelFacts:
    source = chain.source
    assert isinstance(source, models.Transformer)
    return ModelFacts(
        name=card.model_name or folder,
        architecture=source.architecture,
        modules=list(map(repr, chain.modules)),
        dimension=source.settings.hidden,
        max_seq_length=source.max_seq_length,
        similarity="",
        prompts=settings.prompts,
        training=card.training,
        scores=card.scores,
        labels=chain.dimension,
    )
