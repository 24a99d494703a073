"""config.json of an architecture that Transformers computes → the few facts about it that the library itself needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likewise.checkpoint.values import number, shortened, whole_number

NO_LIMIT = 10**9
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "emb_dim")  # each architecture has its own name for the same thing
VOCABULARIES = ("vocab_size", "n_words")
POSITIONS = ("max_position_embeddings", "n_positions", "max_encoder_position_embeddings")
INNER = ("text_config", "encoder")  # where architectures of several parts describe the one that reads text

# T5's configurations name a number of positions, but relative positions reach any distance (Raffel et al. 2020, 2.1).
WITHOUT_LIMIT = frozenset({"longt5", "mt5", "switch_transformers", "t5", "udop", "umt5", "xlnet"})
# Like RoBERTa's, their first position is the row after the padding id.
COUNTS_FROM_PADDING = frozenset(
    {"data2vec-text", "esm", "ibert", "lilt", "longformer", "luke", "roberta-prelayernorm", "xlm-roberta-xl", "xmod"}
)


@dataclass(frozen=True)
class OtherSettings:
    """What is known of an encoder whose layers Transformers computes."""

    model_type: str
    hidden: int
    longest: int  # the longest text, in tokens, that has a position for every token
    vocabulary: int
    padding_id: int


def other_settings(config: Mapping[str, Any]) -> OtherSettings:
    """Read the ``config`` of any encoder that Transformers may know; whether it does is seen when it is loaded.

    Raises:
        ValueError: A key is missing, or its value is none that it can have.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ValueError(f'"model_type" must name the architecture, such as "bert", but is {shortened(model_type)}')
    parts = [config, *(config[key] for key in INNER if isinstance(config.get(key), Mapping))]
    for key, value in config.items():
        if key.endswith(("_eps", "_epsilon")) and value is not None:  # Transformers takes any, and computes no numbers
            number(value, key, 0)
    padding_id = _first(parts, ("pad_token_id",))[1]
    counts_from_padding = model_type in COUNTS_FROM_PADDING
    # Decoders often have none, and old Llama files say -1; there any token serves, as nothing attends to padding.
    default = 1 if counts_from_padding else 0
    padding_id = default if padding_id in (None, -1) else whole_number(padding_id, "pad_token_id", least=0)
    name, positions = (None, None) if model_type in WITHOUT_LIMIT else _first(parts, POSITIONS)
    if positions in (None, -1):
        longest = NO_LIMIT
    else:
        unused = padding_id + 1 if counts_from_padding else 0
        longest = whole_number(positions, str(name), least=unused + 1) - unused
    return OtherSettings(
        model_type=model_type,
        hidden=_size(parts, WIDTHS, model_type),
        longest=longest,
        vocabulary=_size(parts, VOCABULARIES, model_type),
        padding_id=padding_id,
    )


def _size(parts: list[Mapping[str, Any]], names: tuple[str, ...], model_type: str) -> int:
    name, value = _first(parts, names)
    if name is None:
        raise ValueError(f"the architecture {shortened(model_type)} needs one of {', '.join(names)}, but none is given")
    return whole_number(value, name)


def _first(parts: list[Mapping[str, Any]], names: tuple[str, ...]) -> tuple[str | None, Any]:
    for part in parts:
        for name in names:
            if part.get(name) is not None:
                return name, part[name]
    return None, None
