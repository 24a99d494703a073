"""The tiny encoders that the tests of the network and of the kernels share: every architecture, every choice."""

from typing import Any

from tests.tiny_checkpoints import POSITIONS

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # name → model_type, changes of config.json
    "bert": ("bert", {"layer_norm_eps": 0.03}),  # so large that taking another is seen
    "bert, gelu_new, 3 layers": ("bert", {"hidden_act": "gelu_new", "num_hidden_layers": 3}),
    "bert, relu, 2 heads": ("bert", {"hidden_act": "relu", "num_attention_heads": 2}),
    "bert, no layers": ("bert", {"num_hidden_layers": 0}),
    "roberta": ("roberta", {"type_vocab_size": 1, "layer_norm_eps": 0.03}),
    "roberta, padding id 7": ("roberta", {"pad_token_id": 7, "max_position_embeddings": POSITIONS + 8}),
    "xlm-roberta, gelu_fast": ("xlm-roberta", {"type_vocab_size": 1, "hidden_act": "gelu_fast"}),
    "camembert, silu": ("camembert", {"type_vocab_size": 1, "hidden_act": "silu"}),
    "distilbert": ("distilbert", {}),
    "distilbert, relu, 3 layers": ("distilbert", {"activation": "relu", "n_layers": 3}),
    "electra, narrow embeddings": ("electra", {"layer_norm_eps": 0.03}),
    "mpnet": ("mpnet", {"layer_norm_eps": 0.03}),
    "mpnet, relu, 3 layers": ("mpnet", {"hidden_act": "relu", "num_hidden_layers": 3}),
    "modernbert": ("modernbert", {"norm_eps": 0.03}),
    "modernbert, all biases, 4 layers": (
        "modernbert",
        {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "num_hidden_layers": 4, "local_attention": 6},
    ),
    "modernbert, silu, one local layer": (
        "modernbert",
        {"hidden_activation": "silu", "layer_types": ["full_attention", "full_attention", "sliding_attention"]},
    ),
    "nomic_bert": ("nomic_bert", {"layer_norm_eps": 0.03}),
    "nomic_bert, gelu, 3 layers": ("nomic_bert", {"hidden_act": "gelu", "num_hidden_layers": 3}),
    "electra, embeddings as wide as the layers": ("electra", {"embedding_size": 32, "hidden_act": "gelu_new"}),
}
