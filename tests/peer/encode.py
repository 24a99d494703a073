"""Encode texts with sentence-transformers, for the tests that run it beside likewise: see test_live.py."""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer


def main() -> None:
    """Arguments: the model's folder, a JSON file that holds a list of texts, the .npy file to write."""
    model, texts, vectors = sys.argv[1:]
    encoder = SentenceTransformer(model, device="cpu", model_kwargs={"dtype": "float32"})
    np.save(vectors, encoder.encode(json.loads(Path(texts).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
