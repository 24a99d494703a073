"""What the arrays of each architecture are called on disk, and what the rest of the library calls them."""

import re
from collections.abc import Iterable, Mapping

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
NAMES: dict[str, Mapping[str, str]] = {  # "model_type" in config.json → its names
    "bert": BERT,
    "camembert": BERT,
    "distilbert": DISTILBERT,
    "electra": BERT,
    "roberta": BERT,
    "xlm-roberta": BERT,
}


def our_names(model_type: str, stored: Iterable[str]) -> dict[str, str]:
    """Stored name → our name, for the encoder's arrays among ``stored``.

    Any prefix before the encoder's names is fine (``bert.``, ``roberta.``, ``model.``, …), and so are the ``gamma``
    and ``beta`` of the first BERT checkpoints. Other arrays, such as a language-model head, are left out.

    Raises:
        ValueError: No token embeddings are there, or several models' are.
    """
    stored = list(stored)
    tokens = next(theirs for theirs, ours in NAMES[model_type].items() if ours == "embeddings.tokens") + ".weight"
    prefixes = [name.removesuffix(tokens) for name in stored if name == tokens or name.endswith("." + tokens)]
    if len(prefixes) != 1:
        others = f"only {', '.join(stored[:3])}, …" if stored else "none at all"
        found = ", ".join(f"{prefix}{tokens}" for prefix in prefixes) or others
        raise ValueError(f"a {model_type} model has one array called {tokens}, but here is {found}")
    patterns = [_pattern(theirs) for theirs in NAMES[model_type]]
    names = {}
    for name in stored:
        plain = name.removeprefix(prefixes[0])
        plain = re.sub(r"\bgamma$", "weight", re.sub(r"\bbeta$", "bias", plain))
        for pattern, ours in zip(patterns, NAMES[model_type].values(), strict=True):
            if name.startswith(prefixes[0]) and (match := pattern.fullmatch(plain)):
                names[name] = ours.format(n=match.groupdict().get("n")) + match["kind"]
    return names


def stored_name(model_type: str, ours: str) -> str:
    """Our name → the one that Hugging Face's bare encoder (``BertModel``, …) stores."""
    for theirs, name in NAMES[model_type].items():
        if match := _pattern(name).fullmatch(ours):
            return theirs.format(n=match.groupdict().get("n")) + match["kind"]
    raise ValueError(f"a {model_type} model has no array {ours}")


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{n\}", r"(?P<n>\d+)") + r"(?P<kind>\.weight|\.bias)")
