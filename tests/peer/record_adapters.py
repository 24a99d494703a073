"""Make a model with an adapter for each case, with sentence-transformers, save it, and write down its vectors.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers:
    python -m tests.peer.record_adapters FOLDER
FOLDER/bases holds the encoders by architecture; FOLDER/saved/CASE becomes what sentence-transformers saves, and
FOLDER/vectors.npz the vectors by case.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig
from sentence_transformers import SentenceTransformer, models

from tests.peer.adapter_cases import CASES, SEED
from tests.peer.inputs import TWO


def main() -> None:
    folder = Path(sys.argv[1])
    vectors = {}
    for name, (architecture, arguments) in CASES.items():
        torch.manual_seed(SEED)
        encoder = models.Transformer(str(folder / "bases" / architecture))
        width = encoder.get_embedding_dimension()
        modules = [encoder, models.Pooling(width), models.Dense(width, 8)]
        model = SentenceTransformer(modules=modules, device="cpu")
        model.add_adapter(LoraConfig(r=4, task_type="FEATURE_EXTRACTION", **arguments))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter += 0.1 * torch.randn_like(parameter)
        vectors[name] = model.encode(TWO)
        model.save_pretrained(str(folder / "saved" / name))
    np.savez(folder / "vectors.npz", **vectors)


if __name__ == "__main__":
    main()
