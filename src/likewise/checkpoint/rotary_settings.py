"""config.json of the encoders with rotary positions, ModernBERT and NomicBERT, in every generation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likewise.checkpoint.values import ConfigValues, number, shortened

MOST_LAYERS = 1000


@dataclass(frozen=True)
class ModernBertSettings:
    """The sizes and choices of ModernBERT: pre-norm layers, rotary positions, local and global attention, gated MLP."""

    model_type: str
    vocabulary: int
    hidden: int
    heads: int
    intermediate: int
    longest: int  # tokens of the longest text that it was made for
    padding_id: int
    activation: str
    norm_epsilon: float
    norm_bias: bool
    attention_bias: bool
    feed_forward_bias: bool
    is_local: tuple[bool, ...]  # for each layer, whether a token attends to its neighbourhood only
    reach: int  # how far, in tokens, that neighbourhood reaches to each side
    global_base: float  # of the rotary positions' wavelengths
    local_base: float
    embedding_dropout: float
    attention_dropout: float
    dropout: float  # in the feed-forward part

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.is_local)


@dataclass(frozen=True)
class NomicBertSettings:
    """The sizes and choices of NomicBERT: BERT's post-norm layers with rotary positions and a gated MLP."""

    model_type: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    longest: int
    padding_id: int
    segment_types: int
    activation: str
    norm_epsilon: float
    attention_bias: bool
    expand_bias: bool
    contract_bias: bool
    base: float  # of the rotary positions' wavelengths
    rotary_width: int  # how many of a head's dimensions are rotated
    dropout: float
    attention_dropout: float


_MODERNBERT = {
    "vocab_size": 50368,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "hidden_activation": "gelu",
    "max_position_embeddings": 8192,
    "norm_eps": 1e-5,
    "norm_bias": False,
    "pad_token_id": 50283,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "global_attn_every_n_layers": 3,
    "local_attention": 128,
    "embedding_dropout": 0.0,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "global_rope_theta": 160_000.0,
    "local_rope_theta": 10_000.0,
}
_NOMIC_BERT = {
    "vocab_size": 30528,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "silu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 2048,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "rope_theta": 1000.0,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "rotary_emb_fraction": 1.0,
}
_NOMIC_BERT_OLDER_KEYS = {  # the keys of today → those of the code that came with the first models, made from GPT-2's
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "hidden_act": "activation_function",
    "hidden_dropout_prob": "resid_pdrop",
    "attention_probs_dropout_prob": "attn_pdrop",
    "max_position_embeddings": "n_positions",
    "layer_norm_eps": "layer_norm_epsilon",
    "rope_theta": "rotary_emb_base",
}
_GATES = {"swiglu": "silu", "geglu": "gelu", "glu": "Sigmoid", "silu": "silu", "gelu": "gelu"}


def modernbert_settings(config: Mapping[str, Any]) -> ModernBertSettings:
    """Read ModernBERT's ``config``, as Transformers 4 or 5 writes it.

    Raises:
        ValueError: A value is not right, or asks for what is not computed here.
    """
    read = ConfigValues(config, _MODERNBERT)
    hidden, heads = read.whole("hidden_size"), read.whole("num_attention_heads")
    _check_heads(hidden, heads, hidden // heads)
    layers = read.whole("num_hidden_layers", 0, MOST_LAYERS)
    types = config.get("layer_types")
    if types is None:
        every = read.whole("global_attn_every_n_layers")
        is_local = tuple(layer % every != 0 for layer in range(layers))
    else:
        known = {"full_attention": False, "sliding_attention": True}
        names = types if isinstance(types, list) else []
        if len(names) != layers or not all(isinstance(name, str) and name in known for name in names):
            raise ValueError(f"layer_types must name the attention of each of {layers} layers, not {shortened(types)}")
        is_local = tuple(known[name] for name in names)
    # Left out it has its default; null meant to Transformers 4 that local layers have the global ones' base.
    local = "global_rope_theta" if config.get("local_rope_theta", 0) is None else "local_rope_theta"
    return ModernBertSettings(
        model_type="modernbert",
        vocabulary=read.whole("vocab_size"),
        hidden=hidden,
        heads=heads,
        intermediate=read.whole("intermediate_size"),
        longest=read.whole("max_position_embeddings"),
        padding_id=read.whole("pad_token_id", 0),
        activation=read.text("hidden_activation"),
        norm_epsilon=read.number("norm_eps", 0),
        norm_bias=read.flag("norm_bias"),
        attention_bias=read.flag("attention_bias"),
        feed_forward_bias=read.flag("mlp_bias"),
        is_local=is_local,
        reach=read.whole("local_attention") // 2,
        global_base=_base(config, "full_attention", read.number("global_rope_theta", 1)),
        local_base=_base(config, "sliding_attention", read.number(local, 1)),
        embedding_dropout=read.share("embedding_dropout"),
        attention_dropout=read.share("attention_dropout"),
        dropout=read.share("mlp_dropout"),
    )


def nomic_bert_settings(config: Mapping[str, Any]) -> NomicBertSettings:
    """Read NomicBERT's ``config``, as Transformers 5 or the code that came with the first models writes it.

    Raises:
        ValueError: A value is not right, or asks for what is not computed here.
    """
    older = {new: old for new, old in _NOMIC_BERT_OLDER_KEYS.items() if config.get(new) is None and old in config}
    read = ConfigValues(config, _NOMIC_BERT, older)
    for key, only in (("prenorm", False), ("rotary_emb_interleaved", False), ("use_rms_norm", False)):
        if config.get(key, only) not in (only, None):
            raise ValueError(f"{key} {shortened(config[key])} is not supported, only {only} is")
    if (config.get("moe_every_n_layers") or 0) != 0 or (config.get("num_experts") or 0) not in (0, 1):
        raise ValueError("a mixture of experts (moe_every_n_layers, num_experts) is not supported")
    hidden, heads = read.whole("hidden_size"), read.whole("num_attention_heads")
    _check_heads(hidden, heads, config.get("head_dim") or hidden // heads)
    gate = read.text("hidden_act")
    if gate not in _GATES:
        raise ValueError(f"activation_function {gate!r} is not supported; supported are {', '.join(_GATES)}")
    longest = read.whole("max_position_embeddings")
    if config.get("rotary_scaling_factor") is not None:  # what lies beyond changes with the length of a batch
        longest = min(longest, ConfigValues(config, {"max_trained_positions": longest}).whole("max_trained_positions"))
    return NomicBertSettings(
        model_type="nomic_bert",
        vocabulary=read.whole("vocab_size"),
        hidden=hidden,
        layers=read.whole("num_hidden_layers", 0, MOST_LAYERS),
        heads=heads,
        intermediate=read.whole("intermediate_size"),
        longest=longest,
        padding_id=read.whole("pad_token_id", 0),
        segment_types=read.whole("type_vocab_size", 0),
        activation=_GATES[gate],
        norm_epsilon=read.number("layer_norm_eps", 0),
        attention_bias=read.flag("qkv_proj_bias"),
        expand_bias=read.flag("mlp_fc1_bias"),
        contract_bias=read.flag("mlp_fc2_bias"),
        base=_base(config, None, read.number("rope_theta", 1)),
        rotary_width=int(read.number("rotary_emb_fraction", 0, 1) * (hidden // heads)) // 2 * 2,
        dropout=read.share("hidden_dropout_prob"),
        attention_dropout=read.share("attention_probs_dropout_prob"),
    )


def _base(config: Mapping[str, Any], layer_type: str | None, otherwise: float) -> float:
    """The base of the rotary positions, which Transformers 5 keeps in "rope_parameters", for each kind of layer."""
    parameters = config.get("rope_parameters")
    if isinstance(parameters, Mapping) and layer_type is not None:
        parameters = parameters.get(layer_type)
    if parameters is None:
        return otherwise
    if not isinstance(parameters, Mapping):
        raise ValueError(f"rope_parameters must be an object, not {shortened(parameters)}")
    if parameters.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type {shortened(parameters['rope_type'])} is not supported, only 'default' is")
    base = parameters.get("rope_theta")
    return otherwise if base is None else number(base, "rope_theta", 1)


def _check_heads(hidden: int, heads: int, width: object) -> None:
    if hidden % heads or width != hidden // heads:
        raise ValueError(f"hidden_size {hidden} is not num_attention_heads {heads} times head_dim {shortened(width)}")
    if (hidden // heads) % 2:
        raise ValueError(f"a head of {hidden // heads} dimensions cannot be rotated; their number must be even")
