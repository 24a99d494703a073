"""Models with a LoRA adapter and a Dense layer, as sentence-transformers and we make and save them."""

from typing import Any

CASES: dict[str, tuple[str, dict[str, Any]]] = {  # name → the encoder's architecture, the arguments of LoraConfig
    "bert by default": ("bert", {}),
    "bert, all linear layers": ("bert", {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3}),
    "bert, biases": ("bert", {"target_modules": ["key"], "bias": "all"}),
    "bert, whole layers": ("bert", {"target_modules": ["value"], "modules_to_save": ["LayerNorm"]}),
    "bert, tables": ("bert", {"target_modules": ["word_embeddings", "query"], "alpha_pattern": {"query": 2}}),
    "bert, magnitudes": ("bert", {"target_modules": ["query", "intermediate.dense"], "use_dora": True}),
    "roberta": ("roberta", {"target_modules": ["query", "key", "value"]}),
    "distilbert": ("distilbert", {"target_modules": ["q_lin", "v_lin", "lin1"]}),
    "mpnet": ("mpnet", {"target_modules": ["q", "v"]}),
    "modernbert": ("modernbert", {"target_modules": ["Wqkv", "Wi"]}),
    "nomic_bert": ("nomic_bert", {"target_modules": "all-linear"}),
    "albert": ("albert", {"target_modules": ["query", "value"]}),
    "qwen3": ("qwen3", {}),
}
SEED = 7
