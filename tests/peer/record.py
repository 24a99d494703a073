"""Record what sentence-transformers gives for the inputs, so that tests compare with it where it is not installed.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers 6.2.0:
    python -m tests.peer.record FOLDER_OF_ALL_MINILM_L6_V2
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
from sentence_transformers import SentenceTransformer

from tests.peer.inputs import CALLS, LIMIT, LIMITED, PROMPT, SENTENCES, SHORT, WIDTH, outcome

HERE = Path(__file__).parent
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


def recorded_vectors(model: Any) -> dict[str, Any]:
    """By name, arrays of float32."""
    vectors = model.encode(SENTENCES, batch_size=1)  # alone, so that nobody else's padding is in them
    found = {
        "sentences": vectors,
        "prompted": model.encode(LIMITED, prompt=PROMPT),
        "truncated": model.encode(LIMITED, truncate_dim=WIDTH, normalize_embeddings=True),
        "tokens": model.encode(SHORT, output_value="token_embeddings").numpy(),
    }
    model.set_pooling_include_prompt(False)
    found["without_prompt"] = model.encode(LIMITED, prompt=PROMPT)
    model.set_pooling_include_prompt(True)
    model.max_seq_length, before = LIMIT, model.max_seq_length
    found["limited"] = model.encode(LIMITED)
    model.max_seq_length = before
    unequal = vectors[4:9] * np.arange(1, 6, dtype=np.float32)[:, None]  # of different lengths, to tell dot from cosine
    for name in SIMILARITIES:
        model.similarity_fn_name = name
        found[f"{name} of all"] = model.similarity(unequal[:2], unequal[2:]).numpy()
        found[f"{name} of pairs"] = model.similarity_pairwise(unequal[:2], unequal[2:4]).numpy()
    model.similarity_fn_name = "cosine"
    return found


def recorded_facts(model: Any) -> dict[str, Any]:
    """What JSON can hold: the shapes of results, and properties."""
    return {
        "version": sentence_transformers.__version__,
        "calls": {name: outcome(model.encode, texts, arguments) for name, (texts, arguments) in CALLS.items()},
        "tokens of each sentence": [
            len(vectors) for vectors in model.encode(SENTENCES, output_value="token_embeddings")
        ],
        "properties": {
            "max_seq_length": model.max_seq_length,
            "get_max_seq_length": model.get_max_seq_length(),
            "get_embedding_dimension": model.get_embedding_dimension(),
            "get_sentence_embedding_dimension": model.get_sentence_embedding_dimension(),
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
            "similarity_fn_name": model.similarity_fn_name,
            "truncate_dim": model.truncate_dim,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder of all-MiniLM-L6-v2")
    model = SentenceTransformer(str(parser.parse_args().model), device="cpu", model_kwargs={"dtype": "float32"})
    np.savez(HERE / "minilm_vectors.npz", **recorded_vectors(model))
    text = json.dumps(recorded_facts(model), indent=1, sort_keys=True)
    (HERE / "minilm_facts.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
