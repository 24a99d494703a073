"""What the arrays of each architecture are called on disk, and what the rest of the library calls them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = ("query", "key", "value")  # stored apart by most, computed as one product

# One name for each part, whatever the architecture. `{n}` is a layer's number; `.weight` and `.bias` follow.
BERT = {
    "embeddings.word_embeddings": "embeddings.tokens",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.token_type_embeddings": "embeddings.segments",
    "embeddings.LayerNorm": "embeddings.norm",
    "embeddings_project": "embeddings.project",  # ELECTRA, where embeddings are narrower than the layers
    "encoder.layer.{n}.attention.self.query": "layers.{n}.query",
    "encoder.layer.{n}.attention.self.key": "layers.{n}.key",
    "encoder.layer.{n}.attention.self.value": "layers.{n}.value",
    "encoder.layer.{n}.attention.output.dense": "layers.{n}.attention_out",
    "encoder.layer.{n}.attention.output.LayerNorm": "layers.{n}.attention_norm",
    "encoder.layer.{n}.intermediate.dense": "layers.{n}.expand",
    "encoder.layer.{n}.output.dense": "layers.{n}.contract",
    "encoder.layer.{n}.output.LayerNorm": "layers.{n}.output_norm",
}
DISTILBERT = {
    "embeddings.word_embeddings": "embeddings.tokens",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.LayerNorm": "embeddings.norm",
    "transformer.layer.{n}.attention.q_lin": "layers.{n}.query",
    "transformer.layer.{n}.attention.k_lin": "layers.{n}.key",
    "transformer.layer.{n}.attention.v_lin": "layers.{n}.value",
    "transformer.layer.{n}.attention.out_lin": "layers.{n}.attention_out",
    "transformer.layer.{n}.sa_layer_norm": "layers.{n}.attention_norm",
    "transformer.layer.{n}.ffn.lin1": "layers.{n}.expand",
    "transformer.layer.{n}.ffn.lin2": "layers.{n}.contract",
    "transformer.layer.{n}.output_layer_norm": "layers.{n}.output_norm",
}
MPNET = {
    "embeddings.word_embeddings": "embeddings.tokens",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.LayerNorm": "embeddings.norm",
    "encoder.relative_attention_bias": "relative_bias",
    "encoder.layer.{n}.attention.attn.q": "layers.{n}.query",
    "encoder.layer.{n}.attention.attn.k": "layers.{n}.key",
    "encoder.layer.{n}.attention.attn.v": "layers.{n}.value",
    "encoder.layer.{n}.attention.attn.o": "layers.{n}.attention_out",
    "encoder.layer.{n}.attention.LayerNorm": "layers.{n}.attention_norm",
    "encoder.layer.{n}.intermediate.dense": "layers.{n}.expand",
    "encoder.layer.{n}.output.dense": "layers.{n}.contract",
    "encoder.layer.{n}.output.LayerNorm": "layers.{n}.output_norm",
}
MODERNBERT = {
    "embeddings.tok_embeddings": "embeddings.tokens",
    "embeddings.norm": "embeddings.norm",
    "layers.{n}.attn_norm": "layers.{n}.attention_norm",
    "layers.{n}.attn.Wqkv": "layers.{n}.qkv",
    "layers.{n}.attn.Wo": "layers.{n}.attention_out",
    "layers.{n}.mlp_norm": "layers.{n}.feed_forward_norm",
    "layers.{n}.mlp.Wi": "layers.{n}.expand",
    "layers.{n}.mlp.Wo": "layers.{n}.contract",
    "final_norm": "norm",
}
NOMIC_BERT = {  # as the code that came with the first models names them
    "embeddings.word_embeddings": "embeddings.tokens",
    "embeddings.token_type_embeddings": "embeddings.segments",
    "emb_ln": "embeddings.norm",
    "encoder.layers.{n}.attn.Wqkv": "layers.{n}.qkv",
    "encoder.layers.{n}.attn.out_proj": "layers.{n}.attention_out",
    "encoder.layers.{n}.norm1": "layers.{n}.attention_norm",
    "encoder.layers.{n}.mlp.fc11": "layers.{n}.expand",
    "encoder.layers.{n}.mlp.fc12": "layers.{n}.gate",
    "encoder.layers.{n}.mlp.fc2": "layers.{n}.contract",
    "encoder.layers.{n}.norm2": "layers.{n}.output_norm",
}
NOMIC_BERT_5 = {  # as Transformers 5 names them
    "embeddings.word_embeddings": "embeddings.tokens",
    "embeddings.token_type_embeddings": "embeddings.segments",
    "embeddings.LayerNorm": "embeddings.norm",
    "layers.{n}.self_attn.q_proj": "layers.{n}.query",
    "layers.{n}.self_attn.k_proj": "layers.{n}.key",
    "layers.{n}.self_attn.v_proj": "layers.{n}.value",
    "layers.{n}.self_attn.o_proj": "layers.{n}.attention_out",
    "layers.{n}.post_attention_layernorm": "layers.{n}.attention_norm",
    "layers.{n}.mlp.up_proj": "layers.{n}.expand",
    "layers.{n}.mlp.gate_proj": "layers.{n}.gate",
    "layers.{n}.mlp.down_proj": "layers.{n}.contract",
    "layers.{n}.post_mlp_layernorm": "layers.{n}.output_norm",
}
NAMES: dict[str, tuple[Mapping[str, str], ...]] = {  # "model_type" in config.json → its names, of every generation
    "bert": (BERT,),
    "camembert": (BERT,),
    "distilbert": (DISTILBERT,),
    "electra": (BERT,),
    "modernbert": (MODERNBERT,),
    "mpnet": (MPNET,),
    "nomic_bert": (NOMIC_BERT, NOMIC_BERT_5),
    "roberta": (BERT,),
    "xlm-roberta": (BERT,),
}


def our_names(model_type: str, stored: Iterable[str]) -> dict[str, str]:
    """Stored name → our name, for the encoder's arrays among ``stored``.

    Any prefix before the encoder's names is fine (``bert.``, ``roberta.``, ``model.``, …), and so are the ``gamma``
    and ``beta`` of the first BERT checkpoints. Other arrays, such as a language-model head, are left out.

    Raises:
        ValueError: No token embeddings are there, or several models' are.
    """
    stored = list(stored)
    return max((_our_names(model_type, names, stored) for names in NAMES[model_type]), key=len)


def stored_names(model_type: str, ours: Iterable[str]) -> dict[str, str]:
    """Our name → the one that Hugging Face's bare encoder (``BertModel``, …) stores.

    Raises:
        ValueError: There is no array of that name.
    """
    ours = list(ours)
    for names in NAMES[model_type]:
        found = {name: _stored_name(names, name) for name in ours}
        if None not in found.values():
            return {name: stored for name, stored in found.items() if stored is not None}
    raise ValueError(f"a {model_type} model has no array {next(name for name, stored in found.items() if not stored)}")


def has_parted_projections(model_type: str) -> bool:
    """Whether Hugging Face's encoder has queries, keys and values in a layer each."""
    return any("layers.{n}.query" in names.values() for names in NAMES[model_type])


def other_place(model_type: str, stored: Iterable[str], wanted: str) -> tuple[str, int | None] | None:
    """Where ``stored`` arrays, named as in another generation of the architecture, have the one called ``wanted``.

    The array's name and, where it holds queries, keys and values as one, which third of it; None if they have it not.
    """
    if model_type not in NAMES:
        return None
    found = {own: name for name, own in our_names(model_type, stored).items()}
    for known in NAMES[model_type]:
        for theirs, ours in known.items():
            if match := _pattern(theirs).fullmatch(wanted):
                layer, _, part = ours.format(n=match.groupdict().get("n")).rpartition(".")
                if (own := f"{layer}.{part}{match['kind']}") in found:
                    return found[own], None
                if part in PROJECTIONS and (fused := f"{layer}.qkv{match['kind']}") in found:
                    return found[fused], PROJECTIONS.index(part)
    return None


def _our_names(model_type: str, known: Mapping[str, str], stored: list[str]) -> dict[str, str]:
    tokens = next(theirs for theirs, ours in known.items() if ours == "embeddings.tokens") + ".weight"
    prefixes = [name.removesuffix(tokens) for name in stored if name == tokens or name.endswith("." + tokens)]
    if len(prefixes) != 1:
        others = f"only {', '.join(stored[:3])}, …" if stored else "none at all"
        found = ", ".join(f"{prefix}{tokens}" for prefix in prefixes) or others
        raise ValueError(f"a {model_type} model has one array called {tokens}, but here is {found}")
    patterns = [_pattern(theirs) for theirs in known]
    names = {}
    for name in stored:
        plain = name.removeprefix(prefixes[0])
        plain = re.sub(r"\bgamma$", "weight", re.sub(r"\bbeta$", "bias", plain))
        for pattern, ours in zip(patterns, known.values(), strict=True):
            if name.startswith(prefixes[0]) and (match := pattern.fullmatch(plain)):
                names[name] = ours.format(n=match.groupdict().get("n")) + match["kind"]
    return names


def _stored_name(known: Mapping[str, str], ours: str) -> str | None:
    for theirs, name in known.items():
        if match := _pattern(name).fullmatch(ours):
            return theirs.format(n=match.groupdict().get("n")) + match["kind"]
    return None


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{n\}", r"(?P<n>\d+)") + r"(?P<kind>\.weight|\.bias)")


def with_projections_joined(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Named arrays with the three projections of each layer, where they are apart, as one called "qkv".

    Raises:
        ValueError: One of the three is missing, or their shapes differ.
    """
    joined = {}
    for name, array in arrays.items():
        if ".query." in name:
            names = [name.replace(".query.", f".{part}.") for part in PROJECTIONS]
            if missing := [part for part in names if part not in arrays]:
                raise ValueError(f"the array {missing[0]} is missing, though {name} is there")
            parts = [arrays[part] for part in names]
            if len(shapes := {part.shape for part in parts}) > 1:
                raise ValueError(f"the arrays {', '.join(names)} have different shapes: {sorted(shapes)}")
            joined[name.replace(".query.", ".qkv.")] = np.concatenate(parts)
        elif ".key." not in name and ".value." not in name:
            joined[name] = array
    return joined
