"""The classification heads of cross-encoders: what config.json says of them, and what their arrays are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from likewise.checkpoint.settings import architecture_of
from likewise.checkpoint.values import ConfigValues, shortened, whole_number

POOLINGS = ("cls", "mean")  # how ModernBERT's head gets one vector of a pair; all others take the first token's


@dataclass(frozen=True)
class HeadSettings:
    """A pair's vector → dropout, Dense, activation, norm, dropout, a score for each label."""

    hidden: int
    labels: int
    activation: str
    first_dropout: float
    dropout: float  # before the last layer
    pooling: str = "cls"  # where that vector comes from
    has_bias: bool = True  # of the Dense
    has_norm: bool = False
    norm_epsilon: float = 1e-5
    norm_bias: bool = False

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array, by the library's names."""
        shapes: dict[str, tuple[int, ...]] = {"dense.weight": (self.hidden, self.hidden)}
        if self.has_bias:
            shapes["dense.bias"] = (self.hidden,)
        if self.has_norm:
            shapes["norm.weight"] = (self.hidden,)
            if self.norm_bias:
                shapes["norm.bias"] = (self.hidden,)
        return shapes | {"out.weight": (self.labels, self.hidden), "out.bias": (self.labels,)}


@dataclass(frozen=True)
class _Architecture:
    name: str  # of the class in Transformers, before "ForSequenceClassification"
    prefix: str  # of the encoder's arrays
    parts: Mapping[str, str]  # stored name → ours
    activation: str
    drops_first: bool  # whether dropout stands before the Dense too
    defaults: Mapping[str, Any]
    dropout: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")  # the first key that there is


_TWO_LAYERS = {"classifier.dense": "dense", "classifier.out_proj": "out"}
_DROPOUT = {"hidden_dropout_prob": 0.1}
_MODERNBERT = {
    "classifier_dropout": 0.0,
    "classifier_pooling": "cls",
    "classifier_bias": False,
    "classifier_activation": "gelu",
    "norm_eps": 1e-5,
    "norm_bias": False,
}
ARCHITECTURES: dict[str, _Architecture] = {  # "model_type" in config.json → its head
    "bert": _Architecture(
        "Bert", "bert.", {"bert.pooler.dense": "dense", "classifier": "out"}, "tanh", False, _DROPOUT
    ),
    "camembert": _Architecture("Camembert", "roberta.", _TWO_LAYERS, "tanh", True, _DROPOUT),
    "distilbert": _Architecture(
        *("DistilBert", "distilbert.", {"pre_classifier": "dense", "classifier": "out"}, "relu", False),
        *({"seq_classif_dropout": 0.2}, ("seq_classif_dropout",)),
    ),
    "electra": _Architecture("Electra", "electra.", _TWO_LAYERS, "gelu", True, _DROPOUT),
    "modernbert": _Architecture(
        *("ModernBert", "model.", {"head.dense": "dense", "head.norm": "norm", "classifier": "out"}, "gelu", False),
        *(_MODERNBERT, ("classifier_dropout",)),
    ),
    "mpnet": _Architecture("MPNet", "mpnet.", _TWO_LAYERS, "tanh", True, _DROPOUT, ("hidden_dropout_prob",)),
    "roberta": _Architecture("Roberta", "roberta.", _TWO_LAYERS, "tanh", True, _DROPOUT),
    "xlm-roberta": _Architecture("XLMRoberta", "roberta.", _TWO_LAYERS, "tanh", True, _DROPOUT),
}


def is_classifier(config: Mapping[str, Any]) -> bool:
    """Whether ``config`` is that of a model with a classification head."""
    return architecture_of(config).endswith("ForSequenceClassification")


def labels_of(config: Mapping[str, Any]) -> int:
    """How many scores the head of ``config`` gives a pair; 2 where it says nothing, as Transformers has it.

    Raises:
        ValueError: It is no number of labels.
    """
    names = config.get("id2label")
    if isinstance(names, Mapping) and names:
        return len(names)
    count = config.get("num_labels")
    return 2 if count is None else whole_number(count, "num_labels")


def head_settings(config: Mapping[str, Any], hidden: int, labels: int) -> HeadSettings:
    """The head that ``config``, of one of ARCHITECTURES, describes.

    Raises:
        ValueError: A value is not right.
    """
    architecture = ARCHITECTURES[config["model_type"]]
    read = ConfigValues(config, architecture.defaults)
    dropout = read.share(
        next((key for key in architecture.dropout if config.get(key) is not None), architecture.dropout[-1])
    )
    first_dropout = dropout if architecture.drops_first else 0.0
    if config["model_type"] != "modernbert":
        return HeadSettings(hidden, labels, architecture.activation, first_dropout, dropout)
    pooling = read.text("classifier_pooling")
    if pooling not in POOLINGS:
        raise ValueError(f"classifier_pooling must be one of {', '.join(POOLINGS)}, not {shortened(pooling)}")
    return HeadSettings(
        hidden,
        labels,
        read.text("classifier_activation"),
        first_dropout,
        dropout,
        pooling=pooling,
        has_bias=read.flag("classifier_bias"),
        has_norm=True,
        norm_epsilon=read.number("norm_eps", 0),
        norm_bias=read.flag("norm_bias"),
    )


def our_head_names(model_type: str, stored: Iterable[str]) -> dict[str, str]:
    """Stored name → our name, for the head's arrays among ``stored``; a prefix before them is fine."""
    found = {}
    for name in stored:
        for theirs, ours in ARCHITECTURES[model_type].parts.items():
            for kind in ("weight", "bias"):
                short = theirs.removeprefix("bert.")  # a bare BERT has a pooler too
                if name == f"{short}.{kind}" or name.endswith(f".{short}.{kind}"):
                    found[name] = f"{ours}.{kind}"
    return found


def stored_head_names(model_type: str, ours: Iterable[str]) -> dict[str, str]:
    """Our name → the one that Transformers' class stores."""
    stored = {ours: theirs for theirs, ours in ARCHITECTURES[model_type].parts.items()}
    return {name: f"{stored[part]}.{kind}" for name in ours for part, kind in [name.rsplit(".", 1)]}
