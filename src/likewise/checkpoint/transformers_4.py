"""What Transformers 5 writes, in the words of Transformers 4 too, which sentence-transformers 3.4 runs with.

Without these words 4 fails to load the tokenizer, and computes rotary positions with a base of its own, silently.
"""

from collections.abc import Mapping
from typing import Any

BASES = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}  # ModernBERT's kinds of layers
BESIDE = ("rope_theta", "partial_rotary_factor")  # what 4 keeps beside the other rotary parameters


def config_for_both(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.json with the keys that 4 reads added; 5 reads its own before these, which say the same."""
    both = dict(config) | _global_layers(config.get("layer_types"), config.get("model_type"))
    parameters = config.get("rope_parameters")
    if not isinstance(parameters, Mapping):
        return both
    if config.get("model_type") == "modernbert":
        kinds = {BASES[kind]: values for kind, values in parameters.items() if kind in BASES}
        return both | {key: values["rope_theta"] for key, values in kinds.items() if "rope_theta" in values}
    both |= {key: parameters[key] for key in BESIDE if key in parameters}
    if parameters.get("rope_type", "default") != "default":
        both["rope_scaling"] = {key: value for key, value in parameters.items() if key not in BESIDE}
    return both


def _global_layers(types: object, model_type: object) -> dict[str, int]:
    """Of ModernBERT, 4 knows only at which distance layers attend to the whole text."""
    if model_type != "modernbert" or not isinstance(types, list) or "full_attention" not in types[1:]:
        return {}
    return {"global_attn_every_n_layers": types.index("full_attention", 1)}


def tokenizer_settings_for_both(settings: Mapping[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json with the older names of what 5 renamed; 5 reads these too."""
    both = dict(settings)
    if both.get("tokenizer_class") == "TokenizersBackend":
        both["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(both.get("extra_special_tokens"), list):
        both["additional_special_tokens"] = both.pop("extra_special_tokens")
    return both
